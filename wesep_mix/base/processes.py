"""Several commands at once, as children that never outlive this process, however it ends."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from wesep_mix.base.stops import INTERRUPTED, TERMINATED, Terminated

PR_SET_PDEATHSIG = 1  # Linux: the signal that a child gets when its parent dies
BAR_POSITION = "WESEP_MIX_BAR_POSITION"  # line of a child's progress bar on the terminal
POLL_S = 0.1


def run_together(
    commands: Sequence[Sequence[str]], at_once: int | None = None, variables: Mapping[str, str] | None = None
) -> int:
    """Run commands side by side and wait for all of them.

    If one fails, it is named and the others are ended. Ctrl-C reaches all of them, SIGTERM is passed on, and each says
    for itself how to go on.

    Args:
        commands: the commands, each as a list of arguments.
        at_once: how many run at a time; None: all.
        variables: environment variables to set for them, beside this process's own.

    Returns:
        0, or the first other exit status (128 + the signal for a child that was killed).
    """
    waiting, running, status = list(commands), {}, 0  # running: {line of the progress bar: child}
    places = range(at_once or max(1, len(waiting)))
    try:
        while (waiting or running) and not status:
            for place in places:
                if place not in running and waiting:
                    running[place] = _start(waiting.pop(0), place, variables or {})
            time.sleep(POLL_S)
            status = _reap(running)
    except Terminated:
        status = TERMINATED
    except KeyboardInterrupt:
        status = INTERRUPTED
    for child in running.values():
        if status != INTERRUPTED:
            child.terminate()
        child.wait()
    return status


def run_alone(command: Sequence[str]) -> int:
    """Run a command and wait for it, however long it takes to end after Ctrl-C or SIGTERM, which is passed on.

    Args:
        command: program and arguments.

    Returns:
        Its exit status (128 + the signal if it was killed).

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM came, and the command has ended.
        OSError: it cannot be started.
    """
    child = _start(command, 0, {})
    try:
        return _status(child.wait())
    except KeyboardInterrupt as stop:
        if isinstance(stop, Terminated):
            child.terminate()
        child.wait()
        raise


def _status(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode


def _start(command: Sequence[str], place: int, variables: Mapping[str, str]) -> subprocess.Popen:
    environment = {**os.environ, **variables, BAR_POSITION: str(place)}
    return subprocess.Popen(command, preexec_fn=_die_with_parent, env=environment)


def _reap(running: dict[int, subprocess.Popen]) -> int:
    """Remove the children that have ended; return the first exit status among them that is not 0, else 0."""
    ended = {place: child for place, child in running.items() if child.poll() is not None}
    for place in ended:
        del running[place]
    failed = next((child for child in ended.values() if child.returncode), None)
    if failed is None:
        return 0
    status = _status(failed.returncode)
    if status not in (INTERRUPTED, TERMINATED):  # it has said so itself
        print(f"status {status}: {shlex.join(map(str, failed.args))}", file=sys.stderr)
    return status


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
