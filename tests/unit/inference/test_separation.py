"""Separation of a set, its scores and its row in the report."""

import json

import numpy as np
import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_table, write_json
from wesep_mix.base.stage import STATE_FILE
from wesep_mix.bin import report, score, separate_speech
from wesep_mix.inference.extraction import separate_group, separate_set
from wesep_mix.inference.settings import ExtractConfig
from wesep_mix.io.audio import read_audio
from wesep_mix.metrics.si_sdr import si_sdr
from wesep_mix.mixing.plan import speaker_keys, write_plans
from wesep_mix.mixing.render import render
from wesep_mix.models import checkpoint
from wesep_mix.models.layers.network import Network, at_mixture_level
from wesep_mix.models.separators.conv_tasnet import Config, Model

TINY = Config(num_filters=8, window=16, bottleneck=6, hidden=8, num_blocks=2, num_stacks=1)


class Shuffled(Network):
    """Gives the sources it was made of, upside down and at another level, in reverse order."""

    def __init__(self, sources: np.ndarray):
        super().__init__()
        self.sources = torch.from_numpy(sources)

    def forward(self, mix, longer=None):
        return -3 * self.sources.flip(0)[None]


def test_estimates_are_in_the_order_of_the_sources_and_at_their_level(mixture_of):
    rendered = render(mixture_of("a", "c", "e"))
    (found,) = separate_group(Shuffled(rendered.sources), [rendered], "cpu")
    wanted = at_mixture_level(torch.from_numpy(rendered.sources), torch.from_numpy(rendered.mix)[None]).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.fixture
def separator(tmp_path):
    """A folder as stage 5 leaves it."""
    torch.manual_seed(0)
    folder = tmp_path / "exp" / "mini" / "2mix" / "conv_tasnet"
    checkpoint.save_model(folder / "separated" / "model.pt", "separators", Model(TINY))
    write_json(folder / "separated" / STATE_FILE, {"done": True, "fingerprint": "separated"})
    return folder


def test_files_are_named_by_the_permutation_that_fits_best(separator, plans, tmp_path):
    out = tmp_path / "wav"
    separate_set(separator / "separated" / "model.pt", plans, out, "cpu", ExtractConfig("FLOAT"))
    assert sorted(read_table(out / "wav.scp")) == sorted(key for plan in plans for key in speaker_keys(plan))
    for plan in plans:
        sources = render(plan).sources
        est = [read_audio(out / f"{key}.wav") for key in speaker_keys(plan)]
        assert all(len(one) == plan.num_samples for one in est)
        straight = si_sdr(est[0], sources[0]) + si_sdr(est[1], sources[1])
        crossed = si_sdr(est[0], sources[1]) + si_sdr(est[1], sources[0])
        assert straight >= crossed


def test_another_number_of_talkers_is_named(separator, mixture_of, tmp_path):
    with pytest.raises(UserError, match="a_b_c: has 3 talkers, found 2 outputs"):
        separate_set(separator / "separated" / "model.pt", [mixture_of("a", "b", "c")], tmp_path, "cpu")


def test_a_separator_has_its_row_in_the_report(separator, plans, tmp_path):
    data, exp = tmp_path / "data" / "2mix", separator.parents[1]
    write_plans(data / "test" / "plan.jsonl", plans[:2])
    write_json(data / STATE_FILE, {"done": True, "fingerprint": "data"})
    (tmp_path / "extract.yaml").write_text("wav_subtype: FLOAT\n")
    (tmp_path / "score.yaml").write_text("")
    scoring = [
        f"--config={tmp_path}/score.yaml",
        f"--data={data}/test",
        f"--extractor={separator}",
        "--condition=separated",
    ]
    assert score.main(scoring) == 1  # stage 6 is missing
    assert (
        separate_speech.main([f"--config={tmp_path}/extract.yaml", f"--data={data}/test", f"--separator={separator}"])
        == 0
    )
    assert score.main(scoring) == 0
    assert report.main(["--corpus=mini", "--num_spk=2", f"--exp={exp}"]) == 0
    row = json.loads((exp / "results.json").read_text())["extraction"]["conv_tasnet/separated"]
    assert row["num"] == 4 and row["params"] == sum(weight.numel() for weight in Model(TINY).parameters())
    text = (exp / "RESULTS.md").read_text()
    assert "--separator conv_tasnet" in text and "--extractor" not in text
    assert "- `conv_tasnet/separated`: all talkers at once" in text
