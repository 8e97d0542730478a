"""How a speaker embedding enters an extractor: one layer for all extractors, its type chosen by config.

Source: the fusion types that WeSep (Wang et al., Interspeech 2024) compares; FiLM is Perez et al., AAAI 2018.
With features x of C channels and an embedding e of D values, for every frame and bin alike:

    none       x                      (the embedding must be None)
    concat     W [x; e] + b
    additive   x + (W e + b)
    multiply   x * (W e + b)
    film       (1 + scale(e)) * x + shift(e)

Differs: `film` may have a hidden layer (a small MLP in arXiv 2604.03219), WeSep's has none; `concat` is computed
without writing e beside every frame (models.layers.fast.frames_last). `film` begins as identity: its last layers are
zero.

B batch, C channels, D embedding size.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from wesep_mix.models.layers.fast.frames_last import side_by_side

FusionKind = Literal["none", "concat", "additive", "multiply", "film"]
FUSIONS: tuple[FusionKind, ...] = get_args(FusionKind)


class Fusion(nn.Module):
    """Fuses an embedding [B, D] into features whose axis `dim` has C channels.

    Raises: ValueError for an unknown kind.
    """

    def __init__(self, kind: str, num_channels: int, embedding_dim: int, film_hidden: int = 0, dim: int = 1):
        super().__init__()
        if kind not in FUSIONS:
            raise ValueError(f"fusion: no {kind!r} (there are: {', '.join(FUSIONS)})")
        self.kind, self.num_channels, self.dim = kind, num_channels, dim
        if kind == "concat":
            self.linear = nn.Linear(num_channels + embedding_dim, num_channels)
        elif kind in ("additive", "multiply"):
            self.linear = nn.Linear(embedding_dim, num_channels)
        elif kind == "film":
            self.scale = zero_start_mlp(embedding_dim, film_hidden, num_channels)
            self.shift = zero_start_mlp(embedding_dim, film_hidden, num_channels)

    def forward(self, x: Tensor, emb: Tensor | None) -> Tensor:
        """Float [B, C, ...] (C at `dim`), emb float [B, D] (ignored by kind `none`) -> the shape of x."""
        if self.kind == "none":
            return x
        return getattr(self, f"_{self.kind}")(x, emb)

    def _concat(self, x: Tensor, emb: Tensor) -> Tensor:
        rows = x.movedim(self.dim, -1)  # [B, ..., C]
        beside = self._spread(emb, x).movedim(self.dim, -1)  # [B, 1, .., D]
        return side_by_side(rows, beside, self.linear.weight, self.linear.bias).movedim(-1, self.dim)

    def _additive(self, x: Tensor, emb: Tensor) -> Tensor:
        return x + self._spread(self.linear(emb), x)

    def _multiply(self, x: Tensor, emb: Tensor) -> Tensor:
        return x * self._spread(self.linear(emb), x)

    def _film(self, x: Tensor, emb: Tensor) -> Tensor:
        return torch.addcmul(self._spread(self.shift(emb), x), 1 + self._spread(self.scale(emb), x), x)

    def _spread(self, per_channel: Tensor, x: Tensor) -> Tensor:
        shape = [1] * x.dim()
        shape[0], shape[self.dim] = per_channel.shape
        return per_channel.view(shape)  # [B, C] -> [B, 1, .., C, .., 1]


class EmbeddingTransform(nn.Module):
    """Three layers from an embedding to one of the same size, trained with the extractor (WeSep's option).

    1x1 convolutions, so that the weights keep WeSep's shapes; tanh follows the second layer only.
    """

    def __init__(self, embedding_dim: int, hidden: int = 128):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(embedding_dim, hidden, 1),
            nn.Conv1d(hidden, hidden, 1),
            nn.Tanh(),
            nn.Conv1d(hidden, embedding_dim, 1),
        )

    def forward(self, emb: Tensor) -> Tensor:
        """Float [B, D] -> float [B, D]."""
        return self.layers(emb.unsqueeze(-1)).squeeze(-1)  # [B, D, 1] inside


def embedding_transform(config: Any) -> nn.Module:
    """An extractor's, by its config's `transform_embedding`; it does nothing where the fusion takes no embedding."""
    wanted = config.transform_embedding and config.fusion != "none"
    return EmbeddingTransform(config.embedding_dim) if wanted else nn.Identity()


def zero_start_mlp(num_in: int, hidden: int, num_out: int) -> nn.Sequential:
    """Two linear layers with ReLU between them, or one, that give zeros until they are trained.

    Args:
        num_in: Values in.
        hidden: Values between the layers; 0: a single layer.
        num_out: Values out.

    Returns:
        The layers.
    """
    layers = [nn.Linear(num_in, hidden), nn.ReLU()] if hidden else []
    last = nn.Linear(hidden or num_in, num_out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)
