"""benchmarks/gpu.sh at toy size on the CPU; what it does on a GPU is the same code with another device."""

import os
import subprocess

import pytest
import torch
from benchmark import beside_wesep, cells, script
from places import ROOT
from tiny import environment
from torch import nn


@pytest.fixture
def bench(monkeypatch):
    yield from beside_wesep("gpu", monkeypatch)


@pytest.fixture(scope="module")
def count_flops():
    return script("student_step").count_flops


def gpu_sh(*options):
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), *map(str, options)]
    done = subprocess.run(
        command, env=environment(CUDA_VISIBLE_DEVICES=""), text=True, capture_output=True, timeout=200
    )
    return done, cells(done.stdout)


def test_tables_of_the_script_on_a_cpu(tmp_path):
    """One case of each kind, and the trainings, each of which needs what the one before has made."""
    parts = ["x 512, bf16", "student, fp32", "DPCCN, fp32", "Loader", "The mini recipe"]
    done, rows = gpu_sh("--out", tmp_path / "page.md", "--only", *parts)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert page.strip() in done.stdout and "Toy sizes on a CPU" in page
    assert "seed 0, revision" in page and "torch " in page and "the median of 3" in page and "--only" in page
    found = {row[0]: row[1:] for row in rows}
    assert float(found["512 x 512, bf16"][0]) > 0
    for step in ("student, fp32", "DPCCN, fp32"):
        assert all(float(cell.rstrip(" %")) >= 0 for cell in found[step]) and found[step][6].endswith(" %")
    assert float(found["1"][0]) > 0
    assert [float(found[kind][1]) for kind in ("teacher", "student", "extractor")] == [12, 12, 12]


def test_without_time_every_case_is_listed_as_not_run(bench, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.main(["--minutes", "0", "--out", str(tmp_path / "page.md")]) == 1
    said = capsys.readouterr()
    rows = [row for row in cells(said.out) if row[1] == "not run: out of time"]
    assert len(rows) == len(bench.cases("cpu", tmp_path)) == said.err.count("error: ")
    titles = {row[0] for row in rows}
    assert {f"{name}, {way}" for name in ("student", "DPCCN", "SpEx+", "pDCCRN") for way in bench.WAYS} < titles


def test_a_case_that_fails_says_why_in_its_cell(bench, tmp_path, capsys, monkeypatch):
    """And the others are run all the same."""
    product = {"device": "cpu", "precision": "bf16", "size": 64}
    listed = [
        bench.Case(bench.STEPS, "lost", bench.gpu_work.extractor, {"backend": ""}),
        bench.Case(bench.RECIPE, "bars", bench.gpu_work.data, {"folder": 3, "num_jobs": 1, "changes": ["nonsense"]}),
        bench.Case(bench.STEPS, "killed", os.abort),
        bench.Case(bench.PRODUCTS, "64 x 64", bench.gpu_work.product, product),
    ]
    monkeypatch.setattr(bench, "cases", lambda *_: listed)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.main(["--out", str(tmp_path / "page.md")]) == 1
    found = {row[0]: row[1] for row in cells((tmp_path / "page.md").read_text(encoding="utf-8"))}
    assert found["lost"].startswith("failed: TypeError: extractor() missing")
    assert found["killed"] == "failed: its process ended with status -6 and said nothing"
    assert found["bars"].startswith("failed: stage 1 of the mini recipe ended with status 1")
    assert float(found["64 x 64"]) > 0
    assert "error: lost: failed: TypeError" in capsys.readouterr().err


def test_a_case_has_its_time(bench):
    slow = {"device": "cpu", "precision": "fp32", "size": 16384}
    case = bench.Case(bench.PRODUCTS, "slow", bench.gpu_work.product, slow, 0.1)
    assert bench.outcome(case, "cpu", 60.0) == "failed: took more than 0 s"
    assert bench.outcome(case, "cpu", 0.05) == bench.NOT_RUN


def test_a_reason_fits_into_a_cell(bench):
    assert bench._short("one | two\nthree") == "one / two three"
    assert len(bench._short("long " * 100)) == bench.LONGEST_REASON


def test_the_page_of_a_gpu_is_not_written_without_one(bench, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.main(["--out", str(bench.GPU_PAGE)]) == 1
    assert "is for figures of a GPU" in capsys.readouterr().err
    assert bench.main(["--only", "DPRNN"]) == 1
    assert "found none that has it" in capsys.readouterr().err


def test_the_share_is_of_the_measured_product(bench):
    """2 TFLOP in 20 ms are 100 TFLOP/s, a quarter of 400."""
    cost = {"flops": 2e12, "step_s": 0.02, "first_s": 31.0, "peak": 3e9, "mixtures": 8}
    assert bench._step_cells(cost, 400e12) == ["8", "20.0", "400.0", "3.00", "2000", "100", "25.0 %", "31.0"]
    assert bench._step_cells(cost, None)[6] == "not measured"


def test_extractors_are_compiled_after_all_others(bench, tmp_path):
    order = [case.title for case in bench.in_order(bench.cases("cuda", tmp_path))]
    assert order[-3:] == [f"{name}, bf16, torch.compile" for name in ("DPCCN", "SpEx+", "pDCCRN")]
    assert order[2:5] == [f"student, {way}" for way in bench.WAYS]


def both_ways(network, *shape):
    wav = torch.randn(shape, requires_grad=True)

    def step():
        found = network(wav)
        (found[0] if isinstance(found, tuple) else found).sum().backward()

    return step


def test_operations_by_hand(count_flops):
    """Forward, and the gradients of input and weights, cost the same each; two operations are a product and a sum."""
    assert count_flops(both_ways(nn.Linear(30, 20, bias=False), 7, 30)) == 3 * 2 * 7 * 30 * 20
    depthwise = nn.Conv1d(6, 6, 3, groups=6)  # 3 products for each of 8 frames of 6 channels
    assert count_flops(both_ways(depthwise, 2, 6, 10)) == 3 * 2 * (2 * 8 * 6 * 3)
    up = nn.ConvTranspose1d(4, 5, 3, stride=2)  # each of 10 frames meets the whole weight
    assert count_flops(both_ways(up, 2, 4, 10)) == 3 * 2 * (2 * 10 * 4 * 5 * 3)
    lstm = nn.LSTM(6, 5, batch_first=True)  # 4 gates, each of 6 inputs and 5 of the frame before
    assert count_flops(both_ways(lstm, 2, 9, 6)) == 3 * 2 * (2 * 9 * 4 * 5 * (6 + 5))
