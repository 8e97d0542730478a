"""The student: a front-end and N parallel embedding heads (arXiv 2604.03219, section on the student).

The set of N embeddings has no order: which head speaks for which talker is found by matching.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wesep_mix import config, plugins
from wesep_mix.layers.embedding_head import EmbeddingHead


@dataclass(frozen=True)
class Config:
    """Training sets `frontend`, `num_spk` and `embedding_dim`: they are the teacher's and the mixtures'."""

    name: str = "parallel_heads"
    frontend: Any = config.plugin("frontends", required=False)
    num_spk: int = 2
    projection: int = 256
    embedding_dim: int = 256
    bottleneck: int = 128


class Model(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.frontend = plugins.build("frontends", config.frontend)
        self.config = dataclasses.replace(config, frontend=self.frontend.config)  # which may know more by now
        self.heads = nn.ModuleList(
            EmbeddingHead(self.frontend.channels, config.projection, config.embedding_dim, config.bottleneck)
            for _ in range(config.num_spk)
        )

    def forward(self, mix: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """mix float [B, T], num_samples int64 [B] -> unit embeddings [B, N, D], one for each talker."""
        frames, num_frames = self.frontend(mix, num_samples)
        return torch.stack([head(frames, num_frames) for head in self.heads], dim=1)
