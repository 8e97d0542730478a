"""Independent work as jobs of a cluster: shares of the items of `base.parallel.map_items`, by any Kaldi-style wrapper.

The variable WESEP_MIX_CMD (`run.sh --cmd`) holds the wrapper and its options, such as `tools/slurm.py --mem 4G`; it is
called `$cmd JOB=1:N LOG.JOB.log python -m wesep_mix.base.jobs FOLDER JOB N`. The items, the function and each share's
results lie in a folder below WESEP_MIX_JOBS (`exp/jobs`), which all machines must see, until all shares are there. A
share that failed is done again alone when the same work is asked for again.

The files are pickles, written and read by this project alone; who may write to the folder may run code.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write
from wesep_mix.base.installed import revision

CMD, FOLDER = "WESEP_MIX_CMD", "WESEP_MIX_JOBS"
WORK = "work.pkl"


def wrapper() -> list[str]:
    """The wrapper and its options, as words; empty where work stays in this process and its children."""
    return shlex.split(os.environ.get(CMD, ""))


def map_shares(function: Callable[[Any], Any], items: Sequence[Any], num_shares: int, title: str) -> list[Any]:
    """Apply a function to every item, in jobs that the wrapper runs.

    Args:
        function: of one item; its module can be imported elsewhere.
        items: what it is applied to.
        num_shares: jobs; no more than items are made.
        title: of the work; it begins the name of its folder.

    Returns:
        The results, in the items' order.

    Raises:
        UserError: a job failed, which the wrapper has told more of, or an item has no result.
    """
    num_shares = max(1, min(num_shares, len(items)))
    work = pickle.dumps((function, list(items)))
    name = re.sub(r"\W+", "-", title).strip("-")
    digest = hashlib.sha256(work + revision().encode()).hexdigest()[:12]  # shares of other code are not taken
    folder = Path(os.environ.get(FOLDER, "exp/jobs")).absolute() / f"{name}-{digest}-{num_shares}"
    with atomic_write(folder / WORK, "wb") as file:
        file.write(work)
    logs = folder / "share.JOB.log"
    command = [sys.executable, "-m", "wesep_mix.base.jobs", str(folder), "JOB", str(num_shares)]
    call = [*wrapper(), f"JOB=1:{num_shares}", str(logs), *command]
    try:
        done = subprocess.run(call)
    except OSError as err:
        raise UserError(f"{CMD}: {call[0]}: {err.strerror}; wanted a job wrapper such as tools/run_local.py") from err
    if done.returncode:
        raise UserError(f"{title}: {shlex.join(wrapper())} ended with status {done.returncode}; logs: {folder}")
    results = _merged(folder, len(items), num_shares, title)
    shutil.rmtree(folder, ignore_errors=True)
    return results


def _merged(folder: Path, num_items: int, num_shares: int, title: str) -> list[Any]:
    results: list[Any] = [None] * num_items
    for share in range(1, num_shares + 1):
        path, places = _results(folder, share), range(share - 1, num_items, num_shares)
        if not path.is_file():
            raise UserError(
                f"{title}: the wrapper says that all is well, but there is no {path}; wanted the results of items "
                f"{places[0]}, {places[0] + num_shares}, ... of {num_items}. "
                "Do all machines see this folder, and was it left there?"
            )
        with open(path, "rb") as file:
            found = pickle.load(file)
        if len(found) != len(places):
            raise UserError(f"{path}: wanted {len(places)} results, found {len(found)}; remove it and run again")
        for place, result in zip(places, found, strict=True):
            results[place] = result
    return results


def _results(folder: Path, share: int) -> Path:
    return folder / f"share.{share}.pkl"


def do_share(folder: Path, share: int, num_shares: int) -> None:
    """Do a share of some work, unless its results are there: every `num_shares`-th item, from number `share` on.

    Args:
        folder: of the work.
        share: from 1.
        num_shares: in all.
    """
    if _results(folder, share).is_file():
        print(f"{_results(folder, share)}: there already")
        return
    os.environ.pop(CMD, None)  # what a share does stays in its job
    with open(folder / WORK, "rb") as file:
        function, items = pickle.load(file)
    own = items[share - 1 :: num_shares]
    found = []
    for number, item in enumerate(own, start=1):
        found.append(function(item))
        print(f"{number} of {len(own)}", flush=True)
    with atomic_write(_results(folder, share), "wb") as file:
        pickle.dump(found, file)


if __name__ == "__main__":
    try:
        do_share(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    except (UserError, OSError) as problem:
        sys.exit(f"share {sys.argv[2]}: {problem}")
