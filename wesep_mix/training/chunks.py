"""Stretches of mixtures that are trained on: all of a batch equally long, each from a place of its own."""

from __future__ import annotations

from torch import Tensor

from wesep_mix.data.batch import MixBatch
from wesep_mix.data.chance import choose
from wesep_mix.io.audio import SAMPLE_RATE


def chunk_length(batch: MixBatch, chunk_s: float) -> int:
    """`chunk_s` seconds in samples; the batch's shortest mixture where that is less."""
    return min(round(chunk_s * SAMPLE_RATE), int(batch.num_samples.min()))


def starts(first: Tensor | int, last: Tensor, chance: Tensor) -> Tensor:
    """Places from `first` to `last`, all as likely: int64 [M] each, chance float [M] in [0, 1) -> int64 [M]."""
    return first + choose(last - first + 1, chance)
