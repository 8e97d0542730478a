"""Several commands at once, as children that do not outlive this process, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # Linux: the signal that a child gets when its parent dies
BAR_POSITION = "WESEP_MIX_BAR_POSITION"  # line of a child's progress bar on the terminal


def run_together(commands: Sequence[Sequence[str]]) -> int:
    """Run all commands, wait for all, return 0 or the first exit status that is not.

    When one fails the others are ended; Ctrl-C reaches all, and each says for itself how to go on.
    """
    children = [
        subprocess.Popen(command, preexec_fn=_die_with_parent, env={**os.environ, BAR_POSITION: str(place)})
        for place, command in enumerate(commands)
    ]
    try:
        status = _wait(children)
    except KeyboardInterrupt:
        status = 130
    for child in children:
        if status not in (0, 130):
            child.terminate()
        child.wait()
    return status


def _wait(children: Sequence[subprocess.Popen]) -> int:
    running = list(children)
    while running:
        for child in list(running):
            try:
                status = child.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
            if status:
                return status
            running.remove(child)
    return 0


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
