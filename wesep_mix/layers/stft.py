"""Short-time Fourier transform and its inverse with exact lengths, for any number of samples from 1 on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class STFT(nn.Module):
    """Centred STFT with a periodic Hann window as long as the FFT and reflected edges.

    A signal of T samples has L = 1 + T // hop frames of F = n_fft // 2 + 1 bins. Two kinds are filled up with
    zeros first: one too short to be reflected, to n_fft // 2 + 1 samples; and one whose end lies over 3/8 of
    a window behind its last frame's middle (only with hops that long), to a frame more: the inverse divides
    by the squared window, which is close to nothing there. Without `end_frame` the latter has no frame more. The
    window is no part of the state dict.
    """

    def __init__(self, n_fft: int, hop: int, end_frame: bool = True):
        super().__init__()
        self.n_fft, self.hop, self.end_frame = n_fft, hop, end_frame
        self.num_bins = n_fft // 2 + 1
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        """float32 [B, T] -> complex64 [B, F, L]."""
        wav = functional.pad(wav, (0, self._missing(wav.shape[1])))
        return torch.stft(wav, self.n_fft, self.hop, window=self.window, return_complex=True)

    def inverse(self, spec: Tensor, num_samples: int) -> Tensor:
        """complex64 [B, F, L] -> float32 [B, num_samples], `num_samples` being the analysed signal's."""
        return torch.istft(spec, self.n_fft, self.hop, window=self.window, length=num_samples)

    def _missing(self, num_samples: int) -> int:
        wanted = max(num_samples, self.num_bins)
        beyond = wanted % self.hop
        short = self.end_frame and beyond > 3 * self.n_fft // 8
        return wanted - num_samples + (self.hop - beyond if short else 0)


def power(spec: Tensor) -> Tensor:
    """Squared magnitudes: complex64 [B, F, L] -> float32 [B, F, L]."""
    return spec.real.square() + spec.imag.square()  # a sum over an axis of two takes several times as long
