"""A training as a job of a wrapper: the same result, asked for only where there is something to do."""

import os
import re
import subprocess
import sys

import pytest
import torch
import yaml
from places import ROOT
from tiny import the_error

from wesep_mix.base.locks import alone_in
from wesep_mix.models import checkpoint

CONFIG = {
    "seed": 0,
    "model": {
        "name": "asp",
        "frontend": {"name": "logmel", "num_mels": 10, "channels": 8, "num_layers": 1, "num_heads": 2},
        "projection": 6,
        "embedding_dim": 4,
        "bottleneck": 3,
    },
    "trainer": {"max_steps": 4, "steps_per_epoch": 2, "num_workers": 0, "num_threads": 1},
    "batch_size": 4,
    "chunk_s": 0.3,
}


@pytest.fixture
def train(tmp_path, prepared):
    """Function: folder's name, whether as a job, options -> the ended process; `calls` counts the jobs."""
    wrapper = tmp_path / "wrapper.sh"
    wrapper.write_text(f'echo call >> {tmp_path}/calls\nexec {sys.executable} {ROOT}/tools/run_local.py "$@"\n')
    (tmp_path / "teacher.yaml").write_text(yaml.safe_dump(CONFIG))

    def run(name, *options, as_job=True, config="teacher.yaml", wait=True):
        command = [sys.executable, "-m", "wesep_mix.bin.train_teacher", f"--config={tmp_path}/{config}"]
        command += [f"--data={prepared}/single", f"--out={tmp_path}/exp/{name}", *options]
        variables = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "WESEP_MIX_JOBS": f"{tmp_path}/exp/jobs"}
        if as_job:
            variables["WESEP_MIX_TRAIN_CMD"] = f"bash {wrapper} --mem 1G"
        if not wait:
            return subprocess.Popen(command, env=os.environ | variables, text=True, stdout=subprocess.PIPE)
        return subprocess.run(command, env=os.environ | variables, text=True, capture_output=True, timeout=200)

    return run


def calls(folder):
    path = folder / "calls"
    return len(path.read_text().splitlines()) if path.is_file() else 0


def weights(folder):
    return torch.nn.utils.parameters_to_vector(checkpoint.load_model(folder / "model.pt", "teachers").parameters())


def test_it_is_the_same_training_and_one_that_is_done_is_no_job(train, tmp_path):
    here, there = train("here", as_job=False), train("there")
    assert here.returncode == there.returncode == 0, there.stderr
    log = tmp_path / "exp/jobs/there.log"
    assert f"stage 2 (teacher): a job of bash {tmp_path}/wrapper.sh --mem 1G, log: {log}\n" in there.stdout
    assert "stage 2 (teacher): done in" in there.stdout and "stage 2 (teacher): done in" in log.read_text()
    assert torch.equal(weights(tmp_path / "exp/here"), weights(tmp_path / "exp/there"))
    assert calls(tmp_path) == 1
    again = train("there")
    assert again.returncode == 0 and "done already" in again.stdout and calls(tmp_path) == 1
    before = (tmp_path / "exp/there/model.pt").stat().st_mtime_ns
    forced = train("there", "--force", "true")
    assert forced.returncode == 0 and "--force true" in forced.stdout and calls(tmp_path) == 2
    assert (tmp_path / "exp/there/model.pt").stat().st_mtime_ns > before
    assert torch.equal(weights(tmp_path / "exp/here"), weights(tmp_path / "exp/there"))


def test_a_training_that_is_at_work_already_is_waited_for(train, tmp_path):
    """As when the wrapper was killed, and its job lives on."""
    folder = tmp_path / "exp" / "there"
    with alone_in(folder):  # of another process than the one that asks
        process = train("there", wait=False)
        assert "a process is at work in" in process.stdout.readline()
        assert calls(tmp_path) == 0
    assert process.wait(100) == 0 and calls(tmp_path) == 1 and (folder / "model.pt").is_file()
    process.stdout.close()


def test_an_input_that_is_missing_is_told_before_any_job(train, tmp_path):
    assert "needs nowhere, which is not there: stage 1 makes it" in the_error(train("there", "--data=nowhere"))
    assert calls(tmp_path) == 0


def test_a_job_that_fails_is_told_with_its_last_lines(train, tmp_path):
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(CONFIG | {"batch_size": "many"}))
    done = train("there", config="wrong.yaml")
    assert re.search(r"its job ended with status 1 \(.*batch_size.*\), see ", the_error_at_the_end(done))
    assert "run_local.py: 1 of 1 jobs failed" in done.stderr and "batch_size" in done.stderr


def the_error_at_the_end(done):
    assert done.returncode == 1, done.stdout
    return done.stderr.splitlines()[-1]
