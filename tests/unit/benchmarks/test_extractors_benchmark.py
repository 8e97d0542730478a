"""benchmarks/extractors.py and extractor_run.py at a size that costs nothing; a stand-in is WeSep's checkout."""

import json

import numpy as np
import pytest
import torch
from benchmark import beside_wesep, cells, script

TINY = json.dumps({"N": 8, "B": 6, "H": 10, "R": 1, "X": 2, "spk_emb_dim": 5})
SMALL = [f"settings={TINY}", "seconds=0.1", "repeats=1", "threads=1"]
STAND_IN = """
import torch
from wespeaker.models.speaker_model import get_speaker_model  # as in WeSep; there is none
from wesep.modules.factor import FACTOR
from wesep_mix.wesep.names import from_wesep, to_wesep
from wesep_mix.wesep.settings import config_from_wesep
from wesep_mix.models.extractors import spexplus


class ConvTasNet(torch.nn.Module):  # ours, with WeSep's interface
    def __init__(self, **settings):
        super().__init__()
        self.config = config_from_wesep("ConvTasNet", settings)
        self.inside = spexplus.Model(self.config)

    def load_state_dict(self, state):
        self.inside.load_state_dict(from_wesep(self.config, state))

    def named_parameters(self, *args, **kwargs):
        return to_wesep(self.config, dict(self.inside.named_parameters())).items()

    def forward(self, mix, emb):
        return [FACTOR * est for est in self.inside.estimates(mix, emb).unbind(1)]
"""


@pytest.fixture
def checkout(tmp_path):
    """Its packages can't be imported as they are."""
    for package in ("wesep", "wesep/models"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("import software_that_is_not_there\n")
    (tmp_path / "wesep" / "modules").mkdir()
    (tmp_path / "wesep" / "models" / "convtasnet.py").write_text(STAND_IN)
    (tmp_path / "wesep" / "modules" / "factor.py").write_text("FACTOR = 1.0\n")
    return tmp_path


@pytest.fixture(scope="module")
def bench():
    return script("extractors")


@pytest.fixture
def child(monkeypatch):
    """extractor_run.py in this process."""
    yield from beside_wesep("extractor_run", monkeypatch)


def test_table_beside_a_checkout(bench, checkout, capsys):
    assert bench.main([str(checkout), "--models=spexplus", "--works", "step", "--rounds=1", "--run", *SMALL]) == 0
    said = capsys.readouterr().out
    header, *rows = cells(said)
    assert [row[:2] for row in rows] == [["SpEx+, step", "ours"], ["SpEx+, step", "WeSep"]]
    assert rows[1][5:] == ["1.00", "1.00", "1.00", ""] and float(rows[0][8]) < 1e-5 and float(rows[0][4]) > 0.1
    assert len(header) == len(rows[0]) and "CPU cores, no GPU" in said.splitlines()[0]


def test_a_different_module_deviates(bench, child, checkout, tmp_path):
    (checkout / "wesep" / "modules" / "factor.py").write_text("FACTOR = 1.25\n")
    given = ["--model=spexplus", "--work=inference", *(f"--{option}" for option in SMALL)]
    for side, more in (("ours", []), ("theirs", [f"--wesep={checkout}"])):
        child.cost(child.parsed([*given, *more, f"--results={tmp_path / side}.npz"]))
    assert bench.deviation(tmp_path / "ours.npz", tmp_path / "theirs.npz") == pytest.approx(0.2)


@pytest.mark.parametrize("work, wanted", [("step", "loss"), ("inference", "estimate")])
def test_ours_alone(child, tmp_path, work, wanted):
    args = child.parsed(
        ["--model=spexplus", f"--work={work}", f"--results={tmp_path}/found.npz", *(f"--{option}" for option in SMALL)]
    )
    cost = child.cost(args)
    assert cost["peak"] > 0.95 * cost["before"] > 1e8 and cost["cpu_s"] > 0 and cost["wall_s"] > 0
    found = np.load(tmp_path / "found.npz")
    assert wanted in found.files and ("encoder.proj.weight" in found.files) == (work == "step")
    assert all(np.isfinite(found[name]).all() for name in found.files)


def test_in_a_step_all_weights_move(child):
    step = child.Step(
        args := child.parsed(["--model=spexplus", *(f"--{option}" for option in SMALL)]), child.built(args)
    )
    before = [weight.detach().clone() for weight in step.network.parameters()]
    step()
    assert all((weight != old).any() for weight, old in zip(step.network.parameters(), before, strict=True))


def test_options_for_one_model_or_work(bench):
    given = ["seconds=1", "step:batch_size=1", "dpccn:repeats=2"]
    assert bench.run_options(given, "spexplus", "step") == ["--seconds=1", "--batch_size=1"]
    assert bench.run_options(given, "dpccn", "inference") == ["--seconds=1", "--repeats=2"]
    assert bench.run_options([f"settings={TINY}"], "dpccn", "step") == [f"--settings={TINY}"]


def test_deviation_of_gradients_is_that_of_all_together(bench, tmp_path):
    np.savez(tmp_path / "one.npz", loss=np.float32(2.0), bias=np.array([1e-9]), weight=np.array([3.0, 4.4]))
    np.savez(tmp_path / "two.npz", loss=np.float32(2.0), bias=np.array([-1e-9]), weight=np.array([3.0, 4.0]))
    assert bench.deviation(tmp_path / "one.npz", tmp_path / "two.npz") == pytest.approx(0.08)


def test_the_gpus_table(bench):
    cost = {"wall_s": 0.02, "peak": 3e9, "flops": 2e12, "product": 400e12, "cpu_s": 1.0, "before": 0}
    assert bench._gpu_rows("DPCCN, step, bf16", {"ours": cost | {"deviation": 2e-6}, "WeSep": cost | {"wall_s": 0.04}})[
        0
    ] == ("DPCCN, step, bf16", "ours", "20.0", "3.00", "0.50", "1.00", "2e-06", "2.00", "100.0", "400.0", "25.0 %")


def test_what_is_refused(bench, child, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.main([str(tmp_path), "--models=dpccn", "--works=step", "--rounds=1"]) == 1
    assert "wanted the folder of a WeSep checkout" in capsys.readouterr().err
    assert child.main(["--model=dpccn", "--device=cuda"]) == 1
    assert "wanted a GPU for cuda" in capsys.readouterr().err
