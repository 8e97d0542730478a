"""A call in a process of its own, forked from this one, whose state it leaves as it was.

espeak-ng can't be reset, so each utterance is spoken in such a fork. That costs some milliseconds, and makes
an utterance's samples independent of all others.
"""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Any, NoReturn


def call_forked(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return `function(*arguments)`, computed in a forked child; the result travels pickled.

    Raises: what the function raised, with a RuntimeError that holds the child's traceback as its cause;
        RuntimeError when the child ended without an answer.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(writing, function, arguments)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if not answer:
        raise RuntimeError(f"{function.__name__}: its process ended without an answer (wait status {status})")
    result, error, trace = pickle.loads(answer)
    if error is not None:
        raise error from RuntimeError(f"in the forked process:\n{trace}")
    return result


def _answer(writing: int, function: Callable[..., Any], arguments: tuple) -> NoReturn:
    """Run in the child; it never returns, so that nothing of the parent's clean-up runs twice."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    try:
        answer = (function(*arguments), None, "")
    except Exception as err:
        answer = (None, err, traceback.format_exc())
    try:
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
    finally:
        os._exit(0)
