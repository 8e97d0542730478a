"""A full disk, a read-only folder, a log folder that vanishes, two runs at once: one clear error, and the next start
completes with the results of an undisturbed run. Seen on a data stage, a training, and a stage as jobs of a wrapper."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from contents import contents
from holding import holding, wait_until_held
from places import ROOT
from tiny import commands, environment, the_error

from wesep_mix.base.stage import damage_of

WRAPPER = f"{sys.executable} {ROOT / 'tools' / 'run_local.py'}"
UNFINISHED = ("checkpoints", ".stage.json", ".stage.files")  # may be there before a stage is done
FULL = {"data": ("data", "200k"), "training": ("exp", "160k"), "jobs": ("exp", "8k")}  # folder, and its room
BUSY = {"data": "utterances.jsonl", "training": "last.ckpt", "jobs": "work.pkl"}  # files that are written midway

namespaces = pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode != 0,
    reason="mounting needs user namespaces (unshare -rm)",
)


class Stage:
    """An entry point at work in a folder of its own, and what it makes there undisturbed.

    Args:
        kind: data, training or jobs.
        folder: for its work and its results.
        prepared: data to train on.
    """

    def __init__(self, kind: str, folder: Path, prepared: Path):
        self.kind, self.folder, self.run_folder = kind, folder, folder / "run"
        calls = dict(commands(self.run_folder, "--stop_stage", "2", settings={"chunk_s": "0.3"}))
        entry = "wesep_mix.bin." + ("train_teacher" if kind == "training" else "prepare_data")
        data = {str(self.run_folder / "data/mini/single"): str(prepared / "single")} if kind == "training" else {}
        self.argv = [sys.executable, "-m", entry, *(data.get(word, word) for word in calls[entry])]
        self.variables = {}
        if kind == "jobs":
            self.variables = {"WESEP_MIX_CMD": WRAPPER, "WESEP_MIX_JOBS": str(self.run_folder / "exp/jobs")}
        self.empty()
        done = self.run()
        assert done.returncode == 0, done.stderr
        self.wanted = contents(self.run_folder)

    def empty(self) -> None:
        """Begin anew."""
        shutil.rmtree(self.folder)
        for name in ("data", "exp"):
            (self.run_folder / name).mkdir(parents=True)

    def start(self, hold: str | None = None) -> subprocess.Popen:
        """Start it; it holds still once it has written a file of that name."""
        env = environment(**self.variables, **holding(self.folder, hold))
        return subprocess.Popen(self.argv, env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self) -> subprocess.CompletedProcess:
        """Run it to its end."""
        return ended(self.start())

    def run_between(self, spoil: str, mend: str) -> subprocess.CompletedProcess:
        """Run it after one line of bash and again after another, where mounts are nobody else's; `$work` is its folder.

        `first` and `second` are then the work's folder after each.
        """
        call = shlex.join(self.argv)
        work, once = shlex.quote(str(self.folder)), f"if {call}; then exit 9; fi"
        lines = ["set -e", f"work={work}", spoil, once, 'cp -a "$work/run" "$work/first"']
        lines += [mend, call, 'cp -a "$work/run" "$work/second"']
        env = environment(**self.variables, PYTHONPATH=str(ROOT))
        return subprocess.run(
            ["unshare", "-rm", "bash", "-c", "\n".join(lines)], cwd=ROOT, env=env, text=True, capture_output=True
        )


@pytest.fixture(scope="module", params=["data", "training", "jobs"])
def made(request, tmp_path_factory, prepared):
    return Stage(request.param, tmp_path_factory.mktemp(request.param), prepared)


@pytest.fixture
def stage(made):
    made.empty()
    return made


def ended(process: subprocess.Popen) -> subprocess.CompletedProcess:
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def error_in(done: subprocess.CompletedProcess) -> str:
    """The error of the first of two runs, of which the second succeeded."""
    assert done.returncode == 0, done.stderr
    return the_error(subprocess.CompletedProcess(done.args, 1, done.stdout, done.stderr))


def nothing_is_half_written(stage: Stage, folder: Path) -> bool:
    """Whether every file that looks finished is an undisturbed run's, and every stage that is done is whole."""
    found = contents(folder)
    odd = {
        name
        for name, digest in found.items()
        if digest != stage.wanted.get(name) and not set(UNFINISHED) & set(Path(name).parts)
    }
    damaged = [path for path in folder.rglob(".stage.json") if damage_of(path.parent)]
    return not odd and not damaged


@namespaces
@pytest.mark.timeout(240)
def test_a_full_disk(stage):
    name, room = FULL[stage.kind]
    done = stage.run_between(
        f"mount -t tmpfs -o size={room} none $work/run/{name}", f"mount -o remount,size=1g $work/run/{name}"
    )
    error = error_in(done)
    assert "No space left on device" in done.stderr or "is the disk full?" in error
    assert str(stage.run_folder) in error
    assert nothing_is_half_written(stage, stage.folder / "first")
    assert contents(stage.folder / "second") == stage.wanted


@namespaces
@pytest.mark.timeout(240)
def test_a_read_only_folder(stage):
    done = stage.run_between(
        "mount --bind $work/run $work/run; mount -o remount,bind,ro $work/run", "mount -o remount,bind,rw $work/run"
    )
    error = error_in(done)
    assert f"Read-only file system ({stage.run_folder}" in error
    assert error.endswith("; make it writable for you, or name another folder, then run again")
    assert contents(stage.folder / "first") == {}
    assert contents(stage.folder / "second") == stage.wanted


@pytest.mark.timeout(240)
def test_a_log_folder_that_vanishes(stage):
    if stage.kind == "data":
        pytest.skip("a data stage in one process has no logs")
    logs, at = ("exp/mini/teacher/logs", "last.ckpt") if stage.kind == "training" else ("exp/jobs", "share.1.pkl")
    process = stage.start(hold=at)
    wait_until_held(process, stage.folder / "held")
    shutil.rmtree(stage.run_folder / logs)
    os.unlink(stage.folder / "held")
    done = ended(process)
    error = the_error(done)
    assert str(stage.run_folder / logs) in error and "No such file or directory" in done.stderr
    assert nothing_is_half_written(stage, stage.run_folder)
    assert stage.run().returncode == 0 and contents(stage.run_folder) == stage.wanted


@pytest.mark.timeout(240)
def test_two_runs_at_once(stage):
    first = stage.start(hold=BUSY[stage.kind])
    wait_until_held(first, stage.folder / "held")
    error = the_error(stage.run())
    assert "another process is at work there; wait for it, or end it" in error
    os.unlink(stage.folder / "held")
    assert ended(first).returncode == 0 and contents(stage.run_folder) == stage.wanted
