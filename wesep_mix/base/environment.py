"""Environment variables: those that libraries miss, and those that were meant for another process.

A launcher (srun, torchrun, or Lightning, which starts the other processes of a training itself) tells each process its
rank in variables. The same variables can be left over from a job's shell or from another training. A process that
works alone removes them, before Lightning is imported and reads them.
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Processes:
    """Where a training runs: a process for each GPU, or several on the CPU, of each machine.

    Attributes:
        ngpu: GPUs of each machine; 0 trains on the CPU.
        num_nodes: machines.
        num_procs: processes of each machine that trains on the CPU.
    """

    ngpu: int = 0
    num_nodes: int = 1
    num_procs: int = 1

    def __post_init__(self) -> None:
        for name, least in (("ngpu", 0), ("num_nodes", 1), ("num_procs", 1)):
            if getattr(self, name) < least:
                raise UserError(f"--{name}: wanted a number from {least} on, found {getattr(self, name)}")
        if self.ngpu and self.num_procs > 1:
            raise UserError(f"{self}: each GPU has a process of its own, leave out one of the two")

    @property
    def local(self) -> int:
        """Processes of each machine."""
        return self.ngpu or self.num_procs

    @property
    def world(self) -> int:
        """Processes in all."""
        return self.local * self.num_nodes

    def __str__(self) -> str:
        """As the options that ask for it."""
        options = {"num_procs": self.num_procs, "ngpu": self.ngpu, "num_nodes": self.num_nodes}
        asked = [f"--{name} {value}" for name, value in options.items() if value > (name != "ngpu")]
        return " ".join(asked) or "--num_procs 1"


ONE = Processes()


def settle(processes: Processes = ONE) -> None:
    """Make the environment fit this process.

    Args:
        processes: of its work; if they are several, it is one of them.

    Raises:
        UserError: a launcher's variables fit no training in these processes.
    """
    os.environ["MPLBACKEND"] = "agg"  # a notebook's is unknown outside it, and nothing here opens a window
    try:
        getpass.getuser()
    except (KeyError, OSError):  # in a container a user may be a number without a name; libraries name folders after it
        os.environ["USER"] = f"uid{os.getuid()}"
    for name in NUMBERS if processes.world > 1 else ():
        _number(name)
    is_first = processes.world == 1 or "LOCAL_RANK" not in os.environ  # no launcher started it
    if launcher(processes) == "lightning" and is_first:
        for name in LAUNCHERS:
            os.environ.pop(name, None)


def rank() -> int:
    """This process's rank as its launcher says; 0 if it is alone. Raises: UserError if that is no number."""
    return next((_number(name) for name in RANKS if name in os.environ), 0)


def launcher(processes: Processes) -> str:
    """Find who starts the processes of a training.

    Args:
        processes: of the training.

    Returns:
        "lightning", "torchrun" or "srun".

    Raises:
        UserError: there are not as many processes, or nobody who would start them on other machines.
    """
    if processes.world == 1:
        return "lightning"
    local, nodes, world = processes.local, processes.num_nodes, processes.world
    if TORCHRUN in os.environ:
        if _number("WORLD_SIZE") != world:
            raise UserError(
                f"{processes}: wanted as many processes of torchrun, found {_number('WORLD_SIZE')}; "
                f"start it with {f'--nnodes {nodes} ' if nodes > 1 else ''}--nproc_per_node {local}"
            )
        return "torchrun"
    tasks = _number("SLURM_STEP_NUM_TASKS") or _number("SLURM_NTASKS") or 1
    if tasks > 1:
        if not tasks == _number("SLURM_STEP_NUM_TASKS") == world or _number("SLURM_NTASKS_PER_NODE") != local:
            alone = "ask for one task (--ntasks=1 --cpus-per-task=N), or " if nodes == 1 else "ask "
            raise UserError(
                f"{processes}: found a Slurm job of {tasks} tasks; {alone}for --nodes={nodes} "
                f"--ntasks-per-node={local} and start it with srun"
            )
        return "srun"
    if nodes > 1:
        raise UserError(
            f"{processes}: nobody has started its processes on {nodes} machines; start it with srun in a Slurm job of "
            f"--nodes={nodes} --ntasks-per-node={local}, or with torchrun --nnodes {nodes} on each of them"
        )
    if "LOCAL_RANK" in os.environ and not (_number("WORLD_SIZE") == world and all(map(os.environ.get, LIGHTNING))):
        raise UserError(
            f"{processes}: LOCAL_RANK and WORLD_SIZE are left from another training; unset RANK, "
            "LOCAL_RANK and WORLD_SIZE"
        )
    return "lightning"


def _number(name: str) -> int:
    """Value of a variable; 0 if it is not set."""
    value = os.environ.get(name, "0")
    if not value.isdecimal():
        raise UserError(f"{name}: wanted the number that a launcher gives a process, found {value!r}; unset it")
    return int(value)
