"""A small extractor of our own for two cores: complex masking of an STFT by a temporal convolutional network.

No paper: the separator has the shape of Conv-TasNet's (Luo and Mesgarani 2019, section II-C), stacks of dilated
residual blocks, on STFT frames of 32 ms, with the speaker embedding joined before each stack. Frames are rows
(channels last), norms are per frame and a block is two matrix products, because these are what a CPU does fast. It
is the mini recipe's default; labs want DPCCN or larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wesep_mix.extractors.contract import check_inputs
from wesep_mix.layers.fusion import Fusion, check_kind


@dataclass(frozen=True)
class Config:
    name: str = "stft_tcn"
    embedding_dim: int = 256
    fusion: str = "film"
    window: int = 512  # samples
    hop: int = 256
    channels: int = 192
    hidden: int = 192
    num_blocks: int = 6
    num_stacks: int = 3
    compression: float = 0.5  # exponent on the magnitudes that the network sees

    def __post_init__(self) -> None:
        check_kind(self.fusion)


class Model(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        bins = config.window // 2 + 1
        self.register_buffer("window", torch.hann_window(config.window).sqrt(), persistent=False)
        self.entry = nn.Sequential(nn.Linear(2 * bins, config.channels), nn.LayerNorm(config.channels))
        self.fusions = nn.ModuleList(
            Fusion(config.fusion, config.channels, config.embedding_dim, dim=2) for _ in range(config.num_stacks)
        )
        self.stacks = nn.ModuleList(
            nn.Sequential(*(Block(config.channels, config.hidden, 2**k) for k in range(config.num_blocks)))
            for _ in range(config.num_stacks)
        )
        self.mask = nn.Sequential(nn.LayerNorm(config.channels), nn.Linear(config.channels, 2 * bins))

    def forward(self, mix: Tensor, emb: Tensor | None = None) -> Tensor:
        """mix float [B, T], emb float [B, D] (None with fusion `none`) -> estimate of the target [B, T].

        Raises: UserError for a wrong shape or an embedding that is missing, unwanted or of another size.
        """
        check_inputs(mix, emb, self.config)
        level = mix.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-8)  # [B, 1]
        spec = self._stft(mix / level)  # complex [B, F, L]
        hidden = self.entry(self._features(spec))  # [B, L, C]
        for fusion, stack in zip(self.fusions, self.stacks, strict=True):
            hidden = stack(fusion(hidden, emb))
        real, imag = self.mask(hidden).transpose(1, 2).chunk(2, dim=1)  # [B, F, L] each
        return self._istft(spec * torch.complex(real, imag), mix.shape[-1]) * level

    def _features(self, spec: Tensor) -> Tensor:
        magnitude = spec.abs().clamp(min=1e-5)
        compressed = spec * magnitude.pow(self.config.compression - 1)
        return torch.cat([compressed.real, compressed.imag], dim=1).transpose(1, 2)  # [B, L, 2F]

    def _stft(self, wav: Tensor) -> Tensor:
        """[B, T] -> complex [B, F, L]; zeros around, so that any length is covered by whole windows."""
        tail = -wav.shape[-1] % self.config.hop
        padded = nn.functional.pad(wav, (self.config.window, self.config.window + tail))
        return torch.stft(
            padded, self.config.window, self.config.hop, window=self.window, center=False, return_complex=True
        )

    def _istft(self, spec: Tensor, num_samples: int) -> Tensor:
        size, hop = self.config.window, self.config.hop
        frames = torch.fft.irfft(spec.transpose(1, 2), n=size) * self.window  # [B, L, window]
        length = (frames.shape[1] - 1) * hop + size
        summed = nn.functional.fold(frames.transpose(1, 2), (1, length), (1, size), stride=(1, hop))[:, 0, 0]  # [B, length]
        overlap = size / hop / 2  # sum of squared sqrt-Hann windows, constant for hops that divide half a window
        return summed[:, size : size + num_samples] / overlap


class Block(nn.Module):
    """A residual block over three frames `dilation` apart: normalise, join, widen to `hidden`, narrow."""

    def __init__(self, channels: int, hidden: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(3 * channels, hidden)
        self.narrow = nn.Linear(hidden, channels)

    def forward(self, frames: Tensor) -> Tensor:
        """[B, L, C] -> [B, L, C]."""
        length = frames.shape[1]
        padded = nn.functional.pad(self.norm(frames), (0, 0, self.dilation, self.dilation))  # [B, L + 2d, C]
        taps = [padded[:, k * self.dilation : k * self.dilation + length] for k in range(3)]
        return frames + self.narrow(self.widen(torch.cat(taps, dim=-1)).relu())
