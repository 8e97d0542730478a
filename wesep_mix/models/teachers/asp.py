"""The teacher: a front-end and one embedding head (arXiv 2604.03219, section on the teacher).

B batch, T samples, D embedding size.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from wesep_mix.base import config, plugins
from wesep_mix.models.layers.embedding_head import EmbeddingHead


@dataclass(frozen=True)
class Config:
    """The defaults are the paper's sizes, with any front-end."""

    name: str = "asp"
    frontend: Any = config.plugin("frontends")
    projection: int = 256
    embedding_dim: int = 256
    bottleneck: int = 128


class Model(nn.Module):
    """Front-end, attentive statistics pooling, embedding."""

    def __init__(self, config: Config):
        super().__init__()
        self.frontend = plugins.build("frontends", config.frontend)
        self.config = dataclasses.replace(config, frontend=self.frontend.config)  # which may know more by now
        self.head = EmbeddingHead(self.frontend.channels, config.projection, config.embedding_dim, config.bottleneck)

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Wav float [B, T] of one talker each, num_samples int64 [B] -> unit embeddings [B, D]."""
        return self.head(*self.frontend(wav, num_samples))

    def begin(self, head: EmbeddingHead) -> None:
        """Give a student's head the weights of this teacher's. Raises: ValueError when it has other sizes."""
        head.begin_as(self.head)
