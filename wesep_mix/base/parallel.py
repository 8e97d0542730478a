"""Many independent jobs over joblib's processes: ordered results, a progress bar, bad items named and counted.

Beside the standard library's pool (two processes, 2026-11-28): two thirds of stage 1's CPU time, and Ctrl-C ends the
workers in half a second instead of ten; they are kept from one call to the next, and need no sockets in TMPDIR.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from wesep_mix.base import jobs
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import Journal

T = TypeVar("T")
NO_LOCKS = "their locks need room in /dev/shm, make some (docker run: --shm-size=1g)"
HINTS = (  # of joblib, that do not concern the user
    "A worker stopped while some jobs",  # to free memory; its jobs are done by others
    r"\d+ tasks ",  # that were at work when one failed
)
LACKS = {
    errno.EMFILE: "raise the number of files that a process may have open (ulimit -n)",
    errno.EAGAIN: "raise the number of processes that you may have (ulimit -u), or end some",
    errno.ENOMEM: "they need more memory, free some",
}


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
    With WESEP_MIX_CMD set, `nj` jobs of a cluster do it (base.jobs).
    setting: what `max_bad` is called in the settings, `score.max_bad` say, for whoever is to raise it.
    Raises: UserError when more than `max_bad` items are bad.
    """
    pairs, bad = [], []
    with closing(_results(function, items, nj, title)) as results:  # ends the bar's line before an error is told
        for item, result in zip(items, results, strict=True):
            if isinstance(result, jobs.Failure):
                bad.append(result.message)
                if len(bad) > max_bad:
                    raise UserError(_too_many(title, bad, max_bad, setting))
                tqdm.write(f"warning: {title}: left out: {result.message}", file=sys.stderr)
                continue
            if keep is not None:
                keep(result)
            pairs.append((item, result))
    return pairs


def map_kept(
    function: Callable[[T], Any],
    items: Mapping[str, T],
    journal: Path,
    nj: int,
    title: str,
    max_bad: int = 0,
    setting: str = "",
) -> dict[str, Any]:
    """As `map_items`, and a run that was killed goes on where it was: results are kept in a journal as they come.

    Args:
        function: of one item; its result is what JSON can hold, NaN included.
        items: {id: item}. An id says all that the result depends on, so that of other inputs none is taken.
        journal: file for the results; the caller removes it once they are used.
        nj: as for `map_items`.
        title: as for `map_items`.
        max_bad: as for `map_items`; items that were bad before are tried again.
        setting: as for `map_items`.

    Returns:
        {id: result} of the good items, in the items' order.
    """
    with Journal(journal) as kept:
        done = {name: kept.rows[name]["result"] for name in items if name in kept.rows}
        if done:
            print(f"note: {title}: {len(done)} of {len(items)} were done before", flush=True)
        left = [(name, item) for name, item in items.items() if name not in done]
        found = map_items(partial(_named, function), left, nj, title, max_bad, kept.add, setting)
    done |= {row["id"]: row["result"] for _, row in found}
    return {name: done[name] for name in items if name in done}


def _named(function: Callable[[T], Any], item: tuple[str, T]) -> dict[str, Any]:
    return {"id": item[0], "result": function(item[1])}


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


def _results(function: Callable, items: Sequence, nj: int, title: str) -> Iterator[Any]:
    call = _Guarded(function)
    if jobs.wrapper() and items:
        yield from jobs.map_shares(call, items, nj, title)
        return
    if nj <= 1 or len(items) <= 1:
        yield from tqdm(map(call, items), total=len(items), desc=title, mininterval=1.0)
        return
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    for hint in HINTS:
        warnings.filterwarnings("ignore", hint, UserWarning)
    with joblib.parallel_config("loky", inner_max_num_threads=1), starting(title, "--nj 1"):
        results = joblib.Parallel(nj, return_as="generator")(map(joblib.delayed(call), items))
    try:
        with closing(results):
            yield from tqdm(results, total=len(items), desc=title, mininterval=1.0)
    except TerminatedWorkerError as err:
        raise UserError(f"{title}: a worker process was killed, often for want of memory; lower --nj") from err


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
            return jobs.Failure(str(err))
