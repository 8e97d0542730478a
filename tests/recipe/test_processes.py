"""A training in two processes of the CPU, and in batches of which several make a step: the training of one process."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml
from places import ROOT
from tiny import command_of, commands, environment, run_sh

from wesep_mix.models import checkpoint

STEPS = 24
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
LONG = {"max_steps": 60, "steps_per_epoch": 60}
ASP = {
    "name": "asp",
    "frontend": {"name": "logmel", "num_mels": 10, "channels": 8, "num_layers": 1, "num_heads": 2, "dropout": 0.1},
    "projection": 6,
    "embedding_dim": 4,
    "bottleneck": 3,
}
CONFIG = {
    "seed": 0,
    "model": ASP,
    "trainer": {"max_steps": STEPS, "steps_per_epoch": STEPS // 2, "num_workers": 1, "keep": "last", "num_threads": 1},
    "batch_size": 4,
    "chunk_s": 0.3,
}


@pytest.fixture
def train(tmp_path, prepared):
    """Function: folder's name, options, settings -> what the training said, or its process if not to `wait`; folder."""

    def begin(name, *options, wait=True, dropout=0.0, launcher=(), **trainer):
        model = {**ASP, "frontend": {**ASP["frontend"], "dropout": dropout}}
        config = {**CONFIG, "model": model, "trainer": {**CONFIG["trainer"], **trainer}}
        (tmp_path / "teacher.yaml").write_text(yaml.safe_dump(config))
        command = [sys.executable, *launcher, "-m", "wesep_mix.bin.train_teacher", f"--config={tmp_path}/teacher.yaml"]
        command += [f"--data={prepared}/single", f"--out={tmp_path / name}", *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            command,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if not wait:
            return process, tmp_path / name
        said = process.communicate(timeout=200)[0]
        assert process.returncode == 0, said
        return said, tmp_path / name

    return begin


def curve(folder, score="train/loss"):
    """{step: score}, of all parts of the log."""
    found = {}
    for path in (folder / "logs" / "csv").glob("metrics*.csv"):
        with open(path) as file:
            found |= {int(row["step"]): float(row[score]) for row in csv.DictReader(file) if row[score]}
    return found


def weights(folder):
    return torch.nn.utils.parameters_to_vector(checkpoint.load_model(folder / "model.pt", "teachers").parameters())


def stop_behind(process, folder, number):
    """Send a signal when the training has logged a step, to all of its processes, data workers too, as
    scancel does, and wait for its end; its output."""
    log = folder / "logs" / "csv"
    end = time.monotonic() + 100
    while not (log.is_dir() and any(path.stat().st_size for path in log.glob("metrics*.csv"))):
        assert process.poll() is None and time.monotonic() < end, process.communicate()[0]
        time.sleep(0.01)
    os.killpg(process.pid, number)
    return process.communicate(timeout=100)[0]


def test_two_processes_and_summed_batches_take_the_steps_of_one(train):
    """The loss is logged at each step of an epoch of one. Adam makes steps of noise where a gradient is nought."""
    _, alone = train("alone", steps_per_epoch=1)
    said, two = train("two", "--num_procs", "2", steps_per_epoch=1)
    _, by_torchrun = train("torchrun", "--num_procs", "2", launcher=TORCHRUN, steps_per_epoch=1)
    _, summed = train("summed", accumulate=2, steps_per_epoch=1)
    for folder in (two, by_torchrun):
        assert curve(folder, "dev/eer") == pytest.approx(curve(alone, "dev/eer"), abs=1e-6)
    found, wanted = curve(two), curve(alone)
    assert len(wanted) == STEPS and found == pytest.approx(wanted, abs=1e-4)
    assert said.count("done in") == 1
    for other in (two, by_torchrun, summed):
        assert (weights(other) - weights(alone)).norm() < 1e-3 * weights(alone).norm()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_training_that_is_told_to_end_goes_on_at_its_next_step(train, number):
    _, alone = train("alone", dropout=0.1, **LONG)
    process, folder = train("stopped", wait=False, dropout=0.1, **LONG)
    said = stop_behind(process, folder, number)
    assert process.returncode == 128 + signal.SIGTERM, said
    step = int(said.split("stopped.ckpt: step ")[1].split(",")[0])
    assert 0 < step < 60 and f"{number.name} came" in said and "Traceback" not in said
    again, folder = train("stopped", dropout=0.1, **LONG)
    assert "going on from" in again and not (folder / "checkpoints" / "stopped.ckpt").exists()
    assert torch.equal(weights(folder), weights(alone))


def test_a_student_that_is_told_to_end_goes_on_at_its_next_step(tmp_path):
    """Its references are kept from one batch to the next, and so in its checkpoints."""
    settings = {"student.trainer.max_steps": "120", "student.trainer.steps_per_epoch": "120"}
    done = run_sh(tmp_path, "--stop_stage", "3", settings=settings)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "exp/mini/2mix/student"
    wanted = (folder / "model.pt").read_bytes()
    shutil.rmtree(folder)
    command = command_of(tmp_path, "--stage", "3", "--stop_stage", "3", settings=settings)
    process = subprocess.Popen(
        command,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    said = stop_behind(process, folder, signal.SIGTERM)
    assert "stopped.ckpt: step " in said, said
    done = run_sh(tmp_path, "--stage", "3", "--stop_stage", "3", settings=settings)
    assert done.returncode == 0 and "going on from" in done.stdout, done.stderr
    assert (folder / "model.pt").read_bytes() == wanted


def test_a_training_of_two_processes_that_is_told_to_end_goes_on_in_one(train):
    _, alone = train("alone", **LONG)
    process, folder = train("stopped", "--num_procs", "2", wait=False, **LONG)
    said = stop_behind(process, folder, signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM and "stopped.ckpt: step " in said, said
    again, folder = train("stopped", **LONG)
    assert "processes: 2 before, 1 now" in again
    assert (weights(folder) - weights(alone)).norm() < 1e-3 * weights(alone).norm()


def test_stages_2_to_5_run_in_two_processes_and_each_knows_what_is_done(tmp_path):
    """Student, extractor and the network without embedding; nobody waits for a process that has nothing to do."""
    two = ("--stop_stage", "5", "--num_procs", "2")
    done = run_sh(tmp_path, *two)
    assert done.returncode == 0, done.stderr
    *_, student = commands(tmp_path, "--stage", "3", *two[:1], "3", *two[2:])
    *_, extractor = commands(tmp_path, "--stage", "5", *two)
    again, both = (
        subprocess.run(
            [sys.executable, *TORCHRUN, "-m", entry, *options],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
            capture_output=True,
            timeout=100,
        )
        for entry, options in (student, (extractor[0], [*extractor[1], "--force", "true"]))
    )
    assert again.returncode == 0 and again.stdout.count("done already") == 1, again.stdout + again.stderr
    assert both.returncode and "--condition matched, then with --condition none" in both.stderr
