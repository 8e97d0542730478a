"""The pretrained GE2E encoder as teacher: nothing is trained, it works without a network or a download.

Source: Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018, sections 2.1 and 3 (last frame
of windows of 1.6 s, their mean); windows and weights are those of resemblyzer 0.1.4, see frontends/ge2e.py.

Differs: the package cuts silences out of the speech by VAD before it embeds it; here they stay.

B batch, T samples, D embedding size.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.base import config, plugins
from wesep_mix.base.config import Checked, between
from wesep_mix.models.layers.centred import CentredModel, check_centred
from wesep_mix.models.layers.masking import lengths_of, valid_frames

WINDOW, STEP = 160, 77  # frames: 1.6 s, 1.3 windows a second
COVERED = 0.75  # share of the last window that must hold speech, unless it is the only one
SIZE = 256


@dataclass(frozen=True)
class Config(Checked):
    """`frontend` is a `ge2e`; the projection on top of it is pretrained and fine-tuned as it is.

    Attributes:
        centred: the mean of the training set's speakers is subtracted, and what is left has norm 1 again. Without it
            all voices are near to each other (no value is below 0), and a student learns their mean first of all.
    """

    name: str = "ge2e"
    frontend: Any = config.plugin("frontends", default={"name": "ge2e", "finetuned": False})
    embedding_dim: Annotated[int, between(SIZE, SIZE, says=f"{SIZE}, which the weights have")] = SIZE
    centred: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frontend.name != "ge2e":
            raise ValueError(f"frontend: wanted ge2e, found {self.frontend.name}")
        check_centred(self.centred, self.frontend.finetuned)


class Model(CentredModel):
    """Windows of 1.6 s through the front-end's LSTM and a projection; their mean is the embedding."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.frontend = plugins.build("frontends", config.frontend)
        self.config = dataclasses.replace(config, frontend=self.frontend.config)  # which may know more by now
        self.linear = nn.Linear(self.frontend.channels, SIZE)
        self.frontend.initialise(self.linear, "linear")

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Wav float [B, T] of one talker each, num_samples int64 [B] -> unit embeddings [B, 256]."""
        num_samples = lengths_of(wav, num_samples)
        count = num_windows(num_samples, self.frontend.hop)
        most = int(count.max())
        mels = self.frontend.features(wav, num_samples, WINDOW + (most - 1) * STEP)  # [B, frames, 40]
        windows = mels.unfold(1, WINDOW, STEP).transpose(2, 3)  # [B, most, WINDOW, 40]
        there = valid_frames(count, most)  # [B, most]
        last = self.frontend.lstm(windows[there])[0][:, -1]  # [all windows, channels]
        partial = functional.normalize(self.linear(last).relu(), dim=-1)  # [all windows, D]
        summed = partial.new_zeros(len(wav), SIZE).index_add(0, there.nonzero()[:, 0], partial)
        return self.unit(summed)


def num_windows(num_samples: Tensor, hop: int) -> Tensor:
    """How many windows the package cuts out of a signal.

    Args:
        num_samples: The signals' lengths, int64 [B].
        hop: Samples from frame to frame.

    Returns:
        int64 [B], 1 or more.
    """
    num_frames = num_samples // hop + 1
    starts = (num_frames - WINDOW + STEP + 1).clamp(min=1)
    count = (starts + STEP - 1) // STEP
    speech = num_samples - (count - 1) * STEP * hop  # samples from the last window's start on
    return (count - (speech < COVERED * WINDOW * hop).long()).clamp(min=1)
