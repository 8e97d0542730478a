"""A pretrained speech model as front-end: WavLM (arXiv 2604.03219, section on the teacher and the student), or any
other of `transformers` with a convolutional stem and a transformer (HuBERT, wav2vec 2.0, UniSpeech-SAT).

The paper's teacher keeps WavLM frozen (`finetuned_layers: 0`); its student fine-tunes the top six layers and, by its
count of parameters, the positional convolution.

B batch, T samples, L frames, C channels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from wesep_mix.base.config import Checked, CountOrZero
from wesep_mix.base.errors import UserError
from wesep_mix.models import pretrained
from wesep_mix.models.layers.masking import MaskedGroupNorm, lengths_of, masked_mean_std, valid_frames


@dataclass(frozen=True)
class Config(Checked):
    """A pretrained model and how it is used.

    Attributes:
        source: a model of the Hugging Face hub, a local folder of that format, or a `.pt` of WavLM's authors.
        finetuned_layers: from the top; with any, the positional convolution is fine-tuned too.
        layers: the `last` one's output, a `weighted` sum of all with learnt softmax weights, or `rwse`, that sum added
            to the last (UME, arXiv 2508.20474).
        checkpointing: less memory, more time: a fine-tuned layer is computed again in the backward pass.
        architecture: filled in when the weights are read, so that a model file of ours needs no `source` any more.
    """

    name: str = "ssl"
    source: str = "microsoft/wavlm-base"
    finetuned_layers: CountOrZero = 0
    layers: Literal["last", "weighted", "rwse"] = "last"
    checkpointing: bool = False
    architecture: str = ""

    def with_finetuned(self, num_layers: int | None) -> Config:
        """The same with that many fine-tuned layers; None leaves them as they are. Raises: ValueError below 0."""
        return self if num_layers is None else dataclasses.replace(self, finetuned_layers=num_layers)

    def for_trial(self) -> Config | None:
        """None for a model of the hub, whose size is not known before it is fetched."""
        return None if not self.architecture and pretrained.is_hub_name(self.source) else self


class Model(nn.Module):
    """Waveform -> frames, every 20 ms for WavLM.

    Frozen parts stay in eval mode whatever `train` says. The backward pass goes no further down than to the lowest part
    that is fine-tuned.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.network, architecture = pretrained.load(config.source, config.architecture)
        self.config = dataclasses.replace(config, architecture=architecture)
        self.channels = self.network.config.hidden_size
        self._check_layers()
        self.min_samples = _receptive_field(self.network.config)
        _mask_group_norm(self.network)
        self.network.requires_grad_(False)
        for part in self._finetuned():
            part.requires_grad_(True)
        if config.checkpointing:
            # by its older name in the transformers of Python 3.10, which the newest no longer support
            network = self.network
            enable = getattr(network, "activation_checkpointing_enable", None) or network.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        if config.layers != "last":  # as many as layers and one for what goes into the first
            self.layer_weights = nn.Parameter(torch.zeros(self.network.config.num_hidden_layers + 1))
        self.train(self.training)

    def fresh(self) -> Model:
        """The same front-end with the weights of `source`, before any training of ours."""
        return Model(dataclasses.replace(self.config, architecture=""))

    def train(self, mode: bool = True) -> Model:
        super().train(mode)
        self.network.eval()
        for part in self._finetuned():
            part.train(mode)
        return self

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Wav float [B, T], num_samples int64 [B] (T when None) -> frames [B, L, C], num_frames int64 [B].

        An item's frames are the same alone and padded. One too short for a frame (400 samples for WavLM) is followed
        by silence and has one.
        """
        num_samples = lengths_of(wav, num_samples)
        wav = nn.functional.pad(wav, (0, max(0, self.min_samples - wav.shape[1])))
        valid = valid_frames(num_samples, wav.shape[1])
        wav = wav * valid
        if self.network.config.do_normalize:
            mean, std = masked_mean_std(wav[..., None], valid, eps=0.0)
            wav = ((wav - mean[..., 0]) / (std[..., 0].square() + 1e-7).sqrt()) * valid
        num_samples = num_samples.clamp(min=self.min_samples)
        num_frames = self.network._get_feat_extract_output_lengths(num_samples)
        for norm in self._masked_norms():
            norm.num_samples = num_samples
        mask = None if bool((num_samples == wav.shape[1]).all()) else valid_frames(num_samples, wav.shape[1]).long()
        out = self.network(wav, attention_mask=mask, output_hidden_states=self.config.layers != "last")
        return self._mixed(out), num_frames

    def _check_layers(self) -> None:
        there = self.network.config.num_hidden_layers
        if self.config.finetuned_layers > there:
            raise UserError(
                f"{self.config.source}: finetuned_layers: wanted 0 to {there}, as many layers as it has, "
                f"found {self.config.finetuned_layers}"
            )

    def _mixed(self, out: Any) -> Tensor:
        """What `layers` says, of the network's output: [B, L, C]."""
        if self.config.layers == "last":
            return out.last_hidden_state
        weights = self.layer_weights.softmax(0)
        mixed = sum(weight * layer for weight, layer in zip(weights, out.hidden_states, strict=True))
        return mixed if self.config.layers == "weighted" else out.last_hidden_state + mixed

    def _finetuned(self) -> list[nn.Module]:
        encoder, number = self.network.encoder, self.config.finetuned_layers
        return [*encoder.layers[-number:], encoder.pos_conv_embed] if number else []

    def _masked_norms(self) -> Iterator[MaskedGroupNorm]:
        return (module for module in self.network.modules() if isinstance(module, MaskedGroupNorm))


def _receptive_field(config: Any) -> int:
    """Samples that one frame of the convolutional stem sees."""
    field, hop = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        field, hop = field + (kernel - 1) * hop, hop * stride
    return field


def _mask_group_norm(network: nn.Module) -> None:
    """The Base models normalise the first convolution over time: padding must not count."""
    first = network.feature_extractor.conv_layers[0]
    norm = getattr(first, "layer_norm", None)
    if isinstance(norm, nn.GroupNorm):
        first.layer_norm = MaskedGroupNorm.of(norm, first.conv.kernel_size[0], first.conv.stride[0])
