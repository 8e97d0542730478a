"""benchmarks/input_quality.py: means by SNR mode of the scores that stage 8 gives the unprocessed mixture."""

import importlib.util

import numpy as np
import pytest
from places import ROOT

from wesep_mix.evaluation.trials import Trial, score_trial
from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.plan import Noise, Plan, Source, write_plans

RATE = 16000
SCRIPT = ROOT / "benchmarks" / "input_quality.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("input_quality", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plans(tmp_path_factory, buzz):
    """Three mixtures of two buzzes, at 5, 5 and 15 dB."""
    folder = tmp_path_factory.mktemp("quality")
    for spk, pitch in (("ann", 110), ("bob", 170)):
        write_audio(folder / f"{spk}.wav", buzz(pitch, 2.5))
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    write_audio(folder / "noise.wav", 0.1 * noise.clip(-5, 5))
    sources = [
        Source(f"{spk}-0", spk, "U", str(folder / f"{spk}.wav"), 0, 2 * RATE, offset, 1.0, -25.0)
        for spk, offset in (("ann", 0), ("bob", RATE))
    ]
    return [
        Plan(
            f"mix{number}", 3 * RATE, tuple(sources), Noise("n", str(folder / "noise.wav"), 0, 2 * RATE, snr_db), (0.5,)
        )
        for number, snr_db in enumerate((5.0, 15.0, 5.0))
    ]


@pytest.fixture
def plans_file(plans, tmp_path):
    write_plans(tmp_path / "plan.jsonl", plans)
    return tmp_path / "plan.jsonl"


def test_table(script, plans, plans_file, capsys):
    assert script.main([str(plans_file), "--num", "3"]) == 0
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]
    scores = [[score_trial(Trial(plan, index, None))["values"] for index in range(2)] for plan in plans]

    def row(name, *chosen):
        means = (np.mean([score[metric] for mix in chosen for score in mix]) for metric in ("pesq", "stoi", "si_sdr"))
        return [name, str(len(chosen)), str(2 * len(chosen)), *(f"{mean:.2f}" for mean in means)]

    assert rows[0] == ["SNR", "mixtures", "sources", "PESQ", "STOI", "SI-SDR dB"]
    assert rows[2:] == [row("5 dB", scores[0], scores[2]), row("15 dB", scores[1]), row("all", *scores)]
    assert rows[2] != rows[3]


def test_too_few_mixtures(script, plans_file, capsys):
    assert script.main([str(plans_file), "--num", "4"]) == 1
    assert "wanted 4 mixtures, found 3; lower --num" in capsys.readouterr().err


def test_modes(script):
    assert script.snr_modes([5.0, 15.0, 5.0]) == {5.0: 5.0, 15.0: 15.0}
    many = [float(value) for value in range(12)]
    assert set(script.snr_modes(many).values()) == {0, 5, 10}
