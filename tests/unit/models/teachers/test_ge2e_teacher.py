import dataclasses
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from places import SHARED
from torch.nn.functional import normalize

from wesep_mix.io.audio import read_audio
from wesep_mix.metrics.clustering import cluster_metrics
from wesep_mix.models import checkpoint
from wesep_mix.models.frontends import ge2e as frontend
from wesep_mix.models.frontends import logmel
from wesep_mix.models.teachers.ge2e import Config, Model, num_windows

SPEECH = SHARED / "data" / "LibriSpeech"
GOLDEN = [
    (120, 3.3, 1.0, {20: 0.21582, 158: 0.19397, 195: 0.19074, 213: 0.19296, 218: 0.21271, 243: 0.24274}),
    (210, 1.0, 0.01, {0: 0.21203, 20: 0.1874, 62: 0.23858, 130: 0.18698, 168: 0.18461, 244: 0.24223}),
    (160, 5.0, 0.2, {16: 0.21389, 20: 0.19872, 43: 0.23555, 224: 0.21778, 243: 0.23668, 246: 0.2802}),
]
RANDOM = Config(frontend=frontend.Config(pretrained=False, finetuned=True))
needs_package = pytest.mark.skipif(find_spec("resemblyzer") is None, reason="resemblyzer is not installed")


@pytest.mark.parametrize(
    "num_samples, count",
    [
        (1, 1),
        (25599, 1),
        (25600, 1),
        (25601, 1),
        (31519, 1),
        (31520, 2),
        (37920, 2),
        (38000, 2),
        (43839, 2),
        (43840, 3),
        (80000, 5),
        (192000, 15),
    ],
)
def test_windows_are_cut_as_the_package_cuts_them(num_samples, count):
    """1.6 s every 0.77 s; the last one must hold 1.2 s of speech, unless it is the only one."""
    assert num_windows(torch.tensor([num_samples]), 160).tolist() == [count]


def test_an_embedding_is_the_mean_of_its_windows_last_frames():
    torch.manual_seed(0)
    model, wav = Model(RANDOM).eval(), torch.randn(1, 40000)
    mels = model.frontend.features(wav, torch.tensor([40000]), 160 + 77)
    windows = [model.linear(model.frontend.lstm(mels[:, first : first + 160])[0][:, -1]).relu() for first in (0, 77)]
    wanted = normalize(torch.stack([normalize(window) for window in windows]).mean(0))
    torch.testing.assert_close(model(wav), wanted, atol=1e-6, rtol=0)


def test_front_end_and_projection_learn_together_or_not_at_all():
    for finetuned in (True, False):
        model = Model(Config(frontend=frontend.Config(pretrained=False, finetuned=finetuned)))
        assert {weight.requires_grad for weight in model.parameters()} == {finetuned}


def test_another_front_end_or_size_is_refused():
    with pytest.raises(ValueError, match="frontend: wanted ge2e, found logmel"):
        Config(frontend=logmel.Config())
    with pytest.raises(ValueError, match="embedding_dim: wanted 256"):
        Config(embedding_dim=64)


def test_a_model_file_needs_no_package(resemblyzer_package, monkeypatch, tmp_path):
    model = Model(Config()).eval()
    assert not any(weight.requires_grad for weight in model.parameters())
    checkpoint.save_model(tmp_path / "model.pt", "teachers", model)
    monkeypatch.setattr("wesep_mix.models.packaged.find_spec", lambda name: None)
    wav = torch.randn(2, 30000)
    assert torch.equal(checkpoint.load_model(tmp_path / "model.pt", "teachers")(wav), model(wav))


@pytest.fixture(scope="module")
def pretrained():
    return Model(Config()).eval()


@pytest.fixture(scope="module")
def as_the_package():
    return Model(Config(frontend=frontend.Config(finetuned=False, increase_only=True))).eval()


@needs_package
@pytest.mark.parametrize("pitch, seconds, gain, wanted", GOLDEN)
def test_embeddings_are_those_of_the_package(as_the_package, voiced_bursts, pitch, seconds, gain, wanted):
    """The largest values that resemblyzer 0.1.4 itself gives with librosa 0.11 for this sound, VAD aside."""
    with torch.inference_mode():
        found = as_the_package(torch.from_numpy(gain * voiced_bursts(pitch, seconds))[None])[0]
    torch.testing.assert_close(found[list(wanted)], torch.tensor(list(wanted.values())), atol=2e-5, rtol=0)


@needs_package
def test_padding_has_no_influence(pretrained, voiced_bursts):
    wav = torch.from_numpy(np.stack([voiced_bursts(110, 4.0), voiced_bursts(170, 4.0), voiced_bursts(230, 4.0)]))
    lengths = torch.tensor([64000, 9000, 38000])  # what follows the end is no silence
    with torch.inference_mode():
        together = pretrained(wav, lengths)
        alone = torch.cat([pretrained(wav[row : row + 1, :size]) for row, size in enumerate(lengths.tolist())])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert (together[0] - together[1]).abs().max() > 0.05


@needs_package
@pytest.mark.skipif(not SPEECH.is_dir(), reason=f"no LibriSpeech in {SPEECH}")
def test_unseen_speakers_are_told_apart(pretrained):
    long = [wav for path in sorted(SPEECH.glob("*/*/*/*.flac"))[:12] if len(wav := read_audio(path)) >= 148000][:5]
    wavs = [wav[first : first + 48000] for wav in long for first in (0, 50000, 100000)]
    with torch.inference_mode():
        embeddings = pretrained(torch.from_numpy(np.stack(wavs))).numpy()
    speakers = [place // 3 for place in range(15)]
    assert cluster_metrics(embeddings, speakers, 0)[0]["acc"] == 1.0


def test_a_centred_teacher_gives_what_differs_from_the_mean_voice():
    torch.manual_seed(0)
    wav = torch.randn(3, 30000) * torch.tensor([0.1, 0.2, 0.3])[:, None]
    frozen = Config(frontend=frontend.Config(pretrained=False, finetuned=False))
    plain, model = Model(frozen).eval(), Model(dataclasses.replace(frozen, centred=True)).eval()
    assert not any("centre" in name for name in plain.state_dict())
    model.load_state_dict(plain.state_dict() | {"centre": torch.zeros(256)})
    with torch.inference_mode():
        voices = plain(wav)
        torch.testing.assert_close(model(wav), voices)
        model.centre_on(voices)
        torch.testing.assert_close(model(wav), normalize(voices - voices.mean(0), dim=-1), atol=1e-5, rtol=0)
    assert "centre" in model.state_dict()
    with pytest.raises(ValueError, match="centred: wanted a frozen front-end"):
        dataclasses.replace(RANDOM, centred=True)
