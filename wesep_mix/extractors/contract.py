"""What every extractor asks of its inputs, and what it may give to its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from wesep_mix.errors import UserError
from wesep_mix.layers.inputs import check_finite, check_mix, check_type
from wesep_mix.layers.network import Network


def check_inputs(mix: Tensor, emb: Tensor | None, config: Any) -> None:
    """Raises: UserError when mix is not [B, T], emb not the [B, D] that the config's fusion asks for, or a value of
    them is NaN or infinite.
    """
    check_mix(mix, config.name)
    if config.fusion == "none":
        if emb is not None:
            raise UserError(f"{config.name}: fusion is none, wanted no embedding, found one of shape {list(emb.shape)}")
        return
    wanted = [mix.shape[0], config.embedding_dim]
    if emb is None or list(emb.shape) != wanted:
        found = "none" if emb is None else list(emb.shape)
        raise UserError(f"{config.name}: wanted an embedding of shape {wanted}, found {found}")
    check_type(emb, "embedding", config.name)
    check_finite(emb, "embedding", config.name)


def latency_ms(model: Network, sample_rate: int = 16000) -> float | None:
    """Milliseconds of input that must be there, from a sample on, before that sample of the output can be computed.

    That is the algorithmic latency: a machine's time to compute comes on top of it. None: the model needs the whole
    input.
    """
    return None if model.lookahead is None else 1000 * (model.lookahead + 1) / sample_rate


def check_weights(model: Network, weights: Sequence[float]) -> None:
    """Raises: UserError when the loss has not one weight for each of the estimates."""
    wanted, found = model.num_estimates, list(weights)
    if len(found) != wanted:
        raise UserError(f"{model.config.name}: loss.weights: wanted {wanted} (one an estimate), found {found}")


def estimates(model: Network, mix: Tensor, emb: Tensor | None) -> Tensor:
    """What an extractor is trained on: its output first, and more where it has a method `estimates`: [B, K, T]."""
    return model.estimates(mix, emb) if model.num_estimates > 1 else model(mix, emb).unsqueeze(1)
