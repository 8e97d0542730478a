import numpy as np
import pytest
import torch
import torchaudio

from wesep_mix.models.layers.mel import MelPower

WINDOW, HOP, NUM_MELS = 64, 20, 6


@pytest.fixture
def layer():
    return MelPower(WINDOW, HOP, NUM_MELS, 16000, 20.0)


@pytest.fixture
def wav():
    return torch.randn(2, 500, generator=torch.Generator().manual_seed(0))


def test_every_frame_has_the_power_of_the_window_around_it(layer, wav):
    filters = torchaudio.functional.melscale_fbanks(WINDOW // 2 + 1, 20.0, 8000.0, NUM_MELS, 16000).numpy()
    hann, padded = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW), np.pad(wav[0].numpy(), WINDOW // 2)
    frames = np.stack([hann * padded[HOP * frame : HOP * frame + WINDOW] for frame in range(26)])
    wanted = np.abs(np.fft.rfft(frames)) ** 2 @ filters
    np.testing.assert_allclose(layer(wav, 26)[0].numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert layer.state_dict() == {}


@pytest.mark.parametrize("length", [1, 20, 26, 40])
def test_it_gives_as_many_frames_as_asked_silence_behind_the_end(layer, wav, length):
    found, longer = layer(wav, length), layer(torch.nn.functional.pad(wav, (0, 700)), 60)
    assert found.shape == (2, length, NUM_MELS)
    torch.testing.assert_close(found, longer[:, :length])


def test_autocast_changes_no_bit(layer, wav):
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(wav, 26)
    assert torch.equal(found, layer(wav, 26))
