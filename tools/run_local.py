#!/usr/bin/env python3
"""Run jobs on this machine, called as Kaldi's run.pl is:

    tools/run_local.py [--max-jobs-run N] [options] JOB=1:N exp/log/score.JOB.log COMMAND ... JOB ...

JOB, in the log's name and in the command, is each number from the first to the last; without JOB=... there is one job.
At most N jobs run at once, by default as many as there are processors. Each has a log with its command, times and exit
status; of those that fail the last lines are shown, and then the status is 1. --mem, --gpu, --time, --num-threads,
--config and whatever else a cluster would be told, each with a value, are taken and change nothing here. Ctrl-C ends
the jobs with all that they have started. A command that is one word with spaces in it is a line for bash.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SHOWN = 10  # last lines of a failed job's log
GRACE_S = 5.0  # from SIGTERM to SIGKILL


@dataclass(frozen=True)
class Call:
    """What the wrapper was asked for.

    Attributes:
        options: by name, without the hyphens in front.
        variable: what stands for the job's number, such as JOB; "" for one job.
        first: the first number.
        last: the last number.
        log: the log's name, with the variable in it.
        command: program and arguments.
    """

    options: dict[str, str]
    variable: str
    first: int
    last: int
    log: str
    command: tuple[str, ...]

    def log_of(self, number: int) -> Path:
        """The log of a job."""
        return Path(self._filled(self.log, number))

    def command_of(self, number: int) -> list[str]:
        """Program and arguments of a job."""
        words = [self._filled(word, number) for word in self.command]
        return ["bash", "-c", words[0]] if len(words) == 1 and " " in words[0] else words

    def _filled(self, text: str, number: int) -> str:
        return text.replace(self.variable, str(number)) if self.variable else text


def parse(argv: Sequence[str]) -> Call:
    """Read a call in the form of Kaldi's wrappers.

    Args:
        argv: all but the program's name.

    Returns:
        What is asked for.

    Raises:
        ValueError: saying what is missing or wrong.
    """
    words, options = list(argv), {}
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if not words:
            raise ValueError(f"{option}: wanted a value behind it, found none")
        options[option.lstrip("-").replace("_", "-")] = words.pop(0)
    variable, first, last = "", 1, 1
    if words and (found := re.fullmatch(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?", words[0])):
        words.pop(0)
        variable, first = found[1], int(found[2])
        last = int(found[3] or first)
    if first > last:
        raise ValueError(f"{variable}={first}:{last}: wanted numbers that rise, found none between them")
    if len(words) < 2:
        raise ValueError("wanted a log and a command, as in JOB=1:4 log/x.JOB.log python x.py JOB")
    log, *command = words
    if last > first and variable not in log:
        raise ValueError(f"{log}: wanted {variable} in the log's name, which {last - first + 1} jobs would share")
    return Call(options, variable, first, last, log, tuple(command))


def start(call: Call, number: int) -> tuple[subprocess.Popen, float]:
    """Start a job in a session of its own, its output in its log.

    Args:
        call: what is asked for.
        number: of the job.

    Returns:
        The process, and when it was started.
    """
    log, command = call.log_of(number), call.command_of(number)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w", encoding="utf-8") as file:
            file.write(f"# {shlex.join(command)}\n# Started at {time.ctime()}\n#\n")
            file.flush()
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
                )
            except OSError as err:
                file.write(f"{command[0]}: {err.strerror}\n")
                process = subprocess.Popen(["false"], start_new_session=True)
    except OSError as err:
        print(f"{log}: {err.strerror}; a job without a log is not started", file=sys.stderr)
        process = subprocess.Popen(["false"], start_new_session=True)
    return process, time.time()


def append(log: Path, text: str) -> None:
    """Write on in a job's log; where that is full or gone, on stderr, so that the other jobs go on.

    Args:
        log: of the job.
        text: whole lines.
    """
    try:
        with open(log, "a", encoding="utf-8") as file:
            file.write(text)
    except OSError as err:
        print(f"{log}: {err.strerror}; not written: {' '.join(text.split())}", file=sys.stderr)


def close(log: Path, status: int, began: float) -> None:
    """Write a job's end into its log.

    Args:
        log: of the job.
        status: its exit status, below 0 for a signal.
        began: when it was started.
    """
    code = status if status >= 0 else 128 - status
    accounting = f"# Accounting: time={time.time() - began:.0f} threads=1"
    append(log, f"{accounting}\n# Ended (code {code}) at {time.ctime()}\n")


def end_all(processes: Sequence[subprocess.Popen]) -> None:
    """End jobs with all that they have started: SIGTERM, and after some seconds SIGKILL."""
    for sign, patience in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        for process in processes:
            try:
                os.killpg(process.pid, sign)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + patience
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            time.sleep(0.05)


def run(call: Call) -> list[int]:
    """Run all jobs.

    Args:
        call: what is asked for.

    Returns:
        The numbers of those that failed.
    """
    most = int(call.options.get("max-jobs-run", os.cpu_count() or 1))
    waiting, running, failed = list(range(call.first, call.last + 1)), {}, []
    try:
        while waiting or running:
            while waiting and len(running) < most:
                number = waiting.pop(0)
                running[number] = start(call, number)
            for number, (process, began) in list(running.items()):
                if process.poll() is not None:
                    del running[number]
                    close(call.log_of(number), process.returncode, began)
                    failed += [number] * (process.returncode != 0)
            time.sleep(0.02)
    except KeyboardInterrupt as stop:
        end_all([process for process, _ in running.values()])
        for number, (process, began) in running.items():
            close(call.log_of(number), process.poll() if process.poll() is not None else -signal.SIGKILL, began)
        raise KeyboardInterrupt("the jobs were ended") from stop
    return sorted(failed)


# Bash that `command_wrapper` wants before it. SIGUSR1 is passed on to the job. SIGTERM comes to the job by itself, and
# the script stays until the job has ended, which may want to write a checkpoint.
ENDING = """\
signalled= ended=
trap 'signalled=1; kill -USR1 "$job"' USR1
trap 'signalled=1 ended=1' TERM
wait_for_job() { while signalled=; wait "$job"; code=$?; [ -n "$signalled" ]; do :; done; }
"""


def command_wrapper(command: Sequence[str], log: Path, status: Path) -> str:
    """A line for bash that runs a job elsewhere, with the log that `start` and `close` write here, appended to it.

    A job that was ended from outside leaves no status: it may be run again (requeued).

    Args:
        command: program and arguments.
        log: of the job.
        status: file that gets the exit status, whole or not at all, once the job has ended.

    Returns:
        The line.
    """
    log_word, status_word = shlex.quote(str(log)), shlex.quote(str(status))
    head = shlex.quote(f"# {shlex.join(command)}")
    return (
        f"rm -f {status_word}; began=$(date +%s); "
        f'{{ echo {head}; echo "# Started at $(date) on $(hostname)"; echo "#"; }} >> {log_word}; '
        f"{shlex.join(command)} >> {log_word} 2>&1 < /dev/null & job=$!; wait_for_job; "
        f'{{ echo "# Accounting: time=$(( $(date +%s) - began )) threads=1"; '
        f'echo "# Ended (code $code) at $(date)"; }} >> {log_word}; '
        f'[ "$code" -ne 0 ] && [ -n "$ended" ] || '
        f"{{ echo $code > {status_word}.new && mv {status_word}.new {status_word}; }}"
    )


def tell(call: Call, failed: Sequence[int], name: str) -> None:
    """Say on stderr which jobs failed, with the last lines of their logs.

    Args:
        call: what was asked for.
        failed: numbers of jobs, at least one.
        name: of the wrapper.
    """
    total = call.last - call.first + 1
    print(f"{name}: {len(failed)} of {total} jobs failed, see {call.log_of(failed[0])}", file=sys.stderr)
    for number in failed:
        try:
            lines = call.log_of(number).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as err:
            lines = [f"no log: {err.strerror}"]
        body = [line for line in lines if not line.startswith("#")][-SHOWN:]
        print(f"-- {call.log_of(number)}:", *body, sep="\n", file=sys.stderr)


def serve(argv: Sequence[str], name: str, usage: str, work: Callable[[Call], list[int]]) -> int:
    """What any wrapper does around its work: read the call, and say what came of it.

    Args:
        argv: all but the program's name.
        name: of the wrapper, for what it says.
        usage: for --help.
        work: runs the jobs and gives the numbers of those that failed. It raises ValueError for a call that is wrong,
            and after Ctrl-C or SIGTERM, once it has ended the jobs, KeyboardInterrupt with what it did.

    Returns:
        The status: 0 where all succeeded, 1 where one failed, 2 for a call that is wrong, 130 after Ctrl-C.
    """

    def interrupted(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if not argv or argv[0] in ("-h", "--help"):
        print(usage)
        return 0 if argv else 2
    signal.signal(signal.SIGTERM, interrupted)
    try:
        call = parse(argv)
        failed = work(call)
    except ValueError as err:
        print(f"{name}: {err}", file=sys.stderr)
        return 2
    except OSError as err:
        print(f"{name}: {err.filename}: {err.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"\n{name}: interrupted{', ' * bool(stop.args)}{stop}", file=sys.stderr)
        return 130
    if failed:
        tell(call, failed, name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:], Path(__file__).name, __doc__, run))
