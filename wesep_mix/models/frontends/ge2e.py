"""The GE2E speaker encoder of the package `resemblyzer` as front-end: mel spectra and an LSTM, with its weights.

Source: Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018, section 3; sizes, features and
weights are those of resemblyzer 0.1.4 (Apache-2.0), which carries the weights inside its wheel. The package is looked
up, not imported: that would need librosa.

Differs: silences are not cut out by VAD before the features.

B batch, T samples, L frames.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wesep_mix.models.contracts import TrainedWhole
from wesep_mix.models.layers.masking import lengths_of, valid_frames
from wesep_mix.models.layers.mel import MelPower
from wesep_mix.models.layers.network import gain_to
from wesep_mix.models.packaged import PackagedFrontEnd, PackagedWeights

SAMPLE_RATE = 16000
WINDOW, HOP = 400, 160  # samples: 25 and 10 ms
NUM_MELS, HIDDEN, NUM_LAYERS = 40, 256, 3
LEVEL = 10 ** (-30 / 20)  # root mean square that quiet input is brought to: -30 dB of full scale
WEIGHTS = PackagedWeights("ge2e", "resemblyzer", "pretrained.pt", under="model_state")


@dataclass(frozen=True)
class Config(TrainedWhole):
    """The package's encoder.

    Attributes:
        pretrained: with the package's weights, else random ones.
        finetuned: whether training changes them.
        increase_only: input above -30 dB keeps its level, as in the package, and the level is heard: the features are
            mel powers, without a logarithm. By default all is brought to that level, so that speech sounds the same in
            every mixture.
        weights_inside: set when the weights are read, so that a model file of ours needs no package any more.
    """

    name: str = "ge2e"
    pretrained: bool = True
    finetuned: bool = True
    increase_only: bool = False
    weights_inside: bool = False

    def for_trial(self) -> Config:
        """With random weights where the package is not installed."""
        return self if WEIGHTS.are_there() else dataclasses.replace(self, weights_inside=True)


class Model(PackagedFrontEnd):
    """Waveform -> frames of 10 ms, each of which has heard all before it (in training 1.6 s of it)."""

    weights = WEIGHTS

    def __init__(self, config: Config):
        super().__init__(config)
        self.channels = HIDDEN
        self.hop = HOP
        self.lstm = nn.LSTM(NUM_MELS, HIDDEN, NUM_LAYERS, batch_first=True)
        self.initialise(self.lstm, "lstm")
        self.mel_power = MelPower(WINDOW, HOP, NUM_MELS, SAMPLE_RATE, norm="slaney", scale="slaney")

    def is_trained(self) -> bool:
        """Whether training changes any of it."""
        return self.config.finetuned

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Wav float [B, T], num_samples int64 [B] (T when None) -> frames [B, L, 256], num_frames int64 [B]."""
        num_samples = lengths_of(wav, num_samples)
        num_frames = torch.div(num_samples, HOP, rounding_mode="floor") + 1
        return self.lstm(self.features(wav, num_samples, int(num_frames.max())))[0], num_frames

    def features(self, wav: Tensor, num_samples: Tensor, length: int) -> Tensor:
        """Mel spectra at the level of `_at_level`.

        Frame l is centred at sample 160 l; before an item's start and after its end is silence.

        Args:
            wav: Float [B, T].
            num_samples: int64 [B].
            length: How many frames are wanted, L.

        Returns:
            Float32 [B, L, 40].
        """
        wav = wav.float() * valid_frames(num_samples, wav.shape[1])
        return self.mel_power(self._at_level(wav, num_samples), length)

    def _at_level(self, wav: Tensor, num_samples: Tensor) -> Tensor:
        gain = gain_to(LEVEL, wav, num_samples)  # [B, 1]
        if self.config.increase_only:
            gain = gain.clamp(min=1.0)
        return wav * gain
