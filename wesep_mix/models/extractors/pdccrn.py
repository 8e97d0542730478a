"""pDCCRN: deep complex convolution recurrent network, conditioned on a speaker embedding.

Source: Hu et al., "DCCRN: Deep Complex Convolution Recurrent Network for Phase-Aware Speech Enhancement",
Interspeech 2020, section 2, the form with complex LSTM and mask 'E'; the embedding in front of the LSTM is that of
arXiv 2604.03219, section on extractors.

A U-Net on the complex spectrogram without its DC bin [B, 2, F, L]. Complex convolutions halve the bins, and two complex
LSTM layers go over all bins of a frame. Mirrored complex convolutions follow, each of which takes the output of its
counterpart beside what comes from below. The last one gives a complex mask; its magnitude is brought below 1 by
tanh, its phase is added to the mixture's. The embedding is fused with the bottleneck's channels, real and imaginary
alike, the same in every bin and frame; for `concat` it is projected to `concat_dim` values first.

Latency: the convolutions down and the LSTM use the past alone, each convolution up also the frame to come. An output
sample depends on window + hop * len(channels) samples from it on, 1000 at the default sizes: 62.5 ms at 16 kHz. With
`causal` the convolutions up use the past too, the window's 25 ms remain, and the parameters stay the same. This holds
in eval mode with `unit_level` false; the level of a whole mixture is only known at its end.

Batch norm takes its statistics over batch, bins and frames, thousands of values a channel in a batch of one chunk of
a second, so small batches do; what hurts it is loudness that differs between training and use: `unit_level` takes
that away.

Differs from the authors' code: an estimate is not clipped at full scale, its length need not be whole hops, and the
mixture's magnitude has no floor.

B batch, T samples, L frames, F bins, C channels, D embedding size.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.base.config import EVEN, FILLED, ODD, Checked, Count, CountOrZero, at_least
from wesep_mix.models.layers.complex import ComplexConv2d, ComplexConvTranspose2d, ComplexLSTM, complex_cat
from wesep_mix.models.layers.fusion import Fusion, FusionKind
from wesep_mix.models.layers.network import Longer, Network, check_causal, check_inputs, unit_level
from wesep_mix.models.layers.stft import FramedSTFT, check_frames

MASK_FLOOR = 1e-8  # added to the mask's squared magnitude, whose root has no gradient at zero
EvenCount = Annotated[int, at_least(2), EVEN]


@dataclass(frozen=True)
class Config(Checked):
    """The defaults are the authors' sizes at 16 kHz: 3,671,053 parameters without embedding.

    With FiLM of a single layer they are 3,802,637, with the recipe's hidden layer of 128 values 3,802,893.

    Raises: ValueError when the sizes do not fit together, or `causal` and `unit_level` do not.

    Attributes:
        film_hidden: values of FiLM's hidden layer; 0: FiLM is a single layer.
        concat_dim: what `concat` projects the embedding to.
        window: samples.
        hop: samples.
        channels: real and imaginary parts together.
        lstm_hidden: of each part.
        unit_level: bring each mixture to a root mean square of 1 and the estimate back.
    """

    name: str = "pdccrn"
    embedding_dim: Count = 256
    fusion: FusionKind = "film"
    film_hidden: CountOrZero = 0
    concat_dim: Count = 16
    window: int = 400
    hop: int = 100
    n_fft: int = 512
    channels: Annotated[tuple[EvenCount, ...], FILLED] = (32, 64, 128, 256, 256, 256)
    kernel_bins: Annotated[int, at_least(1), ODD] = 5
    lstm_layers: Count = 2
    lstm_hidden: Count = 128
    causal: bool = False
    unit_level: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_frames(self.window, self.hop, self.n_fft)
        if self.n_fft % 2 ** (len(self.channels) + 1):
            raise ValueError(
                f"n_fft: {len(self.channels)} layers halve the bins, wanted a multiple of "
                f"{2 ** (len(self.channels) + 1)}, found {self.n_fft}"
            )
        check_causal(self.causal, self.unit_level)


class Model(Network):
    """STFT, U-Net of complex convolutions with complex LSTM at the bottom, mask, inverse STFT."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.frame_step = config, config.hop
        ahead = 0 if config.causal else config.hop * len(config.channels)
        self.lookahead = None if config.unit_level else config.window + ahead - 1
        size, bottom = config.embedding_dim, config.channels[-1]
        concat = config.fusion == "concat"
        self.stft = FramedSTFT(config.window, config.hop, config.n_fft)
        self.encoder = nn.ModuleList(down(config, *pair) for pair in pairwise((2, *config.channels)))
        self.project = nn.Linear(size, config.concat_dim) if concat else nn.Identity()
        self.fusion = Fusion(config.fusion, bottom, config.concat_dim if concat else size, config.film_hidden)
        self.bottleneck = Bottleneck(config)
        self.decoder = nn.ModuleList(up(config, *pair) for pair in pairwise((*reversed(config.channels), 2)))

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
        level = unit_level(mix, longer) if self.config.unit_level else 1.0
        spec = self.stft(mix / level)  # complex [B, F + 1, L]
        mask = self.mask(torch.stack([spec.real, spec.imag], 1)[:, :, 1:], emb).float()  # [B, 2, F, L]
        est = spec[:, 1:] * bounded(mask)
        return self.stft.inverse(functional.pad(est, (0, 0, 1, 0)), mix.shape[1]) * level

    def mask(self, x: Tensor, emb: Tensor | None) -> Tensor:
        """The U-Net.

        Args:
            x: Real and imaginary part of the spectrogram, float [B, 2, F, L].
            emb: Float [B, D], or None.

        Returns:
            Real and imaginary part of the mask, float [B, 2, F, L].
        """
        skips = []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
        x = self.bottleneck(self.fusion(x, self.project(emb)))
        for layer, skip in zip(self.decoder, reversed(skips), strict=True):
            x = layer(complex_cat(x, skip))
        return x


class Bottleneck(nn.Module):
    """Complex LSTM layers over frames; the values of a frame are the channels of all its bins."""

    def __init__(self, config: Config):
        super().__init__()
        num_bins = config.n_fft // 2 ** (len(config.channels) + 1)
        size, hidden = config.channels[-1] // 2 * num_bins, config.lstm_hidden
        widths = [size] + [hidden] * config.lstm_layers
        self.layers = nn.ModuleList(ComplexLSTM(*pair) for pair in pairwise(widths))
        self.real, self.imag = nn.Linear(hidden, size), nn.Linear(hidden, size)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, F, L] -> float [B, C, F, L]."""
        real, imag = (part.flatten(1, 2).transpose(1, 2) for part in x.chunk(2, 1))  # [B, L, C / 2 * F] each
        for layer in self.layers:
            real, imag = layer(real, imag)  # [B, L, lstm_hidden] each
        frames = torch.cat([self.real(real), self.imag(imag)], 2)  # [B, L, C * F]
        return frames.transpose(1, 2).unflatten(1, x.shape[1:3])  # [B, C, F, L]


def bounded(mask: Tensor) -> Tensor:
    """Bring the magnitude m of a complex mask to tanh(m); its phase stays.

    Mask 'E' of the paper in Cartesian form: no phase is computed, so none jumps.

    Args:
        mask: Real and imaginary part, float [B, 2, F, L].

    Returns:
        Complex [B, F, L].
    """
    magnitude = (mask.square().sum(1, keepdim=True) + MASK_FLOOR).sqrt()  # [B, 1, F, L]
    real, imag = (mask * (magnitude.tanh() / magnitude)).unbind(1)
    return torch.complex(real, imag)


def down(config: Config, num_in: int, num_out: int) -> nn.Sequential:
    """A layer of the encoder.

    Args:
        config: The model's.
        num_in: Channels in.
        num_out: Channels out.

    Returns:
        Complex convolution, batch norm, PReLU.
    """
    conv = ComplexConv2d(num_in, num_out, config.kernel_bins)
    return nn.Sequential(conv, nn.BatchNorm2d(num_out), nn.PReLU())


def up(config: Config, num_in: int, num_out: int) -> nn.Sequential:
    """A layer of the decoder; the last one, which gives the mask, is a convolution alone.

    Args:
        config: The model's.
        num_in: Channels from below, and as many of the encoder's layer that it mirrors.
        num_out: Channels out.

    Returns:
        Complex transposed convolution, batch norm, PReLU.
    """
    conv = ComplexConvTranspose2d(2 * num_in, num_out, config.kernel_bins, config.causal)
    return nn.Sequential(conv) if num_out == 2 else nn.Sequential(conv, nn.BatchNorm2d(num_out), nn.PReLU())
