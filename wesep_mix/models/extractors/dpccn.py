"""DPCCN: densely-connected pyramid complex convolutional network, conditioned on a speaker embedding.

Source: Han, Long, Burget, Cernocky: "DPCCN: Densely-Connected Pyramid Complex Convolutional Network for
Robust Speech Separation and Extraction", ICASSP 2022, sections 2 and 3, in the form of WeSep (Wang et al.,
Interspeech 2024).

A U-Net on the complex spectrogram [B, 2, L, F]. On the way down and up there are dense blocks; every step halves or
doubles the bins F and keeps the frames L (with a `kernel_size` of 2p+1 frames; else a step up undoes what the step
down does to them). At the bottom a dilated TCN goes over the line of L x F positions, and on top there is a pyramid of
average pools. The output is the estimate's spectrogram itself (complex mapping). Every convolution of the U-Net is
followed by ELU, then instance norm over the utterance.

Differs from the paper: the embedding is given, not computed from an enrolment inside the model; it is fused
after the first dense block along the frequency axis, as in WeSep. WeSep pads the frequency axis (`padding`
(1, 1), 3 bins at the bottom); (1, 0) is the authors' code (1 bin). Sizes and `unit_level` are settings.
`tcn_causal` makes the TCN causal as in WeSep; the model as a whole looks ahead all the same (norms,
convolutions over time).

B batch, T samples, L frames, F bins, C channels, D embedding size.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.base.config import Checked, Count, CountOrZero, Counts
from wesep_mix.models.layers.fast import dense
from wesep_mix.models.layers.fast.frames_last import Depthwise, Pointwise
from wesep_mix.models.layers.fusion import Fusion, FusionKind, embedding_transform
from wesep_mix.models.layers.network import Longer, Network, check_inputs, unit_level
from wesep_mix.models.layers.norms import instance_norm
from wesep_mix.models.layers.stft import STFT


@dataclass(frozen=True)
class Config(Checked):
    """The defaults are WeSep's DPCCN at 16 kHz: 6,366,451 parameters.

    With FiLM they are 6,432,500, as many with a hidden layer of 128 values as without one.

    Raises: ValueError when the sizes do not fit.

    Attributes:
        film_hidden: values of FiLM's hidden layer; 0: FiLM is a single layer.
        end_frame: with hops over 3/8 of n_fft, WeSep ends in a click for want of it (models.layers.stft).
        kernel_size: of the steps down and up, over (frames, bins).
        padding: of the same.
        output_padding: of the steps up; (0, 1) doubles to an even number of bins.
        dense_channels: stages with dense block, the first at all bins.
        conv_channels: further stages without; the last number is also the TCN's width.
        tcn_blocks: of a repeat, dilations 1, 2, 4, ...
        unit_level: bring each mixture to a root mean square of 1 and the estimate back.
    """

    name: str = "dpccn"
    embedding_dim: Count = 256
    fusion: FusionKind = "multiply"
    film_hidden: CountOrZero = 0
    transform_embedding: bool = False
    n_fft: Count = 512
    hop: Count = 128
    end_frame: bool = False
    kernel_size: tuple[Count, Count] = (3, 3)
    padding: tuple[CountOrZero, CountOrZero] = (1, 1)
    output_padding: tuple[Literal[0], Literal[0, 1]] = (0, 0)
    dense_channels: Counts = (16, 32, 32, 32, 32)
    conv_channels: Counts = (64, 128, 384)
    dense_depth: Count = 5
    tcn_repeats: CountOrZero = 2
    tcn_blocks: CountOrZero = 10
    tcn_causal: bool = False
    pool_sizes: Counts = (4, 8, 16, 32)
    pool_channels: Count = 8
    unit_level: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hop > 3 * self.n_fft // 4:
            raise ValueError(f"hop: wanted 1 to {3 * self.n_fft // 4} (3/4 of n_fft), found {self.hop}")
        bins, gained = self.num_bins, self.kernel_size[1] - 2 * self.padding[1] + self.output_padding[1]
        for above, below in pairwise(bins):
            if below < 1 or 2 * (below - 1) + gained != above:
                raise ValueError(
                    f"n_fft {self.n_fft}: the stages' bins {bins} can't be doubled back, "
                    f"take fewer stages or n_fft a multiple of {2 ** len(bins)}"
                )
        if max(self.pool_sizes) > bins[0]:
            raise ValueError(f"pool_sizes: wanted at most {bins[0]} (the bins), found {max(self.pool_sizes)}")

    @property
    def num_bins(self) -> list[int]:
        """F of every encoder stage, from the top to the bottom."""
        lost = self.kernel_size[1] - 2 * self.padding[1]
        bins = [self.n_fft // 2 + 1 - (lost - 1)]
        for _ in range(len(self.dense_channels) + len(self.conv_channels) - 1):
            bins.append((bins[-1] - lost) // 2 + 1)
        return bins

    @property
    def least_frames(self) -> int:
        """Of which enough are left for the largest pool, and at the bottom."""
        lost = self.kernel_size[0] - 1 - 2 * self.padding[0]  # by the first layer and every step down
        return max(2, max(self.pool_sizes) + lost, 1 + lost * len(self.num_bins))


class Model(Network):
    """STFT, U-Net with a TCN at the bottom, pyramid of pools, inverse STFT."""

    free_level = True  # the norm behind every layer takes the level out, the mapping gives one of its own

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.frame_step = config, config.hop
        steps = {"kernel_size": config.kernel_size, "padding": config.padding}
        top = config.dense_channels[0]
        self.stft = STFT(config.n_fft, config.hop, config.end_frame)
        self.embedding_transform = embedding_transform(config)
        self.stem = nn.Conv2d(2, top, **steps)
        self.encoder = encoder(config, steps)
        bins, size = config.num_bins[0], config.embedding_dim
        self.fusion = Fusion(config.fusion, bins, size, config.film_hidden, dim=3)
        self.tcn = nn.Sequential(*(tcn_repeat(config) for _ in range(config.tcn_repeats)))
        self.decoder = decoder(config, steps)
        coarse = config.pool_channels
        self.pyramid = nn.ModuleList(nn.Conv2d(2 * top, coarse, 1) for _ in config.pool_sizes)
        self.project = nn.Conv2d(2 * top + coarse * len(config.pool_sizes), 2 * top, 1)
        self.head = nn.ConvTranspose2d(2 * top, 2, **steps)

    def forward(self, mix: Tensor, emb: Tensor | None = None, longer: Longer | None = None) -> Tensor:
        """Extract the speaker whose embedding is given.

        A mixture of fewer frames than the largest pool needs is filled up with zeros for the computation.

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
        level = unit_level(mix, longer) if self.config.unit_level else 1.0
        missing = max(0, (self.config.least_frames - 1) * self.config.hop - mix.shape[1])
        est = self.extract(functional.pad(mix / level, (0, missing)), emb)  # [B, T + missing]
        return est[:, : mix.shape[1]] * level

    def extract(self, mix: Tensor, emb: Tensor | None) -> Tensor:
        """`forward` without its checks, for mixtures that are long enough.

        Args:
            mix: Float32 [B, T].
            emb: Float32 [B, D], or None.

        Returns:
            Float32 [B, T].
        """
        if emb is not None:
            emb = self.embedding_transform(emb)
        spec = self.stft(mix)  # [B, F, L], complex
        x = channels_last(torch.stack([spec.real, spec.imag], 1).transpose(2, 3))  # [B, 2, L, F]
        x = self.unet(self.stem(x), emb)
        x = self.head(self.pool(x)).float().transpose(2, 3)  # [B, 2, F, L]
        return self.stft.inverse(torch.complex(x[:, 0], x[:, 1]), mix.shape[1])

    def unet(self, x: Tensor, emb: Tensor | None) -> Tensor:
        """The U-Net, with fusion behind its first dense block and the TCN at its bottom.

        Args:
            x: Float [B, C, L, F], C being `dense_channels[0]`.
            emb: Float [B, D], or None.

        Returns:
            Float [B, 2C, L, F].
        """
        skips = [self.fusion(self.encoder[0](x), emb)]
        for stage in self.encoder[1:]:
            skips.append(stage(skips[-1]))
        line = skips[-1].flatten(2)  # [B, C, L * F], the bins of a frame side by side
        x = channels_last(self.tcn(line.contiguous()).reshape(skips[-1].shape))  # [B, C, L, F]
        for stage in self.decoder:
            x = stage(skips.pop(), x)
        return x

    def pool(self, x: Tensor) -> Tensor:
        """Add averages over patches of several sizes: float [B, C, L, F] -> the same shape."""
        views = [x]
        for size, conv in zip(self.config.pool_sizes, self.pyramid, strict=True):
            coarse = conv(functional.avg_pool2d(x, size))  # [B, pool_channels, L / size, F / size]
            views.append(functional.interpolate(coarse, x.shape[2:], mode="bilinear"))
        return dense.conv_of_parts(self.project, views)


class ConvBlock(nn.Module):
    """Convolution (`conv`, of either direction), ELU, instance norm."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d):
        super().__init__()
        self.conv = conv

    def forward(self, *parts: Tensor) -> Tensor:
        """Features side by side, float [B, C_i, L, F] each -> float [B, C, L', F']."""
        if dense.applies(parts):
            return dense.conv_elu_norm(self.conv, parts)
        y = self.conv(torch.cat(parts, 1))
        return instance_norm(functional.elu(y, inplace=True))


class DenseBlock(nn.Module):
    """Convolutions that each see the block's input and all outputs before; the last one's is the result."""

    def __init__(self, num_in: int, growth: int, num_out: int, depth: int):
        super().__init__()
        widths = [growth] * (depth - 1) + [num_out]
        self.layers = nn.ModuleList(
            ConvBlock(nn.Conv2d(num_in + place * growth, width, 3, padding=1)) for place, width in enumerate(widths)
        )

    def forward(self, *parts: Tensor) -> Tensor:
        """Features side by side, `num_in` channels in all, [B, C_i, L, F] each -> float [B, num_out, L, F]."""
        for layer in self.layers[:-1]:
            parts = (*parts, layer(*parts))
        return self.layers[-1](*parts)


class DenseUp(nn.Module):
    """A dense block, then a step up."""

    def __init__(self, dense: DenseBlock, up: ConvBlock):
        super().__init__()
        self.dense, self.up = dense, up

    def forward(self, *parts: Tensor) -> Tensor:
        """[B, C_i, L, F] each -> float [B, C, L, F']."""
        return self.up(self.dense(*parts))


class TCNBlock(nn.Module):
    """Norm, ELU, dilated depthwise convolution, norm, ELU, 1x1 convolution, added to the input."""

    def __init__(self, num_channels: int, dilation: int, causal: bool):
        super().__init__()
        self.depthwise = Depthwise(num_channels, 3, dilation, causal)
        self.pointwise = Pointwise(num_channels, num_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, N] -> float [B, C, N]."""
        y = self.depthwise(dense.elu_frames_last(instance_norm(x)))
        y = self.pointwise(dense.elu_frames_last(instance_norm(y)))
        return x + y


def channels_last(x: Tensor) -> Tensor:
    """Lay an image out as convolutions are quickest: on a CPU with the channels side by side in memory.

    Args:
        x: Float [B, C, L, F].

    Returns:
        The same.
    """
    return x.contiguous(memory_format=torch.channels_last if x.device.type == "cpu" else torch.contiguous_format)


def encoder(config: Config, steps: dict) -> nn.ModuleList:
    """The stages on the way down: a dense block alone; then step down and dense block; then steps down alone.

    Args:
        config: The model's.
        steps: Kernel size and padding of the steps down.

    Returns:
        The stages, from the top.
    """
    top, depth = config.dense_channels[0], config.dense_depth
    stages: list[nn.Module] = [DenseBlock(top, top, top, depth)]
    widths = (*config.dense_channels, *config.conv_channels)
    for place, (above, width) in enumerate(pairwise(widths), start=1):
        down = ConvBlock(nn.Conv2d(above, width, stride=(1, 2), **steps))
        if place < len(config.dense_channels):
            down = nn.Sequential(OrderedDict(down=down, dense=DenseBlock(width, width, width, depth)))
        stages.append(down)
    return nn.ModuleList(stages)


def decoder(config: Config, steps: dict) -> nn.ModuleList:
    """The stages on the way up: the encoder's, mirrored.

    Each takes its counterpart's output and what comes from below, 2C channels together.

    Args:
        config: The model's.
        steps: Kernel size and padding of the steps up.

    Returns:
        The stages, from the bottom.
    """
    widths = (*config.dense_channels, *config.conv_channels)
    steps = {**steps, "output_padding": config.output_padding}
    stages: list[nn.Module] = []
    for place, (above, width) in reversed(list(enumerate(pairwise(widths), start=1))):
        up = ConvBlock(nn.ConvTranspose2d(2 * width, above, stride=(1, 2), **steps))
        if place < len(config.dense_channels):
            dense = DenseBlock(2 * width, width, 2 * width, config.dense_depth)
            up = DenseUp(dense, up)
        stages.append(up)
    stages.append(DenseBlock(2 * widths[0], widths[0], 2 * widths[0], config.dense_depth))
    return nn.ModuleList(stages)


def tcn_repeat(config: Config) -> nn.Sequential:
    """TCN blocks of rising dilation."""
    width, causal = config.conv_channels[-1], config.tcn_causal
    return nn.Sequential(*(TCNBlock(width, 2**place, causal) for place in range(config.tcn_blocks)))
