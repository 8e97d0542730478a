"""The paper's embedding extractor 'EE' (arXiv 2604.03219, section on the teacher)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.layers.asp import AttentiveStatisticsPooling


class EmbeddingHead(nn.Module):
    """Projection, attentive statistics pooling, projection to D, L2 norm.

    459,648 parameters for 768 channels, projection and embedding of 256 and a bottleneck of 128.
    """

    def __init__(self, channels: int, projection: int = 256, embedding_dim: int = 256, bottleneck: int = 128):
        super().__init__()
        self.projection = nn.Linear(channels, projection)
        self.pooling = AttentiveStatisticsPooling(projection, bottleneck)
        self.embedding = nn.Linear(2 * projection, embedding_dim)

    def forward(self, frames: Tensor, num_frames: Tensor) -> Tensor:
        """frames float [B, L, C], num_frames int64 [B] -> unit vectors [B, D]."""
        return self.embed(self.pool(frames, num_frames))

    def pool(self, frames: Tensor, num_frames: Tensor) -> Tensor:
        """The first half of it: frames -> statistics [B, 2 * projection]."""
        return self.pooling(self.projection(frames), num_frames)

    def embed(self, pooled: Tensor) -> Tensor:
        """The second half of it: statistics -> unit vectors [B, D]."""
        return functional.normalize(self.embedding(pooled).float(), dim=-1)  # in bf16 its norm would not be 1
