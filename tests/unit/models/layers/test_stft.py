import pytest
import torch

from wesep_mix.models.layers.stft import STFT, power


@pytest.mark.parametrize("num_samples", [1, 2, 100, 256, 257, 511, 512, 1279, 1280, 16001])
@pytest.mark.parametrize("hop", [128, 256])
def test_the_inverse_gives_back_every_sample(num_samples, hop):
    stft, wav = STFT(512, hop), torch.randn(2, num_samples)
    torch.testing.assert_close(stft.inverse(stft(wav), num_samples), wav, atol=1e-5, rtol=0)


@pytest.mark.parametrize("num_samples", range(2048, 2304, 15))
@pytest.mark.parametrize("hop", [128, 256])
def test_the_end_of_an_estimate_is_not_blown_up(num_samples, hop):
    stft = STFT(512, hop)
    spec = torch.randn_like(stft(torch.zeros(1, num_samples)))
    wav = stft.inverse(spec, num_samples)
    assert wav[:, -256:].abs().max() < 12 * wav.std()


def test_shape_and_empty_state():
    stft = STFT(512, 128)
    assert stft(torch.randn(2, 1279)).shape == (2, 257, 10)
    assert stft.state_dict() == {}


def test_power_is_the_squared_magnitude():
    spec = STFT(64, 16)(torch.randn(2, 300))
    torch.testing.assert_close(power(spec), spec.abs().square())
