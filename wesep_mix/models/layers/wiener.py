"""A Wiener filter: a mixture is shared among estimates of its sources, time by time and frequency by frequency.

Source: Liutkus and Badeau, "Generalized Wiener filtering with fractional power spectrograms", ICASSP 2015 (there with
any exponent, here 2). What the mixture has beyond the sum of the estimates, noise among it, takes part as one more
source, of less weight.

M estimates, T samples, F bins, L frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW, HOP = 512, 128
REST = 0.1  # weight of the power of what no estimate has: chosen of 0, .1, .25, .5 and 1 on real_small's dev set
LEAST = 1e-20  # added to a power


def spectra_of(wav: Tensor) -> Tensor:
    """Float32 [..., T] -> complex64 [..., F, L], zeros around the ends."""
    window = torch.hann_window(WINDOW, device=wav.device)
    spec = torch.stft(wav.flatten(0, -2), WINDOW, HOP, window=window, pad_mode="constant", return_complex=True)
    return spec.unflatten(0, wav.shape[:-1])


def shares(own: Tensor, power: Tensor, total: Tensor, mix: Tensor, num_samples: int) -> Tensor:
    """What estimates get of their mixtures: |E|^2 / (sum over j of |E_j|^2 + 0.1 |X - sum over j of E_j|^2) of X.

    Args:
        own: spectrogram E of each estimate, complex64 [M, F, L].
        power: sum of |E_j|^2 of all estimates of its mixture, float32 [M, F, L].
        total: sum of E_j of them, complex64 [M, F, L].
        mix: of the mixture, X, complex64 [M, F, L].
        num_samples: T.

    Returns:
        Float32 [M, T].
    """
    mask = own.abs().square() / (power + REST * (mix - total).abs().square() + LEAST)
    window = torch.hann_window(WINDOW, device=mix.device)
    return torch.istft(mask * mix, WINDOW, HOP, window=window, length=num_samples)
