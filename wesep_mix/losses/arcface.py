"""Additive angular margin softmax (ArcFace, Deng et al. 2019, section 3.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class ArcFace(nn.Module):
    """Cross-entropy over speakers with margin `margin` (radians) on the angle to the own speaker's weight."""

    def __init__(self, embedding_dim: int, num_speakers: int, scale: float = 32.0, margin: float = 0.2):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_speakers, embedding_dim))
        nn.init.xavier_uniform_(self.weight)
        self.scale, self.margin = scale, margin

    def forward(self, embeddings: Tensor, labels: Tensor, margin: float | None = None) -> Tensor:
        """embeddings [B, D], labels int64 [B] -> scalar; `margin` overrides the full margin while it warms up."""
        margin = self.margin if margin is None else margin
        cosine = functional.linear(functional.normalize(embeddings), functional.normalize(self.weight))  # [B, classes]
        cosine = cosine.float().clamp(-1 + 1e-6, 1 - 1e-6)
        own = cosine.gather(1, labels[:, None])
        sine = (1 - own.square()).sqrt()
        moved = own * math.cos(margin) - sine * math.sin(margin)
        # past pi - margin the cosine would rise again: continue it linearly, as ArcFace's authors do
        moved = torch.where(own > -math.cos(margin), moved, own - math.sin(margin) * margin)
        return functional.cross_entropy(self.scale * cosine.scatter(1, labels[:, None], moved), labels)
