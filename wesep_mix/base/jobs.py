"""Work as jobs of a cluster, by any Kaldi-style wrapper: shares of the items of `parallel.map_items`, and trainings.

The variable WESEP_MIX_CMD (`run.sh --cmd`) holds the wrapper of shares with its options, such as `tools/slurm.py
--mem 4G`; it is called `$cmd NUMBER=1:N LOG.NUMBER.log python -m wesep_mix.base.jobs FOLDER NUMBER N`. The items, the
function and each share's results lie in a folder below WESEP_MIX_JOBS (`exp/jobs`), which all machines must see, until
all shares are there. A share that failed is done again alone when the same work is asked for again.

WESEP_MIX_TRAIN_CMD (`run.sh --train_cmd`) holds the wrapper of trainings. Each is one job, which runs the entry point
that asked for it again, with its log in WESEP_MIX_JOBS.

The files are pickles, written and read by this project alone; who may write to the folder may run code.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from wesep_mix.base.environment import Processes
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write
from wesep_mix.base.installed import sources_hash
from wesep_mix.base.locks import is_held
from wesep_mix.base.processes import run_alone
from wesep_mix.base.stage import Part, at_work

T = TypeVar("T")
CMD, TRAIN_CMD, FOLDER = "WESEP_MIX_CMD", "WESEP_MIX_TRAIN_CMD", "WESEP_MIX_JOBS"
WORK = "work.pkl"
NUMBER = "SHARE_NUMBER"  # which wrappers replace wherever they find it: no folder is called so
THREADS = "OMP_NUM_THREADS"  # which not every cluster gives to its jobs
WAIT_S = 2.0
PATIENCE_S = float(os.environ.get("WESEP_MIX_PATIENCE_S", 60))  # until a shared file system shows what a job wrote


@dataclass(frozen=True)
class Failure:
    """Stands for the result of an item that is bad."""

    message: str


def wrapper(variable: str = CMD) -> list[str]:
    """The wrapper and its options, as words; empty where work stays in this process and its children.

    Args:
        variable: CMD, or TRAIN_CMD for that of trainings.

    Returns:
        Words of a command line.
    """
    return shlex.split(os.environ.get(variable, ""))


def folder_of_jobs() -> Path:
    """Where jobs have their logs, and shares of work their files."""
    return Path(os.environ.get(FOLDER, "exp/jobs"))


def training_job(entry: str, argv: Sequence[str], part: Part, processes: Processes) -> Callable[[], None] | None:
    """How a training is done by a job, for `stage.run_part`.

    Args:
        entry: its entry point, such as train_teacher.
        argv: options of the entry point with which it makes this part alone.
        part: what it makes.
        processes: of the training, which the wrapper is told.

    Returns:
        What submits the job and waits for it; it raises UserError where the job fails. None where trainings stay here.
    """
    if not wrapper(TRAIN_CMD):
        return None
    if shutil.which(program := wrapper(TRAIN_CMD)[0]) is None:
        raise UserError(f"{TRAIN_CMD}: {program}: not found; wanted a job wrapper such as tools/run_local.py")
    one_each = "1" if processes.num_procs > 1 else None
    threads = [f"{THREADS}={number}" for number in [os.environ.get(THREADS, one_each)] if number]
    srun = ["srun"] if processes.num_nodes > 1 else []
    command = ["env", "-u", TRAIN_CMD, *threads, *srun, sys.executable, "-m", f"wesep_mix.bin.{entry}", *argv]
    return partial(_train, part, [*wrapper(TRAIN_CMD), *_told(processes)], [*command, "--force=false"])


def log_of(part: Part) -> Path:
    """The log of the job that makes a part: exp/mini/jobs/2mix/student.log for exp/mini/2mix/student."""
    folder = folder_of_jobs()
    place = Path(os.path.relpath(part.out, folder.parent))
    return folder.joinpath(*(name for name in place.parent.parts if name != ".."), f"{place.name}.log")


def array_of(log: Path) -> Path:
    """What holds the number of a job while tools/slurm.py waits for it."""
    return log.parent / "q" / log.stem / "array"


def _told(processes: Processes) -> list[str]:
    """What a wrapper is told of a training's processes, unless the user has told it already."""
    one_machine = processes.num_nodes == 1
    asked = {
        "gpu": processes.ngpu,
        "num_threads": processes.num_procs if one_machine and processes.num_procs > 1 else 0,
        "num_nodes": 0 if one_machine else processes.num_nodes,
        "ntasks_per_node": 0 if one_machine else processes.local,
    }
    given = {word.lstrip("-").replace("-", "_") for word in wrapper(TRAIN_CMD) if word.startswith("--")}
    told = {name.replace("num_threads", "num-threads"): n for name, n in asked.items() if n and name not in given}
    return [word for name, number in told.items() for word in (f"--{name}", str(number))]


def _train(part: Part, call: Sequence[str], command: Sequence[str]) -> None:
    title, log = f"stage {part.number} ({part.title})", log_of(part)
    log.parent.mkdir(parents=True, exist_ok=True)
    if is_held(part.out):  # by a job that has outlived the wrapper, say
        print(f"{title}: a process is at work in {part.out} already; waiting for it", flush=True)
        while is_held(part.out):
            time.sleep(WAIT_S)
        if part.is_done():
            return
    print(f"{title}: a job of {shlex.join(call)}, log: {log}", flush=True)
    before = part.standing()
    if (status := _submit([*call, str(log), *command], TRAIN_CMD)) and not part.is_done():
        after = part.standing()  # the same as before where the job ended before its work began, or failed alike
        told = f" ({after})" if after.startswith("failed") and after != before else ""
        raise UserError(f"{title}: its job ended with status {status}{told}, see {log}")
    if not _soon(part.is_done, part.out):
        raise UserError(
            f"{title}: the wrapper says that all is well, but {part.out} is not finished; do all machines see it? "
            f"See {log}"
        )


def _submit(call: Sequence[str], variable: str) -> int:
    """Call the wrapper that a variable names; return its status. Raises: UserError if there is none."""
    try:
        return run_alone(call)
    except OSError as err:
        raise UserError(
            f"{variable}: {call[0]}: {err.strerror}; wanted a job wrapper such as tools/run_local.py"
        ) from err


def _soon(is_so: Callable[[], bool], folder: Path) -> bool:
    """Whether something written by another machine shows in a folder, now or a little later."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(1.0)
        if folder.is_dir():
            os.listdir(folder)  # has NFS look again
    return True


def map_shares(function: Callable[[Any], Any], items: Sequence[Any], num_shares: int, title: str) -> list[Any]:
    """Apply a function to every item, in jobs that the wrapper runs.

    Args:
        function: of one item; of a module that jobs import by its name, so not of one that is run as a program.
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
    digest = hashlib.sha256(work + at_work().encode() + sources_hash().encode()).hexdigest()[:12]
    # shares of other inputs or code are not taken for these
    folder = folder_of_jobs().absolute() / f"{name}-{digest}-{num_shares}"
    with atomic_write(folder / WORK, "wb") as file:
        file.write(work)
    logs = folder / f"share.{NUMBER}.log"
    command = [sys.executable, "-m", "wesep_mix.base.jobs", str(folder), NUMBER, str(num_shares)]
    call = [*wrapper(), f"{NUMBER}=1:{num_shares}", str(logs), *command]
    if status := _submit(call, CMD):
        raise UserError(
            f"{title}: {shlex.join(wrapper())} ended with status {status}{_why(folder, num_shares)}; logs: {folder}"
        )
    results = _merged(folder, len(items), num_shares, title)
    if bad := {place % num_shares + 1 for place, result in enumerate(results) if isinstance(result, Failure)}:
        for share in bad:  # the others are not done again
            _results(folder, share).unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return results


def in_a_job(function: Callable[[], T], title: str) -> T:
    """Call a function that can be pickled, in one job of the wrapper, or here where there is none."""
    return map_shares(_called, [function], 1, title)[0] if wrapper() else function()


def _called(function: Callable[[], T]) -> T:
    return function()


def _merged(folder: Path, num_items: int, num_shares: int, title: str) -> list[Any]:
    results: list[Any] = [None] * num_items
    for share in range(1, num_shares + 1):
        path, places = _results(folder, share), range(share - 1, num_items, num_shares)
        if not _soon(path.is_file, folder):
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


def _why(folder: Path, num_shares: int) -> str:
    """The last line of the first share that failed, where its log has one."""
    for share in range(1, num_shares + 1):
        log = folder / f"share.{share}.log"
        if _results(folder, share).is_file() or not log.is_file():
            continue
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        if said := [line for line in lines if line.strip() and not line.startswith("#")]:
            return f", share {share}: {said[-1].strip()}"
    return ""


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
    os.environ.setdefault(THREADS, "1")  # as where the shares are processes of this machine
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # the time is nearly over, which says nothing to a share
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
