"""benchmarks/embeddings.py and student_step.py at a size that costs nothing."""

import json

import numpy as np
import pytest
import torch
from benchmark import cells, script

from wesep_mix.mixing.render import render

TINY = json.dumps(
    {
        "model_type": "wavlm",
        "do_normalize": False,
        "layerdrop": 0.0,
        "apply_spec_augment": False,
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "conv_dim": [8] * 7,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    }
)
STAND_IN = """
import json, sys
assert sys.argv[1:4] == ["--device", "cpu", "--gradient"] and sys.argv[5] == "--batch_size=1"
share = {"everything": 4, "training": 2, "layers": 1}[sys.argv[4]]
print(json.dumps({"cpu_s": share, "wall_s": share / 2, "before": 1e9, "peak": share * 1e9, "flops": share * 5e9}))
"""
SMALL_STEP = [f"--architecture={TINY}", "--batch_size=1", "--seconds=0.3", "--steps=1", "--finetuned_layers=1"]


@pytest.fixture(scope="module")
def bench():
    return script("embeddings")


@pytest.fixture(scope="module")
def step():
    return script("student_step")


def test_tables_of_the_step_and_of_extraction(bench, tmp_path, monkeypatch, capsys):
    (tmp_path / "step.py").write_text(STAND_IN)
    monkeypatch.setattr(bench, "STEP", tmp_path / "step.py")
    assert (
        bench.main(
            [
                "--rounds=1",
                "--num=5",
                "--num_large=3",
                "--lengths",
                "0.3",
                "0.9",
                "--batch_size=2",
                f"--architecture={TINY}",
                "--step",
                "batch_size=1",
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    _, whole, training, layers, header, *rows = cells(said)
    assert whole == ["all weights", "4.00", "2.00", "1.00", "4.00", "1.00", "1.00", "20"]
    assert training[1:] == ["2.00", "1.00", "0.50", "2.00", "0.50", "1.00", "10"]
    assert layers[1:] == ["1.00", "0.50", "0.25", "1.00", "0.25", "1.00", "5"]
    assert (
        len(header) == 6
        and len(rows) == 6
        and [row[0].split(", ")[1] for row in rows[:3]]
        == ["one by one", "2 at once as they come", "2 at once by length"]
    )
    for _, a_cpu_second, a_second, ratio, padding, deviation in rows:
        assert float(a_cpu_second) > 0 and float(a_second) > 0 and float(ratio) > 0 and float(deviation) <= 1e-4
        assert 0 <= int(padding.removesuffix(" %")) < 67
    assert [rows[0][4], rows[3][4]] == ["0 %", "0 %"] and [rows[0][5], rows[3][5]] == ["0e+00", "0e+00"]
    assert int(rows[5][4][:-2]) < int(rows[4][4][:-2])
    assert "revision" in said.splitlines()[0]


def test_a_step_that_fails_is_told_with_its_last_line(bench, capsys):
    assert bench.main(["--rounds=1", "--step", "gradient=none"]) == 1
    assert "student_step.py: ended with status 2 (" in (said := capsys.readouterr().err) and "invalid choice" in said


def test_the_gpus_table(bench):
    cost = {"cpu_s": 1.0, "wall_s": 0.5, "before": 1, "peak": 3e9, "flops": 20e12, "product": 400e12}
    assert bench._gpu_rows({"training": cost}) == [
        ("what the paper fine-tunes", "2.00", "3.00", "20.00", "40.0", "400.0", "10.0 %")
    ]


def test_padding_is_a_share_of_the_batches(bench):
    first, second, third = sorted(bench.made_plans(3, 0.2, 0.8), key=lambda plan: plan.num_samples)
    size = [plan.num_samples for plan in (first, second, third)]
    assert bench._padding([first, second, third], 2) == pytest.approx(1 - sum(size) / (2 * size[1] + size[2]))
    assert bench._padding([third, first, second], 1) == 0


def test_made_mixtures_differ_and_are_the_same_every_time(bench):
    plans = bench.made_plans(4, 0.2, 0.8)
    assert all(3200 <= plan.num_samples <= 12800 for plan in plans)
    first, again = ([render(plan, bench.made_audio(plans)).mix for plan in plans] for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert len({mix[:1000].tobytes() for mix in first}) == 4


# the step


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_step_moves_what_the_paper_fine_tunes_and_computes_less_the_less_has_a_gradient(step, precision):
    flops, learning = [], []
    for gradient in step.GRADIENTS:
        student, take = step.training_step(
            step.parsed([*SMALL_STEP, f"--gradient={gradient}", f"--precision={precision}"])
        )
        before = {name: weight.detach().clone() for name, weight in student.named_parameters()}
        flops.append(step.count_flops(take))
        learning.append({name for name, weight in student.named_parameters() if weight.requires_grad})
        moved = {name for name, weight in student.named_parameters() if not torch.equal(weight, before[name])}
        assert any("encoder.layers.2" in name for name in moved) and any("heads.1" in name for name in moved)
        assert all("heads" in name or "encoder.layers.2" in name or "pos_conv_embed" in name for name in moved)
        assert any("pos_conv_embed" in name for name in moved) == (gradient != "layers")
    assert flops == sorted(flops, reverse=True) and len(set(flops)) == 3
    everything, training, layers = learning
    assert {".".join(name.split(".")[2:5]) for name in everything - training} >= {
        "encoder.layers.0",
        "encoder.layers.1",
        "feature_extractor.conv_layers.0",
    }
    assert all("pos_conv_embed" in name for name in training - layers) and training > layers


def test_a_steps_cost_is_printed_as_json(step, capsys):
    assert step.main(SMALL_STEP) == 0
    cost = json.loads(capsys.readouterr().out)  # of so small a step nothing is held; the kernel counts pages loosely
    assert cost["peak"] > 0.95 * cost["before"] > 1e8 and cost["flops"] > 1e6 and cost["product"] == 0
    assert cost["wall_s"] > 0 and cost["cpu_s"] > 0


def test_the_speed_of_a_product_is_that_of_the_best_try(step, monkeypatch):
    times = iter((9.0, 0.5, 0.25, 1.0))  # the first is not counted
    monkeypatch.setattr(step, "timed", lambda work, device: (work(), next(times)))
    assert step.product_speed("cpu", size=8, repeats=2) == 2 * 2 * 8**3 / 0.25


@pytest.mark.parametrize("groups, with_input", [(1, True), (4, True), (4, False)])
def test_operations_are_counted_by_hand(step, groups, with_input):
    conv, linear = torch.nn.Conv1d(8, 12, 3, groups=groups), torch.nn.Linear(10, 5, bias=False)
    wav, rows = torch.randn(2, 8, 20, requires_grad=with_input), torch.randn(7, 10)
    found = step.count_flops(lambda: (conv(wav).sum() + linear(rows).sum()).backward())
    forward = 2 * 2 * 18 * 12 * (8 // groups) * 3
    assert found == forward * (3 if with_input else 2) + 2 * (2 * 7 * 10 * 5)


def test_a_missing_gpu_is_told(step, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert step.main(["--device=cuda"]) == 1
    assert "wanted a GPU for cuda, found none" in capsys.readouterr().err


def test_a_profile_names_operations(step, capsys):
    assert step.main([*SMALL_STEP, "--profile"]) == 0
    assert "aten::addmm" in capsys.readouterr().out
