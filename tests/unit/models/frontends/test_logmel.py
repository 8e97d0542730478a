import dataclasses
import subprocess
import sys

import pytest
import torch

from wesep_mix.models.frontends.logmel import Config, Model

SMALL = Config(num_mels=20, channels=16, num_layers=2, num_heads=2)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Model(SMALL).eval()


@pytest.fixture(scope="module")
def wav():
    torch.manual_seed(1)
    return 0.1 * torch.randn(3, 16000)


def test_frames_are_40_ms(model, wav):
    frames, num_frames = model(wav)
    assert frames.shape == (3, 25, 16) and num_frames.tolist() == [25] * 3
    assert model.channels == 16


def test_channels_are_those_of_the_config():
    frames, _ = Model(Config(num_mels=20, channels=24, num_layers=1, num_heads=2))(torch.randn(1, 8000))
    assert frames.shape[-1] == 24


@pytest.mark.parametrize("num_samples", [1, 159, 160, 319, 320, 321, 639, 640, 641, 4000, 9999, 15999, 16000])
@pytest.mark.parametrize("grad", [True, False])  # PyTorch's layers have another, faster way without gradients
def test_padding_has_no_influence(model, wav, num_samples, grad):
    lengths = torch.tensor([16000, num_samples, 7000])
    padded = wav * (torch.arange(16000) < lengths[:, None])
    with torch.set_grad_enabled(grad):
        together, num_frames = model(padded, lengths)
        alone, (count,) = model(wav[1:2, :num_samples])
    assert int(num_frames[1]) == int(count) == alone.shape[1]
    torch.testing.assert_close(together[1, :count], alone[0], atol=1e-5, rtol=0)


def test_with_and_without_gradients_is_the_same(model, wav):
    lengths = torch.tensor([16000, 5000, 100])
    padded = wav * (torch.arange(16000) < lengths[:, None])
    frames, num_frames = model(padded, lengths)
    with torch.inference_mode():
        fast, _ = model(padded, lengths)
    for row, count in enumerate(num_frames.tolist()):
        torch.testing.assert_close(fast[row, :count], frames[row, :count], atol=1e-5, rtol=0)


@pytest.mark.parametrize("gain", [1e-4, 0.1, 30.0, -1.0])
def test_the_level_has_no_influence(model, wav, gain):
    torch.testing.assert_close(model(gain * wav)[0], model(wav)[0], atol=1e-3, rtol=0)


def test_every_item_has_its_own_level(model, wav):
    gains = torch.tensor([[1e-3], [1.0], [100.0]])
    torch.testing.assert_close(model(gains * wav)[0], model(wav)[0], atol=1e-3, rtol=0)


@pytest.mark.parametrize("num_samples", [1, 2, 100, 159, 160, 400, 641])
def test_very_short_input(model, num_samples):
    frames, num_frames = model(torch.randn(2, num_samples))
    assert frames.shape[1] == int(num_frames[0]) >= 1
    assert frames.isfinite().all()


def test_silence_is_finite_in_value_and_gradient(model):
    wav = torch.zeros(2, 4000, requires_grad=True)
    model(wav)[0].square().sum().backward()
    assert wav.grad.isfinite().all()


def test_what_is_said_and_when_matters(model, wav):
    frames, _ = model(wav)
    assert (frames[0] - frames[1]).abs().max() > 0.01
    assert (frames[0, 0] - frames[0, 20]).abs().max() > 0.01


def test_features_are_log_mel_without_its_mean(model):
    """The second half of a signal is a tone: there its mel band, and no other, is above the signal's mean."""
    time = torch.arange(16000) / 16000
    tones = torch.stack([torch.sin(2 * torch.pi * pitch * time) for pitch in (300, 3000)])
    tones[:, :8000] = 1e-4 * torch.randn(2, 8000)
    features, num_frames = model._features(tones, torch.tensor([16000, 16000]))
    assert features.shape == (2, 20, 100) and num_frames.tolist() == [100, 100]
    assert features.mean(-1).abs().max() < 1e-4
    centres = 2595 * torch.log10(1 + torch.tensor([300.0, 3000.0]) / 700)  # in mel, as in HTK
    low, high = (2595 * torch.log10(1 + torch.tensor(f) / 700) for f in (20.0, 8000.0))
    bands = ((centres - low) / (high - low) * 21 - 1).round().long()
    assert features[..., 60:].mean(-1).argmax(-1).tolist() == bands.tolist()


def test_autocast_keeps_the_spectrum_in_float32(model, wav):
    with torch.autocast("cpu", torch.bfloat16):
        frames, _ = model(wav)
    assert frames.isfinite().all()
    assert (frames.float() - model(wav)[0]).abs().mean() < 0.1


def test_one_that_is_not_finetuned_stays_as_it_is(wav):
    torch.manual_seed(0)
    whole = torch.nn.Sequential(Model(dataclasses.replace(SMALL, dropout=0.5, finetuned=False)))
    assert whole.training and not any(module.training for module in whole[0].modules())
    whole.eval().train()
    assert not any(module.training for module in whole[0].modules())
    assert not any(weight.requires_grad for weight in whole.parameters())
    frames, _ = whole(wav)
    assert frames.grad_fn is None and torch.equal(frames, whole(wav)[0])  # no graph, no dropout
    assert not whole[0].fresh().training


def test_one_that_is_finetuned_has_dropout_in_training(wav):
    model = Model(dataclasses.replace(SMALL, dropout=0.5))
    assert model.training and all(weight.requires_grad for weight in model.parameters())
    assert not torch.equal(model(wav)[0], model(wav)[0])


def test_no_switch_of_torch_is_left_turned(wav):
    """Neither by importing every front-end nor by a forward pass."""
    code = (
        "import torch; from wesep_mix.base import plugins; "
        "[plugins.load('frontends', name) for name in plugins.names('frontends')]; "
        "assert torch.backends.mha.get_fastpath_enabled()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    before = torch.backends.mha.get_fastpath_enabled()
    with torch.inference_mode():
        Model(SMALL).eval()(wav)
    assert torch.backends.mha.get_fastpath_enabled() == before
