"""The student: a front-end and N parallel embedding heads (arXiv 2604.03219, section on the student).

The set of N embeddings has no order: which head speaks for which talker is found by matching. Not in the paper, where
N is the number of talkers: with `presence` each head also says whether it speaks for one, so that one student serves
mixtures of 1 to N talkers.

B batch, T samples, N heads, D embedding size.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from wesep_mix.base import config, plugins
from wesep_mix.base.config import Checked, Count, CountOrZero
from wesep_mix.matching.speaker_set import SpeakerSet
from wesep_mix.models.layers.embedding_head import EmbeddingHead


@dataclass(frozen=True)
class Config(Checked):
    """Training sets `num_spk` (heads), `embedding_dim`, `references` and, where there is none, `frontend`.

    Attributes:
        num_spk: heads.
        projection: of the frames, in front of the pooling; 0: none.
        presence: each head also says whether it speaks for a talker.
        presence_hidden: units of a layer between a head's statistics, beside its embedding's cosines to those of the
            other heads, and its presence; 0: the presence is a linear function of the statistics alone.
        references: whose embeddings of clean sources this student's are compared with: the teacher's, or its own.
    """

    name: str = "parallel_heads"
    frontend: Any = config.plugin("frontends", required=False)
    num_spk: Count = 2
    projection: CountOrZero = 256
    embedding_dim: int = 256
    bottleneck: int = 128
    presence: bool = False
    presence_hidden: CountOrZero = 0
    references: Literal["teacher", "own"] = "teacher"


class Model(nn.Module):
    """One front-end under N heads.

    The presence logit is read from a head's pooled statistics. What makes its embedding of them has to tell voices
    apart, and a logit behind it would pull at that. With a hidden layer it also sees, without a gradient, how near the
    head's embedding is to those of the others: a head for which no talker is left repeats one of them.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.frontend = plugins.build("frontends", config.frontend)
        self.config = dataclasses.replace(config, frontend=self.frontend.config)  # which may know more by now
        self.heads = nn.ModuleList(
            EmbeddingHead(self.frontend.channels, config.projection, config.embedding_dim, config.bottleneck)
            for _ in range(config.num_spk)
        )
        self.presence = None
        if config.presence:
            self.presence = nn.ModuleList(_presence(config, head.pooled_dim) for head in self.heads)

    def forward(self, mix: Tensor, num_samples: Tensor | None = None) -> SpeakerSet:
        """Mix float [B, T], num_samples int64 [B] -> N unit embeddings [B, N, D], and logits [B, N] with presence."""
        frames, num_frames = self.frontend(mix, num_samples)
        pooled = [head.pool(frames, num_frames) for head in self.heads]  # [B, pooled_dim] each
        embeddings = torch.stack([head.embed(one) for head, one in zip(self.heads, pooled, strict=True)], dim=1)
        if self.presence is None:
            return SpeakerSet(embeddings)
        if self.config.presence_hidden:
            pooled = [torch.cat(pair, dim=-1) for pair in zip(pooled, _to_others(embeddings.detach()), strict=True)]
        logits = [layer(one) for layer, one in zip(self.presence, pooled, strict=True)]
        return SpeakerSet(embeddings, torch.cat(logits, dim=1))


def _presence(config: Config, size: int) -> nn.Module:
    """From the statistics of a head, and its cosines to the others where there is a hidden layer, to its logit."""
    hidden = config.presence_hidden
    if not hidden:
        return nn.Linear(size, 1)
    return nn.Sequential(nn.Linear(size + config.num_spk - 1, hidden), nn.ReLU(), nn.Linear(hidden, 1))


def _to_others(embeddings: Tensor) -> list[Tensor]:
    """Cosines of each head to the others: float [B, N, D] -> N times [B, N - 1]."""
    cosines = embeddings @ embeddings.transpose(1, 2)  # [B, N, N]
    heads = range(cosines.shape[1])
    return [cosines[:, head, [other for other in heads if other != head]] for head in heads]
