"""Short-time Fourier transforms and their inverses, with exact lengths for any number of samples from 1 on.

`STFT` has a frame's middle at every hop. `FramedSTFT` has frames that end with a hop, so that none sees further than it
must.

B batch, T samples, L frames, F bins.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class STFT(nn.Module):
    """Centred STFT with a periodic Hann window as long as the FFT and reflected edges.

    A signal of T samples has L = 1 + T // hop frames of F = n_fft // 2 + 1 bins. Two kinds are filled up with
    zeros first. One that is too short to be reflected gets n_fft // 2 + 1 samples. One whose end lies over 3/8 of a
    window behind its last frame's middle (only with hops that long) gets a frame more, unless `end_frame` is false:
    the inverse divides by the squared window, which is close to nothing there. The window is no part of the state
    dict.
    """

    def __init__(self, n_fft: int, hop: int, end_frame: bool = True):
        super().__init__()
        self.n_fft, self.hop, self.end_frame = n_fft, hop, end_frame
        self.num_bins = n_fft // 2 + 1
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        """Float32 [B, T] -> complex64 [B, F, L]."""
        wav = functional.pad(wav, (0, self.missing(wav.shape[1])))
        return torch.stft(wav, self.n_fft, self.hop, window=self.window, return_complex=True)

    def inverse(self, spec: Tensor, num_samples: int) -> Tensor:
        """The signal of a spectrogram.

        Args:
            spec: Complex64 [B, F, L].
            num_samples: T, of the signal that was analysed.

        Returns:
            Float32 [B, T].
        """
        return torch.istft(spec, self.n_fft, self.hop, window=self.window, length=num_samples)

    def framed(self, wav: Tensor) -> Tensor:
        """The frames that lie wholly in a stretch, the first at its start: float32 [B, T] -> complex64 [B, F, L]."""
        return torch.stft(wav, self.n_fft, self.hop, window=self.window, center=False, return_complex=True)

    def missing(self, num_samples: int) -> int:
        """How many zeros a signal of so many samples is filled up with."""
        wanted = max(num_samples, self.num_bins)
        beyond = wanted % self.hop
        short = self.end_frame and beyond > 3 * self.n_fft // 8
        return wanted - num_samples + (self.hop - beyond if short else 0)


def power(spec: Tensor) -> Tensor:
    """Squared magnitudes: complex64 [B, F, L] -> float32 [B, F, L]."""
    return spec.real.square() + spec.imag.square()  # a sum over an axis of two takes several times as long


class FramedSTFT(nn.Module):
    """STFT with a periodic Hann window shorter than the FFT; frame l takes samples up to (l + 1) * hop - 1.

    The phase is that at the window's first sample. A signal of T samples, T >= 1, stands between zeros in
    L = ceil(T / hop) + window / hop - 1 frames of F = n_fft // 2 + 1 bins, so that each sample is in as many frames
    as any other. The inverse takes the frames that are nearest to the spectrogram, all F bins alike, and overlaps and
    adds them with the same window (Griffin and Lim 1984); it is exact for an unchanged spectrogram. That is what the
    pseudo-inverse in the code of DCCRN's authors computes. The windows are no part of the state dict.
    Raises: ValueError when the window is not even and two or more whole hops, or longer than the FFT.
    """

    def __init__(self, window: int, hop: int, n_fft: int):
        super().__init__()
        check_frames(window, hop, n_fft)
        self.size, self.hop, self.n_fft = window, hop, n_fft
        self.num_bins = n_fft // 2 + 1
        hann = torch.hann_window(window)
        overlap = hann.square().view(-1, hop).sum(0).repeat(window // hop)  # squared windows that meet at a sample
        self.register_buffer("analysis", functional.pad(hann, (0, n_fft - window)), persistent=False)
        self.register_buffer("synthesis", hann / overlap, persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        """Float32 [B, T] -> complex64 [B, F, L]."""
        before = self.size - self.hop
        blocks = -(-wav.shape[1] // self.hop)
        after = blocks * self.hop - wav.shape[1] + before + self.n_fft - self.size
        padded = functional.pad(wav, (before, after))
        return torch.stft(padded, self.n_fft, self.hop, window=self.analysis, center=False, return_complex=True)

    def inverse(self, spec: Tensor, num_samples: int) -> Tensor:
        """The signal whose frames are nearest to a spectrogram.

        Args:
            spec: Complex64 [B, F, L].
            num_samples: T, of the signal that was analysed.

        Returns:
            Float32 [B, T].
        """
        frames = self._nearest_frames(spec) * self.synthesis[:, None]  # [B, size, L]
        total = self.size + (spec.shape[2] - 1) * self.hop
        wav = functional.fold(frames, (1, total), (1, self.size), stride=(1, self.hop))[:, 0, 0]  # [B, total]
        return wav[:, self.size - self.hop :][:, :num_samples]

    def _nearest_frames(self, spec: Tensor) -> Tensor:
        """Least squares over the F bins and `size` samples: complex64 [B, F, L] -> float32 [B, size, L].

        With K the transform to F bins, K'K is n_fft / 2 on the diagonal plus 1 between samples of one parity. That is
        inverted in closed form. K' itself is the inverse FFT but for the first and the last bin, which the inverse FFT
        counts half.
        """
        pairs = torch.fft.irfft(spec, self.n_fft, dim=1)[:, : self.size].unflatten(1, (-1, 2))  # [B, size / 2, 2, L]
        first, last = spec.real[:, :1], spec.real[:, -1:]  # [B, 1, L]
        pairs = pairs + torch.cat([first + last, first - last], 1)[:, None] / self.n_fft
        mean = pairs.sum(1, keepdim=True) / (self.n_fft / 2 + self.size / 2)
        return (pairs - mean).flatten(1, 2)


def check_frames(window: int, hop: int, n_fft: int) -> None:
    """Check the sizes of a `FramedSTFT` (a config's own check calls this).

    Args:
        window: Samples.
        hop: Samples.
        n_fft: Samples.

    Raises:
        ValueError: When they do not fit together.
    """
    if hop < 1 or window % hop or window < 2 * hop or window % 2:
        raise ValueError(f"window, hop: wanted an even window of two or more whole hops, found {window} and {hop}")
    if window > n_fft:
        raise ValueError(f"n_fft: wanted at least the window's {window}, found {n_fft}")
