"""Environment variables: those that libraries miss, and those that were meant for another process.

A launcher (srun, torchrun, or Lightning, which starts the other processes of a training itself) tells each process its
rank in variables. The same variables can be left over from a job's shell or from another training. A process that
works alone removes them, before Lightning is imported and reads them.
"""

from __future__ import annotations

import getpass
import os

from wesep_mix.base.errors import UserError

RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "JSM_NAMESPACE_RANK")
LIGHTNING = ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # beside LOCAL_RANK, for the processes that it starts
TORCHRUN = "TORCHELASTIC_RUN_ID"
NUMBERS = (
    *RANKS,
    "WORLD_SIZE",
    "NODE_RANK",
    "GROUP_RANK",
    "SLURM_NTASKS",
    "SLURM_NTASKS_PER_NODE",
    "SLURM_LOCALID",
    "SLURM_NODEID",
    "SLURM_STEP_NUM_TASKS",
)
LAUNCHERS = (*NUMBERS, *LIGHTNING, TORCHRUN)


def settle(ngpu: int = 0) -> None:
    """Make the environment fit this process.

    Args:
        ngpu: number of GPUs that it trains on; with more than one it is one of several processes.

    Raises:
        UserError: a launcher's variables fit no training on that many GPUs.
    """
    os.environ["MPLBACKEND"] = "agg"  # a notebook's is unknown outside it, and nothing here opens a window
    try:
        getpass.getuser()
    except (KeyError, OSError):  # in a container a user may be a number without a name; libraries name folders after it
        os.environ["USER"] = f"uid{os.getuid()}"
    for name in NUMBERS if ngpu > 1 else ():
        _number(name)
    if launcher(ngpu) == "lightning" and (ngpu <= 1 or "LOCAL_RANK" not in os.environ):  # no launcher started this one
        for name in LAUNCHERS:
            os.environ.pop(name, None)


def rank() -> int:
    """This process's rank as its launcher says; 0 if it is alone. Raises: UserError if that is no number."""
    return next((_number(name) for name in RANKS if name in os.environ), 0)


def launcher(ngpu: int) -> str:
    """Find who starts the processes of a training.

    Args:
        ngpu: number of GPUs.

    Returns:
        "lightning", "torchrun" or "srun".

    Raises:
        UserError: there is not one process for each GPU.
    """
    if ngpu <= 1:
        return "lightning"
    if TORCHRUN in os.environ:
        if _number("WORLD_SIZE") != ngpu:
            raise UserError(
                f"--ngpu {ngpu}: wanted as many processes of torchrun, found {_number('WORLD_SIZE')}; "
                f"start it with --nproc_per_node {ngpu}"
            )
        return "torchrun"
    tasks = _number("SLURM_STEP_NUM_TASKS") or _number("SLURM_NTASKS") or 1
    if tasks > 1:
        if not tasks == _number("SLURM_STEP_NUM_TASKS") == _number("SLURM_NTASKS_PER_NODE") == ngpu:
            raise UserError(
                f"--ngpu {ngpu}: found a Slurm job of {tasks} tasks; ask for one task (--ntasks=1 "
                f"--cpus-per-task=N), or for --nodes=1 --ntasks-per-node={ngpu} and start it with srun"
            )
        return "srun"
    if "LOCAL_RANK" in os.environ and not (_number("WORLD_SIZE") == ngpu and all(map(os.environ.get, LIGHTNING))):
        raise UserError(
            f"--ngpu {ngpu}: LOCAL_RANK and WORLD_SIZE are left from another training; unset RANK, "
            "LOCAL_RANK and WORLD_SIZE"
        )
    return "lightning"


def _number(name: str) -> int:
    """Value of a variable; 0 if it is not set."""
    value = os.environ.get(name, "0")
    if not value.isdecimal():
        raise UserError(f"{name}: wanted the number that a launcher gives a process, found {value!r}; unset it")
    return int(value)
