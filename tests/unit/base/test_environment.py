"""What a process makes of variables that were meant for another one."""

import getpass
import os
import subprocess
import sys

import pytest

from wesep_mix.base import environment
from wesep_mix.base.environment import LAUNCHERS, Processes, launcher, rank, settle
from wesep_mix.base.errors import UserError

SRUN = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"}
CHILD = {"LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1234", "NODE_RANK": "0"}


@pytest.fixture
def given(monkeypatch):
    """Function: variables -> nothing; the launchers' variables are these alone."""

    def give(variables):
        for name in {*LAUNCHERS, *variables}:
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give


@pytest.mark.parametrize("ngpu", [0, 1])
@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"},
        {"RANK": ""},
        {"RANK": "abc", "LOCAL_RANK": "-1"},
        {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "train", "SLURM_PROCID": "1"},
        SRUN,
        CHILD,
        {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "8", "RANK": "7"},
        {"JSM_NAMESPACE_RANK": "3"},
    ],
)
def test_one_process_is_the_first_whatever_the_variables_say(given, variables, ngpu):
    given(variables)
    settle(Processes(ngpu))
    assert rank() == 0 and launcher(Processes(ngpu)) == "lightning" and not set(LAUNCHERS) & set(os.environ)


@pytest.mark.parametrize(
    "variables, who, place",
    [
        ({}, "lightning", 0),
        (CHILD, "lightning", 1),
        (SRUN, "srun", 1),
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, "lightning", 0),
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}, "torchrun", 1),
        ({"RANK": "1", "MASTER_ADDR": "a.host.of.another.job"}, "lightning", 0),
    ],
)
def test_several_processes_have_the_ranks_of_their_launcher(given, variables, who, place):
    given(variables)
    settle(Processes(num_procs=2))
    assert (launcher(Processes(num_procs=2)), rank()) == (who, place)
    assert os.environ.get("MASTER_ADDR") == (variables.get("MASTER_ADDR") if "LOCAL_RANK" in variables else None)


@pytest.mark.parametrize(
    "variables, said",
    [
        (
            {"SLURM_NTASKS": "2", "SLURM_PROCID": "0"},
            "Slurm job of 2 tasks; ask for one task .*--ntasks-per-node=2 .*srun",
        ),
        ({**SRUN, "SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "8"}, "Slurm job of 8 tasks; ask for one task"),
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "3"}, "found 3; start it with --nproc_per_node 2"),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}, "left from another training; unset RANK"),
        ({"RANK": "abc"}, "^RANK: wanted the number .* found 'abc'; unset it$"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE: .*''"),
        ({"SLURM_NTASKS": "two"}, "SLURM_NTASKS: .*'two'"),
    ],
)
def test_variables_that_fit_no_training_on_several_gpus_are_one_line(given, variables, said):
    given(variables)
    with pytest.raises(UserError, match=said):
        settle(Processes(ngpu=2))


def test_a_user_without_a_name_gets_one(monkeypatch):
    def nobody():
        if "USER" in os.environ:
            return os.environ["USER"]
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setenv("USER", "")
    monkeypatch.delenv("USER")
    monkeypatch.setattr(environment.getpass, "getuser", nobody)
    settle()
    assert getpass.getuser() == f"uid{os.getuid()}"


def test_entry_points_work_with_a_notebooks_backend_and_plots_can_be_drawn(tmp_path):
    code = (
        "from wesep_mix.base.stage import guarded\n"
        "def draw():\n"
        "    from matplotlib.figure import Figure\n"
        f"    Figure().savefig({str(tmp_path / 'x.png')!r})\n"
        "raise SystemExit(guarded(draw, 'stage 9'))"
    )
    backend = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | backend, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "x.png").is_file(), done.stderr


@pytest.mark.parametrize(
    "asked, said",
    [
        ({"ngpu": -1}, "^--ngpu: wanted a number from 0 on, found -1$"),
        ({"num_procs": 0}, "^--num_procs: wanted a number from 1 on, found 0$"),
        ({"ngpu": 2, "num_procs": 3}, "^--num_procs 3 --ngpu 2: each GPU has a process of its own"),
    ],
)
def test_processes_that_cannot_be_are_refused(asked, said):
    with pytest.raises(UserError, match=said):
        Processes(**asked)


def test_processes_of_several_machines_want_somebody_who_starts_them(given):
    asked = Processes(num_nodes=2, num_procs=3)
    given({})
    with pytest.raises(UserError, match="^--num_procs 3 --num_nodes 2: nobody .* --nodes=2 --ntasks-per-node=3"):
        settle(asked)
    tasks = {name: "6" for name in ("SLURM_NTASKS", "SLURM_STEP_NUM_TASKS")}
    given({**tasks, "SLURM_NTASKS_PER_NODE": "3", "SLURM_PROCID": "4"})
    assert launcher(asked) == "srun" and rank() == 4
