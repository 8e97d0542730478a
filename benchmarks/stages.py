"""How long every stage of the recipe takes, and how much CPU time.

    python benchmarks/stages.py [any option of run.sh]

Each stage is a call of run.sh of its own, after another, so that the start of Python and the check of the configs are
in it. CPU time is that of all processes, those too whose parent ended before them. Printed is a Markdown table.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from wesep_mix.base.installed import revision, shown, versions

ROOT = Path(__file__).resolve().parents[1]
PR_SET_CHILD_SUBREAPER = 36  # Linux: processes without a parent become children of this one, which waits for them
STAGES = range(1, 10)


class Taken(NamedTuple):
    """Seconds of a command: on the clock, and of CPU time of all its processes."""

    wall: float
    cpu: float


def main(options: Sequence[str]) -> int:
    """Print the table of all stages; return the status of the first call that failed, after which none is made."""
    print(f"{date.today()}, revision {revision()}, {os.cpu_count()} cores, {platform.machine()}, {shown(versions())}\n")
    print("| stage | wall s | CPU s |\n| --- | ---: | ---: |")
    found = []
    for stage in STAGES:
        command = ["bash", str(ROOT / "run.sh"), *options, "--stage", str(stage), "--stop_stage", str(stage)]
        status, taken = timed(command)
        if status:
            return status
        found.append(taken)
        print(f"| {stage} | {taken.wall:.0f} | {taken.cpu:.0f} |", flush=True)
    print(f"| all | {sum(taken.wall for taken in found):.0f} | {sum(taken.cpu for taken in found):.0f} |")
    return 0


def timed(command: Sequence[str]) -> tuple[int, Taken]:
    """Run a command, its output to stderr, and wait for all processes that it leaves; its status and what it took."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before, start = _cpu_of_children(), time.monotonic()
    status = subprocess.run(command, stdout=sys.stderr).returncode
    wall = time.monotonic() - start
    while _reaped():
        pass
    return status, Taken(wall, _cpu_of_children() - before)


def _reaped() -> bool:
    """Wait for a child that is left, if there is one."""
    try:
        os.wait()
    except ChildProcessError:
        return False
    return True


def _cpu_of_children() -> float:
    """Of children that were waited for, and of those that they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
