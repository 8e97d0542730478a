import numpy as np
import pytest
import torch

from wesep_mix.models.layers.stft import FramedSTFT

SIZES = [(400, 100, 512), (64, 32, 64), (48, 16, 64)]


@pytest.mark.parametrize("window, hop, n_fft", SIZES)
@pytest.mark.parametrize("num_samples", [1, 15, 16, 99, 100, 101, 1234])
def test_the_inverse_gives_back_every_sample(window, hop, n_fft, num_samples):
    stft, wav = FramedSTFT(window, hop, n_fft), torch.randn(2, num_samples)
    spec = stft(wav)
    assert spec.shape == (2, n_fft // 2 + 1, -(-num_samples // hop) + window // hop - 1)
    torch.testing.assert_close(stft.inverse(spec, num_samples), wav, atol=1e-5, rtol=0)


@pytest.mark.parametrize("window, hop, n_fft", SIZES)
def test_frame_l_is_the_windowed_fft_of_what_ends_with_hop_l(window, hop, n_fft):
    wav = torch.randn(1, 500)
    spec = FramedSTFT(window, hop, n_fft)(wav)[0].numpy()
    padded = np.concatenate([np.zeros(window - hop), wav[0].numpy(), np.zeros(2 * window)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = [np.fft.rfft(padded[place * hop :][:window] * hann, n_fft) for place in range(spec.shape[1])]
    np.testing.assert_allclose(spec, np.stack(frames, 1), atol=1e-4)


@pytest.mark.parametrize("window, hop, n_fft", SIZES)
def test_the_inverse_overlaps_the_frames_nearest_to_the_spectrogram(window, hop, n_fft):
    """By the pseudo-inverse of the transform as a matrix, which knows nothing of the closed form."""
    rng, num_frames = np.random.default_rng(0), 9
    spec = rng.standard_normal((n_fft // 2 + 1, num_frames)) + 1j * rng.standard_normal((n_fft // 2 + 1, num_frames))
    spec[[0, -1]] = spec[[0, -1]].real
    transform = np.fft.rfft(np.eye(n_fft))[:window].T  # [F, window]
    nearest = np.linalg.pinv(np.concatenate([transform.real, transform.imag])) @ np.concatenate([spec.real, spec.imag])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    total, weight = np.zeros((2, window + hop * (num_frames - 1)))
    for place in range(num_frames):
        total[place * hop :][:window] += nearest[:, place] * hann
        weight[place * hop :][:window] += hann**2
    num_samples = hop * (num_frames - window // hop + 1)
    found = FramedSTFT(window, hop, n_fft).inverse(torch.tensor(spec[None], dtype=torch.complex64), num_samples)
    wanted = (total[window - hop :] / np.maximum(weight[window - hop :], 1e-9))[:num_samples]
    np.testing.assert_allclose(found[0].numpy(), wanted, atol=1e-4 * wanted.std())


def test_the_state_is_empty():
    assert FramedSTFT(400, 100, 512).state_dict() == {}


@pytest.mark.parametrize(
    "window, hop, n_fft, said",
    [
        (400, 300, 512, "whole hops"),
        (100, 100, 512, "whole hops"),
        (75, 25, 128, "even"),
        (400, 100, 256, "n_fft"),
        (400, 0, 512, "whole hops"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(window, hop, n_fft, said):
    with pytest.raises(ValueError, match=said):
        FramedSTFT(window, hop, n_fft)
