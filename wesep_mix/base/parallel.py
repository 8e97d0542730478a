"""Many independent jobs over processes: ordered results, a progress bar, bad items named and counted."""

from __future__ import annotations

import errno
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import util
from typing import Any, TypeVar

from tqdm import tqdm

from wesep_mix.base.errors import UserError

T = TypeVar("T")
THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LONGEST_SOCKET = 107  # bytes of a socket's path
SOCKET = "/pymp-xxxxxxxx/listener-xxxxxxxx"  # what multiprocessing adds to the folder for temporary files
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
NO_LOCKS = "their locks need room in /dev/shm, make some (docker run: --shm-size=1g)"
LACKS = {
    errno.EMFILE: "raise the number of files that a process may have open (ulimit -n)",
    errno.EAGAIN: "raise the number of processes that you may have (ulimit -u), or end some",
    errno.ENOMEM: "they need more memory, free some",
}


@dataclass(frozen=True)
class _Failure:
    message: str


def map_items(
    function: Callable[[T], Any],
    items: Sequence[T],
    nj: int,
    title: str,
    max_bad: int = 0,
    keep: Callable[[Any], None] | None = None,
    setting: str = "",
) -> list[tuple[T, Any]]:
    """Apply `function` to every item in `nj` processes; return (item, result) pairs in the items' order.

    An item whose function raises UserError is bad: it is reported, counted and left out.
    keep: called in this process with every result as it comes, in the items' order.
    setting: what `max_bad` is called in the settings, `score.max_bad` say, for whoever is to raise it.
    Raises: UserError when more than `max_bad` items are bad.
    """
    pairs, bad = [], []
    with closing(_results(function, items, nj, title)) as results:  # ends the bar's line before an error is told
        for item, result in zip(items, results, strict=True):
            if isinstance(result, _Failure):
                bad.append(result.message)
                if len(bad) > max_bad:
                    raise UserError(_too_many(title, bad, max_bad, setting))
                tqdm.write(f"warning: {title}: left out: {result.message}", file=sys.stderr)
                continue
            if keep is not None:
                keep(result)
            pairs.append((item, result))
    return pairs


def _too_many(title: str, bad: Sequence[str], max_bad: int, setting: str) -> str:
    allowed = "" if max_bad == 0 else f" (bad item {len(bad)}, max_bad is {max_bad})"
    way_on = f"; mend it, or leave it out with --set {setting}={len(bad)}" if setting else ""
    return f"{title}: {bad[-1]}{allowed}{way_on}"


@contextmanager
def starting(who: str, none: str) -> Iterator[None]:
    """For the start of worker processes. Raises: UserError that says what they lack.

    none: the setting that does without them.
    """
    try:
        yield
    except (OSError, EOFError) as err:
        lack = LACKS.get(getattr(err, "errno", None), NO_LOCKS)
        raise UserError(
            f"{who}: worker processes cannot be started ({_reason(err)}): {lack}, or do without them: {none}"
        ) from err


def out_of_handles() -> UserError | None:
    """What to tell instead of an error that is there because this process has as many files open as it may."""
    try:
        os.close(os.dup(0))
    except OSError as err:
        if err.errno in (errno.EMFILE, errno.ENFILE):
            return UserError(f"{_reason(err)}: {LACKS[errno.EMFILE]}")
    return None


def _reason(err: Exception) -> str:
    return getattr(err, "strerror", None) or str(err) or type(err).__name__


@cache
def _put_sockets_elsewhere(folder: str) -> None:
    """Have multiprocessing's private folder of sockets, which it removes in the end, elsewhere than in a long `folder`.

    Raises: UserError where no other can be written.
    """
    size, most = len(os.fsencode(folder)), LONGEST_SOCKET - len(SOCKET)
    if size <= most:
        return
    short = next((other for other in SHORT_FOLDERS if os.access(other, os.W_OK | os.X_OK)), None)
    too_long = f"TMPDIR is too long for the sockets of worker processes ({size} bytes, at most {most})"
    if short is None:
        raise UserError(
            f"{too_long}, and none of {', '.join(SHORT_FOLDERS)} can be written; set it to another "
            "folder, or do without workers: --nj 1"
        )
    print(f"note: {too_long}: these are in {short}", file=sys.stderr, flush=True)
    before, tempfile.tempdir = tempfile.tempdir, short
    try:
        util.get_temp_dir()  # which is kept
    finally:
        tempfile.tempdir = before


def _results(function: Callable, items: Sequence, nj: int, title: str) -> Iterator[Any]:
    call = _Guarded(function)
    if nj <= 1 or len(items) <= 1:
        yield from tqdm(map(call, items), total=len(items), desc=title, mininterval=1.0)
        return
    _put_sockets_elsewhere(tempfile.gettempdir())
    context = multiprocessing.get_context("forkserver")  # which imports once for all pools of this process
    context.set_forkserver_preload([getattr(function, "func", function).__module__])
    with ExitStack() as stack:
        stack.enter_context(_one_thread_each())
        with starting(title, "--nj 1"):
            pool = stack.enter_context(ProcessPoolExecutor(nj, context))
            results = pool.map(call, items, chunksize=max(1, min(16, len(items) // (4 * nj))))
        try:
            yield from tqdm(results, total=len(items), desc=title, mininterval=1.0)
        except BrokenProcessPool as err:
            raise UserError(f"{title}: a worker process was killed, often for want of memory; lower --nj") from err
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@dataclass(frozen=True)
class _Guarded:
    """Carries a user's error over the process border as a value, so that one bad item does not end the others."""

    function: Callable

    def __call__(self, item: Any) -> Any:
        try:
            return self.function(item)
        except (UserError, OSError) as err:
            if out := out_of_handles():
                raise out from err
            if isinstance(err, OSError):
                raise
            return _Failure(str(err))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Children inherit one BLAS thread each; `nj` processes already use all cores."""
    before = {name: os.environ.get(name) for name in THREAD_LIMITS}
    os.environ.update({name: "1" for name in THREAD_LIMITS})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
