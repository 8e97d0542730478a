"""What every student says of a mixture (arXiv 2604.03219, section on the student): a set of speaker embeddings."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class SpeakerSet(NamedTuple):
    """N embeddings of each mixture, in no order. B batch, N heads, D embedding size."""

    embeddings: Tensor  # [B, N, D], unit vectors
    presence: Tensor | None = None  # [B, N], logits of a head's speaking for a talker; None: all do

    def num_talkers(self) -> Tensor | None:
        """How many talkers were heard: heads with a positive logit, at least one. int64 [B]; None without presence."""
        return None if self.presence is None else (self.presence > 0).sum(1).clamp(min=1)
