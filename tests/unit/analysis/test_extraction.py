import numpy as np
import pytest
import soundfile
import torch

from wesep_mix import checkpoint
from wesep_mix.analysis.extraction import at_mixture_level, extract_set
from wesep_mix.analysis.keys import speaker_keys
from wesep_mix.errors import UserError
from wesep_mix.extractors.stft_tcn import Config, Model
from wesep_mix.io.files import read_table


def test_an_estimate_gets_the_level_that_the_talker_has_in_the_mixture():
    time = torch.arange(16000) / 16000
    talker, other = 0.3 * torch.sin(2 * torch.pi * 200 * time), 0.1 * torch.sin(2 * torch.pi * 310 * time)
    mix = (talker + other)[None]
    est = torch.stack([7.0 * talker, -0.01 * other])  # of any level, even inverted
    assert torch.allclose(at_mixture_level(est, mix), torch.stack([talker, other]), atol=1e-4)


@pytest.fixture
def model(tmp_path):
    def make(fusion):
        path = tmp_path / f"{fusion}.pt"
        torch.manual_seed(0)
        config = Config(embedding_dim=3, fusion=fusion, channels=8, hidden=8, num_blocks=1, num_stacks=1)
        checkpoint.save_model(path, "extractors", Model(config))
        return path

    return make


def test_files_are_named_by_mixture_and_speaker(tmp_path, model, plans):
    embeddings = {key: np.ones(3, np.float32) for plan in plans for key in speaker_keys(plan)}
    extract_set(model("film"), plans, embeddings, tmp_path / "wav", "cpu")
    index = read_table(tmp_path / "wav" / "wav.scp")
    assert sorted(index) == sorted(embeddings)
    for plan in plans:
        assert {soundfile.info(index[key]).frames for key in speaker_keys(plan)} == {plan.num_samples}


def test_without_embedding_one_estimate_stands_for_all_talkers(tmp_path, model, plans):
    extract_set(model("none"), plans[:1], None, tmp_path / "wav", "cpu")
    one, other = (soundfile.read(tmp_path / "wav" / f"{key}.wav")[0] for key in speaker_keys(plans[0]))
    assert np.array_equal(one, other) and one.any()


def test_files_that_are_there_are_kept_and_missing_ones_made(tmp_path, model, plans):
    embeddings = {key: np.ones(3, np.float32) for plan in plans for key in speaker_keys(plan)}
    extract_set(model("film"), plans, embeddings, tmp_path / "wav", "cpu")
    kept, lost = (tmp_path / "wav" / f"{speaker_keys(plan)[0]}.wav" for plan in plans[:2])
    stamp, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    extract_set(model("film"), plans, embeddings, tmp_path / "wav", "cpu")
    assert kept.stat().st_mtime_ns == stamp and lost.read_bytes() == content


def test_a_missing_embedding_is_named(tmp_path, model, plans):
    with pytest.raises(UserError, match=speaker_keys(plans[0])[0]):
        extract_set(model("film"), plans, {}, tmp_path / "wav", "cpu")
