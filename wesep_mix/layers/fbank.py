"""Kaldi's log mel filterbank for a batch, mean over time removed: the features of WeSpeaker's and ECAPA's networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torchaudio.compliance import kaldi

FULL_SCALE = 1 << 15  # Kaldi's waveforms are 16-bit integers


def fbank(
    wav: Tensor, num_mels: int = 80, window_ms: float = 25.0, hop_ms: float = 10.0, sample_rate: int = 16000
) -> Tensor:
    """wav float [B, T], full scale 1, T at least one window -> float32 [B, L, num_mels],
    L = 1 + (T - window) // hop; in full precision whatever the autocast."""

    def one(row: Tensor) -> Tensor:
        return kaldi.fbank(
            row[None], num_mel_bins=num_mels, frame_length=window_ms, frame_shift=hop_ms, dither=0.0,
            sample_frequency=sample_rate, window_type="hamming", use_energy=False,
        )

    with torch.autocast(wav.device.type, enabled=False):  # bf16 is too coarse for powers and their logarithm
        features = torch.vmap(one)(FULL_SCALE * wav.float())
        return features - features.mean(1, keepdim=True)
