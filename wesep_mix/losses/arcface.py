"""Additive angular margin softmax (ArcFace, Deng et al. 2019, section 3.1), and its sub-centres.

Sub-centres: Deng et al., "Sub-center ArcFace", ECCV 2020, section 3.2: a speaker has K weights, of which the one
nearest to the embedding counts, so that noisy or unlike speech of one speaker need not meet in one point.

D embedding size, K sub-centres.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class ArcFace(nn.Module):
    """Cross-entropy over speakers with margin `margin` (radians) on the angle to the own speaker's weight.

    The weights of speaker s are the rows s K to s K + K - 1, where K is `sub_centres`.
    """

    def __init__(
        self, embedding_dim: int, num_speakers: int, scale: float = 32.0, margin: float = 0.2, sub_centres: int = 1
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_speakers * sub_centres, embedding_dim))
        nn.init.xavier_uniform_(self.weight)
        self.scale, self.margin, self.sub_centres = scale, margin, sub_centres

    def forward(self, embeddings: Tensor, labels: Tensor, margin: float | None = None) -> Tensor:
        """Embeddings [..., D], labels int64 [...] -> scalar, the mean of `costs`."""
        return self.costs(embeddings, labels, margin).mean()

    def costs(self, embeddings: Tensor, labels: Tensor, margin: float | None = None) -> Tensor:
        """The loss of each label.

        Args:
            embeddings: [..., D]; one embedding may stand for several labels of a row (broadcast).
            labels: Speakers, int64 [...].
            margin: In place of the full margin, while it warms up; radians.

        Returns:
            Losses, [...].
        """
        logits = self._logits(embeddings, labels, self.margin if margin is None else margin)
        costs = functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), reduction="none")
        return costs.view(labels.shape)

    def _logits(self, embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
        """[..., D], [...] -> [..., speakers], with the margin on the own one's angle."""
        cosine = self._cosines(embeddings).expand(*labels.shape, -1)
        own = cosine.gather(-1, labels[..., None])  # [..., 1]
        sine = (1 - own.square()).sqrt()
        moved = own * math.cos(margin) - sine * math.sin(margin)
        # past pi - margin the cosine would rise again: continue it linearly, as ArcFace's authors do
        moved = torch.where(own > -math.cos(margin), moved, own - math.sin(margin) * margin)
        return self.scale * cosine.scatter(-1, labels[..., None], moved)

    def _cosines(self, embeddings: Tensor) -> Tensor:
        """[..., D] -> [..., speakers], of each speaker's nearest weight."""
        with torch.autocast(embeddings.device.type, enabled=False):  # which would round cosines to bf16
            weight = functional.normalize(self.weight)
            unit = functional.normalize(embeddings.to(weight.dtype), dim=-1)
            cosine = functional.linear(unit, weight)  # [..., speakers * K]
        nearest = cosine.unflatten(-1, (-1, self.sub_centres)).amax(-1)
        return nearest.float().clamp(-1 + 1e-6, 1 - 1e-6)
