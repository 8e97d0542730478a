"""A small front-end that needs no pretrained weights: log-mel, two strided convolutions, a few transformer layers.

Not from the paper, which uses WavLM: it stands in where no weights can be had, at the size of a two-core machine.

B batch, T samples, L frames, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wesep_mix.models.contracts import TrainedWhole
from wesep_mix.models.layers.fast.frames_last import Depthwise, frames_last
from wesep_mix.models.layers.masking import lengths_of, masked_mean_std, valid_frames
from wesep_mix.models.layers.mel import MelPower

WINDOW = 512  # samples, 32 ms
LOWEST_HZ = 20.0


@dataclass(frozen=True)
class Config(TrainedWhole):
    """Sizes for two cores.

    Attributes:
        hop: samples; the two convolutions make it four times as long.
        finetuned: false: nothing of it is trained; it stays in eval mode, without a gradient.
    """

    name: str = "logmel"
    num_mels: int = 80
    hop: int = 160
    channels: int = 128
    num_layers: int = 3
    num_heads: int = 4
    dropout: float = 0.1
    sample_rate: int = 16000
    finetuned: bool = True


class Model(nn.Module):
    """Waveform -> frames of 40 ms; the level of the input has no influence (mean of the log-mel is removed)."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.channels = config.channels
        self.mel_power = MelPower(WINDOW, config.hop, config.num_mels, config.sample_rate, LOWEST_HZ)
        widths = (config.num_mels, config.channels, config.channels)
        self.convs = nn.ModuleList(
            nn.Conv1d(inner, outer, kernel_size=5, stride=2, padding=2)
            for inner, outer in zip(widths[:-1], widths[1:], strict=True)
        )
        self.position = Depthwise(config.channels, 31)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.channels,
                config.num_heads,
                4 * config.channels,
                config.dropout,
                "gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.channels)
        self.requires_grad_(config.finetuned).train(self.training)

    def fresh(self) -> Model:
        """The same front-end before any training."""
        return Model(self.config)

    def train(self, mode: bool = True) -> Model:
        return super().train(mode and self.config.finetuned)

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Wav float [B, T], num_samples int64 [B] (T when None) -> frames [B, L, C], num_frames int64 [B]."""
        frames, num_frames = self._features(wav, lengths_of(wav, num_samples))  # [B, num_mels, L]
        for conv in self.convs:
            num_frames = torch.div(num_frames - 1, 2, rounding_mode="floor") + 1
            frames = nn.functional.gelu(conv(frames))  # [B, C, L], half of the frames
            frames = frames * valid_frames(num_frames, frames.shape[-1])[:, None]
        frames = (frames + self.position(frames_last(frames))).transpose(1, 2)  # [B, L, C]
        padding = ~valid_frames(num_frames, frames.shape[1])
        with plain_attention():
            for layer in self.layers:
                frames = layer(frames, src_key_padding_mask=padding)  # [B, L, C]
        return self.norm(frames), num_frames

    def _features(self, wav: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Mean-free log-mel [B, num_mels, L], zero where an item has ended, and its lengths [B]."""
        num_frames = torch.div(num_samples, self.config.hop, rounding_mode="floor").clamp(min=1)
        level = wav.abs().amax(dim=1, keepdim=True).clamp(min=1e-8)
        logmel = (self.mel_power((wav / level).float(), int(num_frames.max())) + 1e-6).log()  # [B, L, num_mels]
        valid = valid_frames(num_frames, logmel.shape[1])
        mean, _ = masked_mean_std(logmel, valid)
        return ((logmel - mean) * valid[..., None]).transpose(1, 2) / 3.0, num_frames


@contextmanager
def plain_attention() -> Iterator[None]:
    """In it, PyTorch's transformer layers take no fused path, whose masked softmax is slow on a CPU (in eval mode)."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
