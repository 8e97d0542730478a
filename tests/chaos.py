"""`kill -9` at random moments of the recipe on a tiny corpus: does the same command complete, with the same results?

    python tests/chaos.py --kills 20 --seed 0 --work FOLDER

The command, stages 1 to 9, is run undisturbed first. Then, once for every kill, it is run from an empty folder, all
processes of its group get SIGKILL at a moment, and the same command is given again, which must complete. In the end
every file in data and exp must be, to the last bit, that of the undisturbed run: lists, plans, checkpoints, weights,
embeddings, audio, scores, results.json, the stages' states. Left out are what says when something ran or where it was
computed (the folders `logs` and `jobs`), locks, and of a checkpoint the key `current_score`, which Lightning does not
load again.

The moments are drawn from equal shares of the undisturbed run's time, one from each. The first kill and every third
after it are of `run.sh --cmd tools/run_local.py --nj 2`, the others of `--nj 1`. Jobs are in sessions of their own:
those of a killed wrapper live on while the command is given again, as a cluster's do.

Printed is a Markdown table; the status is 1 if a kill left a trace.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).with_name("helpers")))

from contents import contents, differences
from tiny import command_of, environment

from wesep_mix.base.files import read_json
from wesep_mix.base.installed import revision, shown, versions
from wesep_mix.base.stage import STATE_FILE

PR_SET_CHILD_SUBREAPER = 36  # Linux: processes without a parent become children of this one, which waits for them
LONGER = {"trainer.max_steps": "16"}  # eight checkpoints, so that kills fall between them
WRAPPED = ("--cmd", "tools/run_local.py", "--nj", "2")
STAGE = re.compile(r"^== stage (\d): ([^,\n]*).* ==$", re.MULTILINE)
LEFTOVER = re.compile(r"\..+\.\d+\.tmp(\..*)?")
POLL_S = 0.01
COLUMNS = ("kill", "by", "s after its start", "stage", "on disk", "then")


class Begun(NamedTuple):
    """An entry point that run.sh has begun: its stage, its name, and when, in seconds from run.sh's start."""

    stage: int
    name: str
    at: float


class Disturbed(NamedTuple):
    """A run that was killed: what it was at, for how long it had been, and what lay on disk then."""

    begun: Begun
    after: float
    found: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run undisturbed, then with each kill; print the table.

    Args:
        argv: arguments; None for those of the command line.

    Returns:
        0 if after every kill the same command completed with the same results, else 1.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="the first kill to do, where earlier ones are done")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--stop_stage", type=int, default=9, help="the last stage that the command runs")
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs, not there yet")
    args = parser.parse_args(argv)
    args.work.mkdir(parents=True)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    run, log = args.work.absolute() / "run", args.work.absolute() / "run.log"
    command = command_of(run, "--stop_stage", args.stop_stage, settings=LONGER)
    begun, ended = undisturbed(command, log)
    wanted = contents(run)
    run.rename(args.work / "undisturbed")
    _print_head(args, ended, len(wanted))
    failed = 0
    drawn = moments(args.kills, ended, random.Random(args.seed))
    for number, moment in enumerate(drawn[args.first - 1 :], start=args.first):
        full = [*command, *(WRAPPED if number % 3 == 1 else ())]
        target = max((entry for entry in begun if entry.at <= moment), key=lambda entry: entry.at, default=begun[0])
        disturbed = killed(full, log, run, target, max(0.0, moment - target.at))
        wrong = completed(full, log) or "; ".join(differences(wanted, contents(run)))
        if wrong:
            failed += 1
            keep(args.work / f"kill_{number}", run, log)
        shutil.rmtree(run, ignore_errors=True)
        _print_row(number, "--cmd" if "--cmd" in full else "--nj 1", disturbed, wrong)
    done = args.kills - args.first + 1
    print(f"\n{done - failed} of {done} completed with the results of the undisturbed run.")
    return 1 if failed else 0


def moments(number: int, length: float, draw: random.Random) -> list[float]:
    """A moment from each of `number` equal shares of a length of time."""
    return [(place + draw.random()) * length / number for place in range(number)]


def undisturbed(command: Sequence[str], log: Path) -> tuple[list[Begun], float]:
    """Run a command to its end.

    Args:
        command: of run.sh.
        log: file for what it says.

    Returns:
        The entry points as they were begun, and how long it took in seconds.

    Raises:
        RuntimeError: it failed.
    """
    with _started(command, log) as process:
        start = time.monotonic()
        *_, begun = _watched(process, log)
    if process.returncode:
        raise RuntimeError(f"the undisturbed run failed:\n{log.read_text()}")
    return begun, time.monotonic() - start


def killed(command: Sequence[str], log: Path, run: Path, target: Begun, after: float) -> Disturbed:
    """Run a command from an empty folder and kill it; if it ends before its moment, again at half of that.

    Args:
        command: of run.sh.
        log: file for what it says.
        run: where its data and exp lie.
        target: the entry point to hit.
        after: seconds from the line in which run.sh says that it begins that, to the kill.

    Returns:
        What it was at.
    """
    shutil.rmtree(run, ignore_errors=True)
    with _started(command, log) as process:
        start = time.monotonic()
        for begun in _watched(process, log):
            now = time.monotonic() - start
            if any(entry[:2] == target[:2] and now - entry.at >= after for entry in begun):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return Disturbed(begun[-1], now - begun[-1].at, on_disk(run))
    return killed(command, log, run, target, after / 2)


def completed(command: Sequence[str], log: Path) -> str:
    """Give a command again, and wait for it and for the jobs of a killed wrapper.

    Args:
        command: of run.sh.
        log: file to which what it says is appended.

    Returns:
        What is wrong: nothing where it succeeds.
    """
    with open(log, "a") as file:
        status = subprocess.call(command, env=environment(), stdout=file, stderr=subprocess.STDOUT)
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return f"status {status}" if status else ""


def keep(folder: Path, *paths: Path) -> None:
    """Move what a kill has left a trace in to a folder, to look at."""
    folder.mkdir()
    for path in paths:
        shutil.move(path, folder)


def on_disk(run: Path) -> str:
    """What a killed run has left, in words: parts done and begun, temporary files, results of jobs."""
    states = {path.parent.relative_to(run): read_json(path)["done"] for path in sorted(run.rglob(STATE_FILE))}
    files = [path for path in run.rglob("*") if path.is_file()]
    halves = [path for path in files if LEFTOVER.fullmatch(path.name)]
    shares = [path for path in files if re.fullmatch(r"share\.\d+\.pkl", path.name)]
    begun = ", ".join(
        "/".join(place.parts[2:]) + " (checkpoint)" * (run / place / "checkpoints" / "last.ckpt").is_file()
        for place, done in states.items()
        if not done
    )
    counts = [f"{len(files)} files", f"{sum(states.values())} parts done"]
    counts += [f"begun: {begun}"] * bool(begun) + [f"{len(halves)} half-written"] * bool(halves)
    return "; ".join(counts + [f"{len(shares)} jobs' results"] * bool(shares))


def _started(command: Sequence[str], log: Path) -> subprocess.Popen:
    with open(log, "w") as file:
        return subprocess.Popen(
            command, env=environment(), stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )


def _watched(process: subprocess.Popen, log: Path) -> Iterator[list[Begun]]:
    """Yield, again and again until a run ends, what it has begun so far."""
    start, begun = time.monotonic(), []
    while process.poll() is None:
        told = STAGE.findall(log.read_text(errors="replace"))
        begun += [Begun(int(stage), name, time.monotonic() - start) for stage, name in told[len(begun) :]]
        yield begun
        time.sleep(POLL_S)


def _print_head(args: argparse.Namespace, ended: float, num_files: int) -> None:
    words = ["tests/chaos.py", "--kills", str(args.kills), "--seed", str(args.seed)]
    words += ["--first", str(args.first)] * (args.first != 1)
    words += ["--stop_stage", str(args.stop_stage)] * (args.stop_stage != 9)
    print(f"`{shlex.join(['python', *words])}`, {date.today()}, revision {revision()}, {os.cpu_count()} cores,")
    print(f"{shown(versions())}. The undisturbed run took {ended:.0f} s; {num_files} of its files are compared.\n")
    print(f"| {' | '.join(COLUMNS)} |\n| ---: | --- | ---: | --- | --- | --- |")


def _print_row(number: int, way: str, disturbed: Disturbed, wrong: str) -> None:
    place = f"{disturbed.begun.stage} {disturbed.begun.name}"
    then = wrong or "completed, the same"
    print(f"| {number} | {way} | {disturbed.after:.2f} | {place} | {disturbed.found} | {then} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
