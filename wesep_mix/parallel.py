"""Many independent jobs over processes: ordered results, a progress bar, bad items named and counted."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from tqdm import tqdm

from wesep_mix.errors import UserError

T = TypeVar("T")
THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class _Failure:
    message: str


def map_items(
    function: Callable[[T], Any], items: Sequence[T], nj: int, title: str, max_bad: int = 0,
    keep: Callable[[Any], None] | None = None, setting: str = "",
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


def _results(function: Callable, items: Sequence, nj: int, title: str) -> Iterator[Any]:
    call = _Guarded(function)
    if nj <= 1 or len(items) <= 1:
        yield from tqdm(map(call, items), total=len(items), desc=title, mininterval=1.0)
        return
    context = multiprocessing.get_context("forkserver")  # which imports once for all pools of this process
    context.set_forkserver_preload([getattr(function, "func", function).__module__])
    with _one_thread_each(), ProcessPoolExecutor(nj, context) as pool:
        chunk = max(1, min(16, len(items) // (4 * nj)))
        try:
            yield from tqdm(pool.map(call, items, chunksize=chunk), total=len(items), desc=title, mininterval=1.0)
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
        except UserError as err:
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
