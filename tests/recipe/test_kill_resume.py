"""A training that is killed, then ended by Ctrl-C, then left alone: it goes on each time and ends where it should."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from holding import holding, wait_until_held

from wesep_mix.models import checkpoint

MAX_STEPS = 8
CONFIG = f"""
seed: 0
model:
  name: asp
  frontend: {{name: logmel, num_mels: 10, channels: 8, num_layers: 1, num_heads: 2, dropout: 0.0}}
  projection: 6
  embedding_dim: 4
  bottleneck: 3
trainer: {{max_steps: {MAX_STEPS}, steps_per_epoch: 2, num_workers: 1}}
batch_size: 2
chunk_s: 0.3
"""


@pytest.fixture
def start(tmp_path, prepared):
    """Function: whether to hold after the first checkpoint -> the training's process, in a group of its own."""
    (tmp_path / "teacher.yaml").write_text(CONFIG)
    processes = []

    def run(hold: bool) -> subprocess.Popen:
        (tmp_path / "held").unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "wesep_mix.bin.train_teacher",
            f"--config={tmp_path}/teacher.yaml",
            f"--data={prepared}/single",
            f"--out={tmp_path}/exp/teacher",
        ]
        env = os.environ | holding(tmp_path, "last.ckpt" if hold else None) | {"OMP_NUM_THREADS": "1"}
        processes.append(
            subprocess.Popen(
                command,
                env=env,
                cwd=tmp_path,
                start_new_session=True,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        return processes[-1]

    yield run
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
        process.stderr.close()


def end(process: subprocess.Popen, number: int | None = None) -> tuple[int, str, str]:
    """Signal the whole group, as a terminal does, and wait; status, stdout, stderr."""
    if number is not None:
        os.killpg(process.pid, number)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def steps_of(folder: Path) -> int:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


def logged(path: Path) -> list[int]:
    """The steps, from 0 on, at which a score on the dev set was logged."""
    with open(path) as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["dev/eer"]]


@pytest.mark.timeout(300)
def test_a_training_goes_on_after_kill_9_and_after_ctrl_c(start, tmp_path):
    out = tmp_path / "exp" / "teacher"
    going_on = f"{out}: going on from {out}/checkpoints/last.ckpt"

    process = start(hold=True)
    wait_until_held(process, tmp_path / "held")
    status, said, _ = end(process, signal.SIGKILL)
    assert status == -signal.SIGKILL and "going on" not in said
    assert steps_of(out) == 2 and not (out / "model.pt").exists()

    process = start(hold=True)
    wait_until_held(process, tmp_path / "held")
    status, said, errors = end(process, signal.SIGINT)
    assert status == 130 and going_on in said
    told = [line for line in errors.splitlines() if line and "step/s" not in line]  # all but the progress bar
    assert told == ["stage 2 (teacher): interrupted; the same command goes on from the last checkpoint"]
    assert steps_of(out) == 4 and not (out / "model.pt").exists()

    status, said, errors = end(start(hold=False))
    assert status == 0, errors
    assert going_on in said and "stage 2 (teacher): done in" in said
    assert checkpoint.load_notes(out / "model.pt", "teachers")["num_steps"] == MAX_STEPS
    logs = sorted((out / "logs" / "csv").glob("metrics*.csv"))
    assert [step for log in logs for step in logged(log)][-3:] == [3, 5, 7]  # `kill -9` may lose the first epoch's row
    assert len(list((out / "logs" / "tensorboard").glob("events.out.tfevents.*"))) == 3

    status, said, _ = end(start(hold=False))
    assert status == 0 and said == f"stage 2 (teacher): done already in {out}; --force true redoes it\n"
