"""tests/chaos.py in small: two kills, one of a stage as jobs and one of a training."""

import subprocess
import sys

import pytest
import torch
from benchmark import cells
from contents import contents, differences
from places import ROOT
from tiny import environment


@pytest.mark.timeout(600)
def test_after_kill_9_the_same_command_completes_with_the_same_results(tmp_path):
    words = ["--kills", "2", "--seed", "3", "--stop_stage", "2", "--work", str(tmp_path / "work")]
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "chaos.py"), *words],
        env=environment(PYTHONPATH=str(ROOT)),
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _, *rows = cells(done.stdout)
    assert [(row[1], row[-1]) for row in rows] == [("--cmd", "completed, the same"), ("--nj 1", "completed, the same")]
    assert rows[0][3] == "1 prepare data" and "2 of 2 completed" in done.stdout


def test_a_difference_is_named(tmp_path):
    run = tmp_path / "run"
    (run / "logs").mkdir(parents=True)
    for name in ("same", "other", "missing", "logs/x.csv", ".a.lock"):
        (run / name).write_text(name)
    torch.save({"step": 2, "model": {"w": torch.tensor([1.0])}}, run / "last.ckpt")
    wanted = contents(run)
    assert sorted(wanted) == ["last.ckpt", "missing", "other", "same"]
    (run / "other").write_text("Other")
    (run / "missing").rename(run / "more")
    (run / "logs/x.csv").write_text("")
    torch.save({"step": 2, "model": {"w": torch.tensor([1.0 + 2**-23])}}, run / "last.ckpt")
    assert list(differences(wanted, contents(run))) == [
        "last.ckpt is other",
        "missing is missing",
        "more is more",
        "other is other",
    ]
