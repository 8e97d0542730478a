"""One process at a time in a folder: a lock beside it, which other processes can also ask about."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from wesep_mix.base.errors import UserError

HELD = (errno.EAGAIN, errno.EACCES)  # errors of a lock that another process holds
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def alone_in(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold a lock beside a folder; it ends with this process, however that ends.

    A file system without locks is reported once, and nothing is locked. It is `lockf`, not `flock`: a data loader's
    workers would inherit an `flock`, and they outlive a killed parent by seconds.

    Args:
        folder: the folder to work in.
        wait: wait for a process that holds the lock.

    Yields:
        Nothing.

    Raises:
        UserError: another process holds the lock, and `wait` is not set; or the folder would lie in a file.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as err:
        raise UserError(f"{folder.parent}: wanted a folder, found a file") from err
    with open(_lock_of(folder), "w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as err:
            if err.errno in HELD and not wait:
                raise UserError(f"{folder}: another process is at work there; wait for it, or end it") from err
            if err.errno not in NO_LOCKS:
                raise
            _report_no_locks(err.strerror)
        yield


def is_held(folder: Path) -> bool:
    """Whether another process holds the lock of `alone_in`; asks without taking it."""
    question = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # struct flock
    try:
        with open(_lock_of(folder)) as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, question)
    except OSError:  # there is none, or locks cannot be had here
        return False
    return struct.unpack("hhqqi", answer)[0] != fcntl.F_UNLCK


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


@cache
def _report_no_locks(reason: str) -> None:
    print(
        f"note: this file system has no locks ({reason}): make sure that no two runs work in one folder",
        file=sys.stderr,
        flush=True,
    )
