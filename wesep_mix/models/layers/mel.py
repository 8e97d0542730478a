"""Mel spectra in float32, whatever the autocast: bf16 is too coarse for powers and their logarithm.

`MelPower` gives the power of a waveform's frames in mel bands, for front-ends of our own. `fbank` is Kaldi's log mel
filterbank without its mean over time, the features of WeSpeaker's and ECAPA's networks.

B batch, T samples, L frames.
"""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor, nn
from torchaudio.compliance import kaldi

from wesep_mix.models.layers.stft import power


class MelPower(nn.Module):
    """Powers in `num_mels` bands from `lowest_hz` to half the sample rate, a Hann window every `hop` samples.

    norm, scale: of the filters, as torchaudio's `melscale_fbanks` has them. Nothing of it is in the state dict.
    """

    def __init__(
        self,
        window: int,
        hop: int,
        num_mels: int,
        sample_rate: int,
        lowest_hz: float = 0.0,
        norm: str | None = None,
        scale: str = "htk",
    ):
        super().__init__()
        self.hop = hop
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        filters = torchaudio.functional.melscale_fbanks(
            window // 2 + 1, lowest_hz, sample_rate / 2, num_mels, sample_rate, norm, scale
        )
        self.register_buffer("filters", filters, persistent=False)  # [window // 2 + 1, num_mels]

    def forward(self, wav: Tensor, length: int) -> Tensor:
        """float32 [B, T] -> its first `length` spectra, float32 [B, length, num_mels].

        Frame l is centred at sample l * hop; before the start and after the end is silence, not a reflection, which
        would make an item's end depend on the batch's padding.
        """
        with torch.autocast(wav.device.type, enabled=False):
            size = len(self.window)
            after = max(size // 2, (length - 1) * self.hop + size // 2 - wav.shape[1])
            padded = nn.functional.pad(wav, (size // 2, after))
            spec = torch.stft(padded, size, self.hop, window=self.window, center=False, return_complex=True)
            return power(spec[..., :length]).transpose(1, 2) @ self.filters  # [B, length, num_mels]


FULL_SCALE = 1 << 15  # Kaldi's waveforms are 16-bit integers


def fbank(
    wav: Tensor,
    num_mels: int = 80,
    window_ms: float = 25.0,
    hop_ms: float = 10.0,
    sample_rate: int = 16000,
    window_type: str = "hamming",
    full_scale: float = FULL_SCALE,
) -> Tensor:
    """Kaldi's log mel filterbank without dither or energy, its mean over time removed.

    Args:
        wav: Float [B, T], full scale 1, T at least one window.
        num_mels: Mel bands.
        window_ms: Length of a frame's window.
        hop_ms: From frame to frame.
        sample_rate: In Hz.
        window_type: One of Kaldi's; its default is `povey`.
        full_scale: What full scale becomes; the less it is, the more of the quiet parts lies below Kaldi's floor.

    Returns:
        Float32 [B, L, num_mels], L = 1 + (T - window) // hop.
    """

    def one(row: Tensor) -> Tensor:
        return kaldi.fbank(
            row[None],
            num_mel_bins=num_mels,
            frame_length=window_ms,
            frame_shift=hop_ms,
            dither=0.0,
            sample_frequency=sample_rate,
            window_type=window_type,
            use_energy=False,
        )

    with torch.autocast(wav.device.type, enabled=False):
        features = torch.vmap(one)(full_scale * wav.float())
        return features - features.mean(1, keepdim=True)
