"""The model that comes with the package: whole, described, and of use on real speech where that is at hand."""

import json

import numpy as np
import pytest
import soundfile
import torch
from places import SHARED

from wesep_mix.__main__ import main
from wesep_mix.inference.candidates import find_talkers
from wesep_mix.inference.listening import extract_talkers
from wesep_mix.io.audio import read_audio
from wesep_mix.models.folder import CARD, read_folder
from wesep_mix.models.shipped import SHIPPED, find_model

MEETINGS = SHARED / "data" / "ami"


@pytest.fixture(scope="module")
def bundle():
    return read_folder(find_model("small"))  # only where every hash is right


def test_it_is_the_usual_one_and_says_what_one_wants_to_know(bundle, monkeypatch):
    monkeypatch.delenv("WESEP_MIX_MODEL", raising=False)
    assert find_model(None) == SHIPPED / "small"
    for told in (bundle.about.licence, bundle.about.trained_on, bundle.about.limits):
        assert len(told) > 20
    rows = {(row["talkers"], row["noise"]): row for row in bundle.about.measured}
    assert set(rows) == {(count, noisy) for count in (1, 2, 3) for noisy in (False, True)}
    for (count, _), row in rows.items():
        assert row["num"] >= 50 and (count == 1 or row["si_sdri"] > row["random"] > row["wrong"])
    assert "CC BY 4.0" in (SHIPPED / "small" / CARD).read_text()
    size = sum(path.stat().st_size for path in (SHIPPED / "small").iterdir())
    assert size < 20e6


def test_its_chunks_join_to_what_the_whole_gives(bundle):
    """Seams: no sample of the output depends on input further away than what chunks have as context."""
    torch.manual_seed(0)
    size = round(2.2 * bundle.use.chunk_s * 16000)
    mix = 0.1 * torch.randn(size) * (1 + torch.sin(torch.arange(size) / 3000))
    emb = torch.nn.functional.normalize(torch.randn(1, bundle.extractor.config.embedding_dim))
    in_chunks = extract_talkers(bundle.extractor, mix.numpy(), emb.numpy(), bundle.use)[0]
    with torch.inference_mode():
        whole = bundle.extractor(mix[None], emb)[0].numpy()
    scale = float(in_chunks @ whole) / float(whole @ whole)
    assert np.abs(in_chunks - scale * whole).max() < 1e-4 * np.abs(in_chunks).max()


def test_silence_and_noise_have_nobody(bundle):
    noise = np.random.default_rng(0).standard_normal(80000)
    hum = np.sin(2 * np.pi * 50 * np.arange(80000) / 16000)
    for samples in (0 * noise, 0.1 * noise, np.cumsum(noise) / 500, 0.3 * hum, 0.1 * hum + 0.01 * noise):
        assert find_talkers(bundle.student, samples.astype(np.float32), bundle.use) == []


@pytest.fixture
def mixture():
    """Two talkers whom no training has heard, at once: from two meetings, of which the model heard none."""
    if not MEETINGS.is_dir():
        pytest.skip(f"no real meetings here, {MEETINGS}")
    one = read_audio(MEETINGS / "trn03.flac", 5 * 16000, 10 * 16000)  # one talker speaks all the time
    other = read_audio(MEETINGS / "dev00.flac", 0, 10 * 16000)
    scaled = [each * 0.05 / np.sqrt(np.mean(each**2)) for each in (one, other)]
    return sum(scaled)


def test_one_command_gives_the_talkers_of_a_real_recording(bundle, mixture, tmp_path, capsys):
    mix = mixture
    soundfile.write(tmp_path / "two.wav", mix, 16000)
    assert main(["extract", str(tmp_path / "two.wav"), "--all", "--out", str(tmp_path / "out"), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert 1 <= len(written) <= 4
    for each in written:
        speech = soundfile.read(each["path"])[0]
        assert len(speech) == len(mix) and np.isfinite(speech).all() and speech.any()
