"""Embeddings as what differs from the mean voice, for teachers whose voices are all near to each other.

B batch, D embedding size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class CentredModel(nn.Module):
    """A teacher with a config that has `embedding_dim` and `centred`."""

    def __init__(self, config: Any):
        super().__init__()
        if config.centred:
            self.register_buffer("centre", torch.zeros(config.embedding_dim))

    def unit(self, emb: Tensor) -> Tensor:
        """Embeddings float [B, D] -> unit vectors, of what differs from the centre if the teacher is centred."""
        emb = functional.normalize(emb.float(), dim=-1)
        return functional.normalize(emb - self.centre, dim=-1) if self.config.centred else emb

    def centre_on(self, speakers: Tensor) -> None:
        """Take the mean of speakers' embeddings, which were made before there was one, float [speakers, D]."""
        self.centre.copy_(functional.normalize(speakers, dim=-1).mean(0))


def check_centred(centred: bool, finetuned: bool) -> None:
    """Refuse a centre that moves (a config's own check calls this).

    Args:
        centred: Whether the teacher is centred.
        finetuned: Whether training changes its front-end.

    Raises:
        ValueError: When both are true.
    """
    if centred and finetuned:
        raise ValueError(
            "centred: wanted a frozen front-end, found one that training changes, and with it the mean voice"
        )
