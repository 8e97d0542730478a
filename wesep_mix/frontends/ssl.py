"""A pretrained speech model as front-end: WavLM (arXiv 2604.03219, section on the teacher and the student), or any
other of `transformers` with a convolutional stem and a transformer (HuBERT, wav2vec 2.0, UniSpeech-SAT).

The paper's teacher keeps WavLM frozen (`finetuned_layers: 0`); its student fine-tunes the top six layers and, by its
count of parameters, the positional convolution.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wesep_mix.frontends import pretrained
from wesep_mix.layers.masked_group_norm import MaskedGroupNorm
from wesep_mix.layers.masking import masked_mean_std, valid_frames


@dataclass(frozen=True)
class Config:
    """`source`: a model of the Hugging Face hub, or a local folder of that format.

    `architecture` is filled in when the weights are read, so that a model file of ours needs no `source` any more.
    """

    name: str = "ssl"
    source: str = "microsoft/wavlm-base"
    finetuned_layers: int = 0  # from the top; with any, the positional convolution is fine-tuned too
    architecture: str = ""

    def __post_init__(self) -> None:
        if self.finetuned_layers < 0:
            raise ValueError(f"finetuned_layers: wanted 0 or more, found {self.finetuned_layers}")


class Model(nn.Module):
    """Waveform -> frames of the last layer, every 20 ms for WavLM.

    Frozen parts stay in eval mode whatever `train` says, and autograd does not follow them further down than to the
    lowest part that is fine-tuned.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.network, architecture = pretrained.load(config.source, config.architecture)
        self.config = dataclasses.replace(config, architecture=architecture)
        self.channels = self.network.config.hidden_size
        self.min_samples = _receptive_field(self.network.config)
        _mask_group_norm(self.network)
        self.network.requires_grad_(False)
        for part in self._finetuned():
            part.requires_grad_(True)
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
        """wav float [B, T], num_samples int64 [B] (T when None) -> frames [B, L, C], num_frames int64 [B].

        An item's frames are the same alone and padded. One too short for a frame (400 samples for WavLM) is followed
        by silence and has one.
        """
        if num_samples is None:
            num_samples = torch.full((wav.shape[0],), wav.shape[1], device=wav.device)
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
        return self.network(wav, attention_mask=mask).last_hidden_state, num_frames

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
