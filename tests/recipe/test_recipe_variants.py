"""The whole recipe in one call: again with another number of processes, then with another extractor."""

import json

import pytest
from tiny import run_sh


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A folder in which all stages were run in one call."""
    folder = tmp_path_factory.mktemp("variants")
    done = run_sh(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_same_seed_gives_the_same_results_for_any_nj(recipe, tmp_path):
    done = run_sh(tmp_path, "--nj", 1)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((f / "exp/mini/results.json").read_text()) for f in (recipe, tmp_path))
    assert first.pop("git") == second.pop("git")
    assert first == second


def test_another_extractor_adds_its_rows(recipe):
    dpccn = ("{name: dpccn, n_fft: 64, hop: 32, dense_channels: [2, 2], conv_channels: [4], dense_depth: 1, "
             "tcn_repeats: 1, tcn_blocks: 1, pool_sizes: [2]}")
    done = run_sh(recipe, "--stage", 5, "--extractor", "dpccn", settings={"extractor.model": dpccn})
    assert done.returncode == 0, done.stderr
    rows = json.loads((recipe / "exp/mini/2mix/results.json").read_text())["extraction"]
    assert {"dpccn", "dpccn/none", "dpccn/oracle", "stft_tcn", "stft_tcn/none"} <= set(rows)
