"""What every extractor asks of its inputs."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from wesep_mix.errors import UserError


def check_inputs(mix: Tensor, emb: Tensor | None, config: Any) -> None:
    """Raises: UserError when mix is not [B, T], or emb is not the [B, D] that the config's fusion asks for."""
    if mix.dim() != 2 or mix.shape[1] == 0:
        raise UserError(f"{config.name}: wanted a mixture of shape [batch, samples], found {list(mix.shape)}")
    if config.fusion == "none":
        if emb is not None:
            raise UserError(f"{config.name}: fusion is none, wanted no embedding, found one of shape {list(emb.shape)}")
        return
    wanted = [mix.shape[0], config.embedding_dim]
    if emb is None or list(emb.shape) != wanted:
        found = "none" if emb is None else list(emb.shape)
        raise UserError(f"{config.name}: wanted an embedding of shape {wanted}, found {found}")
