"""Attentive statistics pooling in the ECAPA-TDNN form (Okabe et al. 2018; Desplanques et al. 2020, section 3.3).

The paper's embedding extractor 'EE' (arXiv 2604.03219, section on the teacher).

B batch, L frames, C channels, D embedding size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.models.layers.fast.frames_last import side_by_side
from wesep_mix.models.layers.masking import masked_mean_std, valid_frames


class AttentiveStatisticsPooling(nn.Module):
    """Mean and standard deviation over time, weighted by an attention of every channel.

    The attention sees the frame and, as global context, the mean and standard deviation of the whole input.
    """

    def __init__(self, channels: int, bottleneck: int = 128):
        super().__init__()
        self.attention = nn.Sequential(nn.Linear(3 * channels, bottleneck), nn.Tanh(), nn.Linear(bottleneck, channels))

    def forward(self, frames: Tensor, num_frames: Tensor) -> Tensor:
        """Frames float [B, L, C], num_frames int64 [B] -> float [B, 2C]; frames past `num_frames` have no influence."""
        valid = valid_frames(num_frames, frames.shape[1])  # [B, L]
        scores = self._scores(frames, torch.cat(masked_mean_std(frames, valid), dim=-1))  # [B, L, C]
        weights = scores.masked_fill(~valid[..., None], float("-inf")).softmax(dim=1)
        mean = (weights * frames).sum(1)  # [B, C]
        variance = (weights * (frames - mean[:, None]).square()).sum(1)
        return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=-1)

    def _scores(self, frames: Tensor, context: Tensor) -> Tensor:
        """The attention of [frame; context]: [B, L, C], [B, 1, 2C] -> [B, L, C]."""
        first = self.attention[0]
        return self.attention[1:](side_by_side(frames, context, first.weight, first.bias))


class EmbeddingHead(nn.Module):
    """Projection (none if its size is 0), attentive statistics pooling, projection to D, L2 norm.

    459,648 parameters for 768 channels, projection and embedding of 256 and a bottleneck of 128.
    """

    def __init__(self, channels: int, projection: int = 256, embedding_dim: int = 256, bottleneck: int = 128):
        super().__init__()
        self.projection = nn.Linear(channels, projection) if projection else nn.Identity()
        self.pooled_dim = 2 * (projection or channels)
        self.pooling = AttentiveStatisticsPooling(projection or channels, bottleneck)
        self.embedding = nn.Linear(self.pooled_dim, embedding_dim)

    def forward(self, frames: Tensor, num_frames: Tensor) -> Tensor:
        """Frames float [B, L, C], num_frames int64 [B] -> unit vectors [B, D]."""
        return self.embed(self.pool(frames, num_frames))

    def begin_as(self, other: EmbeddingHead) -> None:
        """Take another head's weights.

        Args:
            other: The head.

        Raises:
            ValueError: When it has other sizes.
        """
        theirs, ours = ({key: list(one.shape) for key, one in head.state_dict().items()} for head in (other, self))
        unlike = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
        if unlike:
            raise ValueError(
                f"its head does not fit: {unlike[0]}: wanted {ours.get(unlike[0])}, found {theirs.get(unlike[0])}; "
                "give the student the teacher's projection and bottleneck"
            )
        self.load_state_dict(other.state_dict())

    def pool(self, frames: Tensor, num_frames: Tensor) -> Tensor:
        """The first half of `forward`.

        Args:
            frames: Float [B, L, C].
            num_frames: How many each item has, int64 [B].

        Returns:
            Statistics, float [B, pooled_dim].
        """
        return self.pooling(self.projection(frames), num_frames)

    def embed(self, pooled: Tensor) -> Tensor:
        """The second half of `forward`: statistics [B, pooled_dim] -> unit vectors [B, D]."""
        return functional.normalize(self.embedding(pooled).float(), dim=-1)  # in bf16 its norm would not be 1
