"""Ctrl-C and SIGTERM end a program in the same way: it lets go of what it holds, and says how to go on."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# A shell's statuses.
INTERRUPTED, TERMINATED, UNREAD = 128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGPIPE
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}


class Terminated(KeyboardInterrupt):
    """SIGTERM came. Code that handles Ctrl-C handles this too."""


class Stop:
    """Which of the two signals has come, if one has."""

    number: int | None = None

    @property
    def word(self) -> str:
        """What happened, in words, for a message."""
        return WORDS[self.number or signal.SIGINT]

    @property
    def status(self) -> int:
        """The exit status that a shell gives for it: 128 + the signal's number."""
        return 128 + (self.number or signal.SIGINT)


@contextmanager
def terminable() -> Iterator[Stop]:
    """Meanwhile SIGTERM raises Terminated, and SIGINT KeyboardInterrupt as always; in a thread nothing changes.

    Code that is being imported may turn either into another error, so the signal is noted too.

    Yields:
        The note: which signal came.
    """
    stop, owner = Stop(), os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner and number == signal.SIGTERM:  # a forked process ends as it would without us
            os._exit(TERMINATED)
        stop.number = number
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in WORDS}
    for number, handler in before.items():
        if handler in (signal.SIG_DFL, signal.default_int_handler, _end_at_once):
            signal.signal(number, end)
    try:
        yield stop
    finally:
        for number, handler in before.items():  # a program that is ending is not told to end once more
            signal.signal(number, signal.SIG_IGN if stop.number and handler is _end_at_once else handler)


def nobody_reads() -> bool:
    """Whether what read this program's output has ended, as `head` does; then the rest goes nowhere."""
    try:
        asked = select.poll()
        asked.register(sys.stdout.fileno(), 0)
        if not any(event & select.POLLERR for _, event in asked.poll(0)):
            return False
    except (OSError, ValueError):  # not a file, or closed
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes once more when it ends
    return True


def end_at_once() -> None:
    """Let both signals end a program that is still loading, and so holds nothing yet."""
    for number in WORDS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _end_at_once)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os.write(sys.__stderr__.fileno(), f"\n{WORDS[number]} before the work began; the same command begins it\n".encode())
    os._exit(128 + number)
