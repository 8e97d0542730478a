#!/usr/bin/env python3
"""Run jobs on a Slurm cluster as one array, called as Kaldi's slurm.pl is:

    tools/slurm.py [--config conf/slurm.conf] [--mem 4G] [--gpu 1] [--time 2:00:00] [--num-threads 4]
        [--max-jobs-run N] JOB=1:N exp/log/score.JOB.log COMMAND ... JOB ...

What each option becomes for sbatch is said by conf/slurm.conf, in ESPnet's grammar. It waits for the array, and shows
the last lines of the jobs that failed; then the status is 1. A job that ended without a status (a node that died, a
limit of time or memory, scancel) has failed, unless Slurm runs it again: what failed counts once Slurm no longer has
it. SIGUSR1, which Slurm sends two minutes before the time limit, is passed on to the job. Ctrl-C cancels the array.
Jobs run in the folder of the call, which all nodes must see, with its environment. Beside a log, in q/, lie the script,
the statuses and, while it is waited for, the number of the array.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from run_local import ENDING, Call, append, command_wrapper, serve

NAME = Path(__file__).name
CONFIG = Path(__file__).resolve().parents[1] / "conf" / "slurm.conf"
SIGNAL = ("--signal", "B:USR1@120")  # before the time limit, for trainings; a rule of the config overrides it
POLL_S = 1.0
ASK_S = 5.0  # between questions to the scheduler, which many users share
# After which a job that the scheduler has forgotten, and that left no status, has failed: NFS may show files late.
LOST_S = float(os.environ.get("WESEP_MIX_PATIENCE_S", 60))


@dataclass(frozen=True)
class Grammar:
    """conf/slurm.conf.

    Attributes:
        command: sbatch with what it is always told.
        rules: (option, value or *, what sbatch is told) in the file's order.
        defaults: values of options that are not given.
    """

    command: tuple[str, ...]
    rules: tuple[tuple[str, str, str], ...]
    defaults: dict[str, str]

    def words(self, options: dict[str, str]) -> list[str]:
        """What sbatch is told.

        Args:
            options: given, by name.

        Returns:
            Words of a command line.

        Raises:
            ValueError: for an option that the file does not know.
        """
        words = [*self.command, *SIGNAL]
        for name, value in {**self.defaults, **options}.items():
            fitting = [told for option, wanted, told in self.rules if option == name and wanted == value]
            fitting += [told for option, wanted, told in self.rules if option == name and wanted == "*"]
            if not fitting:
                known = ", ".join(sorted({option for option, _, _ in self.rules}))
                raise ValueError(f"--{name} {value}: no rule for it in the config, which knows {known}; add one there")
            words += shlex.split(fitting[0].replace("$0", value))
        return words


def read_grammar(path: Path) -> Grammar:
    """Read conf/slurm.conf: lines `command ...`, `option NAME=VALUE ...` (or *), `default NAME=VALUE`.

    Args:
        path: the file.

    Returns:
        What it says.

    Raises:
        ValueError: naming the line that is none of these.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; name the config with --config")
    command, rules, defaults = ("sbatch",), [], {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        word, _, rest = text.partition(" ")
        name, equals, value = rest.strip().partition(" ")[0].partition("=")
        if word == "command" and rest.strip():
            command = tuple(shlex.split(rest))
        elif word == "option" and equals:
            rules.append((name.replace("-", "_"), value, rest.strip().partition(" ")[2].strip()))
        elif word == "default" and equals:
            defaults[name.replace("-", "_")] = value
        else:
            raise ValueError(f"{path}:{number}: wanted command, option NAME=VALUE or default NAME=VALUE, found {line}")
    return Grammar(command, tuple(rules), defaults)


class Array:
    """The jobs of a call on the cluster.

    Args:
        call: what is asked for.
        words: sbatch and what it is told of the config.
    """

    def __init__(self, call: Call, words: Sequence[str]):
        self.call, self.words = call, list(words)
        first = call.log_of(call.first)
        stem = re.sub(r"[^\w.-]", "_", Path(call.log).name.removesuffix(".log"))
        self.folder = first.parent / "q" / stem
        self.id = ""

    def status_file(self, number: int) -> Path:
        """Where a job leaves its exit status."""
        return self.folder / f"status.{number}"

    @property
    def id_file(self) -> Path:
        """What holds the array's number while it is waited for."""
        return self.folder / "array"

    def submit(self) -> None:
        """Write the script and submit the array, unless the same is still in the queue: its wrapper was killed, say.

        Raises:
            ValueError: with what sbatch says against it.
        """
        script, numbers = self.folder / "job.sh", range(self.call.first, self.call.last + 1)
        text = self._script(numbers)
        if self.id_file.is_file() and script.read_text(encoding="utf-8") == text:
            self.id = self.id_file.read_text().strip()
            if self._known():
                print(f"{NAME}: the array {self.id} is in the queue already; waiting for it", flush=True)
                return
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("status.*"):
            old.unlink()
        script.write_text(text, encoding="utf-8")
        most = self.call.options.get("max-jobs-run")
        spread = f"--array={self.call.first}-{self.call.last}" + (f"%{most}" if most else "")
        told = [*self.words, "--parsable", "--open-mode=append", "--output", "/dev/null", spread, str(script)]
        for number in numbers:
            self.call.log_of(number).unlink(missing_ok=True)
        done = subprocess.run(told, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"sbatch refused: {' '.join(done.stderr.split())} (called: {shlex.join(told)})")
        self.id = done.stdout.strip().partition(";")[0]
        self.id_file.write_text(f"{self.id}\n", encoding="utf-8")

    def _script(self, numbers: Sequence[int]) -> str:
        cases = [f"{n}) {self._line(n)} ;;" for n in numbers]
        head = [
            "#!/usr/bin/env bash",
            f"cd {shlex.quote(str(Path.cwd()))}",
            "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}",
            ENDING,
        ]
        return "\n".join([*head, 'case "$SLURM_ARRAY_TASK_ID" in', *cases, "esac", ""])

    def _line(self, number: int) -> str:
        """The line of bash that runs a job: its log, and its status once it has ended."""
        log, status = self.call.log_of(number), self.status_file(number)
        log.parent.mkdir(parents=True, exist_ok=True)
        return command_wrapper(self.call.command_of(number), log, status)

    def wait(self) -> list[int]:
        """Wait until all jobs have ended.

        Returns:
            The numbers of those that failed.
        """
        waiting, failed, missing = set(range(self.call.first, self.call.last + 1)), [], {}
        asked = time.monotonic()
        while waiting:
            time.sleep(POLL_S)
            statuses = {number: self._status(number) for number in waiting}
            waiting -= {number for number, status in statuses.items() if status == "0"}
            if not waiting or time.monotonic() - asked < ASK_S:
                continue
            asked = time.monotonic()
            if (known := self._known()) is not None:
                missing = {number: missing.get(number, asked) for number in waiting - known}
                lost = {number for number, since in missing.items() if asked - since >= LOST_S}
                ended = {number for number in missing if statuses[number]}
                for number in lost - ended:
                    self._note(number)
                waiting -= lost | ended
                failed += lost | ended
        return sorted(failed)

    def _status(self, number: int) -> str:
        """A job's exit status; empty where it has left none, or is begun again."""
        try:
            os.listdir(self.folder)  # has NFS look again
            return self.status_file(number).read_text().strip()
        except OSError:
            return ""

    def _known(self) -> set[int] | None:
        """The jobs that the scheduler still has; None where it does not answer."""
        done = subprocess.run(
            ["squeue", "--noheader", "--array", "--jobs", self.id, "--format", "%K"], capture_output=True, text=True
        )
        if done.returncode and "Invalid job id" not in done.stderr:
            return None
        return {int(word) for word in done.stdout.split() if word.isdigit()}

    def _note(self, number: int) -> None:
        told = (
            f"{NAME}: job {self.id}_{number} ended without a status: cancelled, out of time or memory, or its node died"
        )
        append(self.call.log_of(number), f"{told}\n# Ended (code 1) at {time.ctime()}\n")

    def cancel(self) -> str:
        """Cancel what has not ended, undisturbed by more signals; say what came of it."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if not self.id:
            return "nothing was submitted"
        done = subprocess.run(["scancel", self.id], capture_output=True, text=True, start_new_session=True)
        if done.returncode:
            return f"the array {self.id} lives on: scancel said {' '.join(done.stderr.split())}; call it again"
        self.id_file.unlink(missing_ok=True)
        return f"the array {self.id} was cancelled"


def run(call: Call) -> list[int]:
    """Run all jobs.

    Args:
        call: what is asked for.

    Returns:
        The numbers of those that failed.

    Raises:
        ValueError: for a config that does not fit the call, or a call that sbatch refuses.
    """
    grammar = read_grammar(Path(call.options.get("config", CONFIG)))
    given = {name.replace("-", "_"): value for name, value in call.options.items()}
    given = {name: value for name, value in given.items() if name not in ("config", "max_jobs_run")}
    given.setdefault("name", re.sub(r"\W+", "_", Path(call.log).stem))
    array = Array(call, grammar.words(given))
    try:
        array.submit()
        failed = array.wait()
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(array.cancel()) from stop
    array.id_file.unlink(missing_ok=True)
    return failed


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:], NAME, __doc__, run))
