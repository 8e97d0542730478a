"""A small extractor of our own for two cores: magnitude masking of an STFT by a temporal convolutional network.

No paper: the separator has the shape of Conv-TasNet's (Luo and Mesgarani 2019, section II-C), stacks of dilated
residual blocks, on STFT frames of 32 ms, with the speaker embedding joined before each stack. Frames are rows
(channels last), norms are per frame and a block is two matrix products, because these are what a CPU does fast. The
network sees log magnitudes and gives a mask from 0 to 1, a smaller task than a complex mask. It is the mini recipe's
default; labs want DPCCN or larger.

With `causal` the blocks look back only, and each frame is given at the level of all that was heard up to its end
instead of the whole mixture's; the parameters stay the same. A sample of the output then depends on less than a window
from it on: a latency of 32 ms at the default size.

B batch, T samples, L frames, F bins, C channels, D embedding size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wesep_mix.base.config import Checked, Count
from wesep_mix.models.layers.fusion import Fusion, FusionKind
from wesep_mix.models.layers.network import Longer, Network, check_inputs, level_so_far, unit_level
from wesep_mix.models.layers.stft import STFT, power


@dataclass(frozen=True)
class Config(Checked):
    """Window and hop in samples; no stack of blocks is left out.

    Attributes:
        hop: up to half of `window`.
        causal: the blocks look back only, and the level is that of what was heard.
    """

    name: str = "stft_tcn"
    embedding_dim: Count = 256
    fusion: FusionKind = "film"
    window: Count = 512  # samples
    hop: Count = 256
    channels: Count = 192
    hidden: Count = 192
    num_blocks: Count = 6
    num_stacks: Count = 3
    causal: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hop > self.window // 2:
            raise ValueError(f"hop: wanted 1 to {self.window // 2} (half of window), found {self.hop}")


class Model(Network):
    """STFT, log magnitudes, stacks of blocks with the embedding fused before each, mask, inverse STFT."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.frame_step = config, config.hop
        self.lookahead = config.window - 1 if config.causal else None
        self.stft = STFT(config.window, config.hop)
        bins = self.stft.num_bins
        self.entry = nn.Sequential(nn.Linear(bins, config.channels), nn.LayerNorm(config.channels))
        self.fusions = nn.ModuleList(
            Fusion(config.fusion, config.channels, config.embedding_dim, dim=2) for _ in range(config.num_stacks)
        )
        self.stacks = nn.ModuleList(
            nn.Sequential(*(Block(config, 2**k) for k in range(config.num_blocks))) for _ in range(config.num_stacks)
        )
        self.mask = nn.Sequential(nn.LayerNorm(config.channels), nn.Linear(config.channels, bins), nn.Sigmoid())

    def forward(self, mix: Tensor, emb: Tensor | None = None, longer: Longer | None = None) -> Tensor:
        """Extract the speaker whose embedding is given.

        Args:
            mix: Mixtures, float32 [B, T], any T >= 1.
            emb: Embeddings, float32 [B, D]; None with fusion `none`.
            longer: The signal that mix is a part of, where it is one.

        Returns:
            Estimates, float32 [B, T].

        Raises:
            UserError: For other shapes, values that are not finite, an embedding missing or unwanted.
        """
        check_inputs(mix, emb, self.config)
        level = 1.0 if self.config.causal else unit_level(mix, longer)  # [B, 1]
        spec = self.stft(mix / level)  # complex [B, F, L]
        energy = power(spec)  # [B, F, L]
        if self.config.causal:
            energy = energy / self._level_so_far(mix, spec.shape[2], longer)[:, None].square()
        hidden = self._entered(energy)  # [B, L, C]
        for fusion, stack in zip(self.fusions, self.stacks, strict=True):
            hidden = stack(fusion(hidden, emb))
        return self.stft.inverse(spec * self._masked(hidden), mix.shape[1]) * level

    def step(
        self, spec: Tensor, level: Tensor, emb: Tensor | None, past: list[Tensor] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """The next frames of a stream, for a causal model.

        Args:
            spec: Of the mixture, complex64 [B, F, L], any L >= 1.
            level: Of all that was heard up to the end of each frame, float32 [B, L].
            emb: As for `forward`.
            past: What the call before gave; None for the first.

        Returns:
            The talker's frames, complex64 [B, F, L], and what the next call wants.
        """
        hidden = self._entered(power(spec) / level[:, None].square())
        kept = []
        for place, (fusion, stack) in enumerate(zip(self.fusions, self.stacks, strict=True)):
            hidden = fusion(hidden, emb)
            for number, block in enumerate(stack):
                before = None if past is None else past[place * len(stack) + number]
                hidden, after = block.step(hidden, before)
                kept.append(after)
        return spec * self._masked(hidden), kept

    def _entered(self, energy: Tensor) -> Tensor:
        """Energies at unit level, [B, F, L] -> [B, L, C]."""
        return self.entry((energy + 1e-4).log().transpose(1, 2))

    def _masked(self, hidden: Tensor) -> Tensor:
        """[B, L, C] -> the mask, [B, F, L]."""
        return self.mask(hidden).transpose(1, 2)

    def _level_so_far(self, mix: Tensor, num_frames: int, longer: Longer | None = None) -> Tensor:
        """Float [B, T] -> float [B, L], at the end of every frame."""
        config = self.config
        middles = config.hop * torch.arange(num_frames, device=mix.device)
        return level_so_far(mix, (middles + config.window // 2).clamp(max=mix.shape[1]), longer)


class Block(nn.Module):
    """Norm, three frames `dilation` apart side by side, linear layer, ReLU, linear layer, added to the input.

    The three stand around the frame that comes out, or with `causal` end with it.
    """

    def __init__(self, config: Config, dilation: int):
        super().__init__()
        channels, hidden = config.channels, config.hidden
        self.dilation = dilation
        self.around = (2 * dilation, 0) if config.causal else (dilation, dilation)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(3 * channels, hidden)
        self.narrow = nn.Linear(hidden, channels)

    def forward(self, frames: Tensor) -> Tensor:
        """Float [B, L, C] -> float [B, L, C]."""
        return self._added(frames, nn.functional.pad(self.norm(frames), (0, 0, *self.around)))

    def step(self, frames: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """The next frames of a stream.

        Args:
            frames: Float [B, L, C].
            past: What the call before gave, float [B, 2 * dilation, C]; None for the first.

        Returns:
            Float [B, L, C], and what the next call wants.
        """
        normed = self.norm(frames)
        if past is None:
            past = normed.new_zeros(len(frames), 2 * self.dilation, frames.shape[2])
        padded = torch.cat([past, normed], 1)
        return self._added(frames, padded), padded[:, frames.shape[1] :]

    def _added(self, frames: Tensor, padded: Tensor) -> Tensor:
        """Frames [B, L, C]; normed, with those around them, [B, L + 2d, C] -> [B, L, C]."""
        length = frames.shape[1]
        taps = [padded[:, k * self.dilation : k * self.dilation + length] for k in range(3)]
        y = self.widen(torch.cat(taps, dim=-1)).relu()  # [B, L, hidden]
        return frames + self.narrow(y)
