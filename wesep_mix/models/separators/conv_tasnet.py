"""Conv-TasNet: every talker of a mixture at once, by masks on a learned representation of the waveform.

Source: Luo and Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency Magnitude Masking for Speech Separation",
IEEE/ACM TASLP 2019, sections II and III; the network is torchaudio's, non-causal with global layer norm. The names in
brackets are the paper's.

Differs: the window is the paper's 2 ms at 16 kHz, 32 samples where it has 16 at 8 kHz. Each mixture is brought to a
root mean square of 1, and its estimates back. That changes very quiet ones only: the first norm takes out the level
too, down to its epsilon.

Latency: global layer norm sees the whole mixture, so there is no causal variant with these weights.

B batch, S speakers, T samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor
from torchaudio.models import ConvTasNet

from wesep_mix.base.config import EVEN, Checked, Count, at_least
from wesep_mix.models.layers.network import Longer, Network, check_mix, unit_level


@dataclass(frozen=True)
class Config(Checked):
    """5,001,265 parameters for two speakers, 5,067,313 for three. Raises: ValueError for sizes that make no network."""

    name: str = "conv_tasnet"
    num_spk: Count = 2
    num_filters: Count = 512  # N
    window: Annotated[int, at_least(2), EVEN] = 32  # L, samples; the hop is half of it
    bottleneck: Count = 128  # B
    hidden: Count = 512  # H
    num_blocks: Count = 8  # X, dilations 1, 2, 4, ...
    num_stacks: Count = 3  # R
    mask: Literal["sigmoid", "relu"] = "sigmoid"


class Model(Network):
    """torchaudio's Conv-TasNet on mixtures at unit level."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.frame_step = config, config.window // 2
        self.network = ConvTasNet(
            num_sources=config.num_spk,
            enc_kernel_size=config.window,
            enc_num_feats=config.num_filters,
            msk_kernel_size=3,
            msk_num_feats=config.bottleneck,
            msk_num_hidden_feats=config.hidden,
            msk_num_layers=config.num_blocks,
            msk_num_stacks=config.num_stacks,
            msk_activate=config.mask,
        )

    def forward(self, mix: Tensor, longer: Longer | None = None) -> Tensor:
        """Separate all talkers.

        Args:
            mix: Mixtures, float32 [B, T], any T >= 1.
            longer: The signal that mix is a part of, where it is one.

        Returns:
            Every talker's speech, float32 [B, S, T], in no order.

        Raises:
            UserError: For another shape, and for samples that are not finite.
        """
        check_mix(mix, self.config.name)
        level = unit_level(mix, longer)  # [B, 1]
        return self.network((mix / level)[:, None]).float() * level[:, None]
