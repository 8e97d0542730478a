"""Ctrl-C and SIGTERM end a program in the same way: what it holds is let go, and a word says how it goes on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # a shell's statuses
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}


class Terminated(KeyboardInterrupt):
    """SIGTERM came: all that minds Ctrl-C minds this."""


class Stop:
    """Which of the two signals has come, if one has."""

    number: int | None = None

    @property
    def word(self) -> str:
        return WORDS[self.number or signal.SIGINT]

    @property
    def status(self) -> int:
        return 128 + (self.number or signal.SIGINT)


@contextmanager
def terminable() -> Iterator[Stop]:
    """SIGTERM raises Terminated meanwhile, and SIGINT KeyboardInterrupt as ever; in a thread nothing changes.

    What is being imported may make another error of them, so that they are noted as well.
    """
    stop, owner = Stop(), os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner and number == signal.SIGTERM:  # a forked process ends as it would without this
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
        for number, handler in before.items():
            signal.signal(number, handler)


def end_at_once() -> None:
    """Let both signals end a program that is still being loaded, and so holds nothing."""
    for number in WORDS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _end_at_once)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os.write(sys.__stderr__.fileno(), f"\n{WORDS[number]} before the work began; the same command begins it\n".encode())
    os._exit(128 + number)
