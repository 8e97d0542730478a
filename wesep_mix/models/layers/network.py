"""What every network asks of the mixtures, and of what else comes a row an item.

The level of a signal, for models that work at unit level and give the mixture's back.

What extractors and separators say of themselves, beside what they compute.

What every extractor asks of its inputs, and what it may give to its loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wesep_mix.base.errors import UserError


def check_mix(mix: Tensor, name: str) -> None:
    """Raises: UserError, opening with the network's `name`, when mix is not [B, T] or holds NaN or infinity."""
    if mix.dim() != 2 or mix.shape[1] == 0:
        raise UserError(f"{name}: wanted a mixture of shape [batch, samples], found {list(mix.shape)}")
    check_type(mix, "mixture", name)
    check_finite(mix, "mixture", name)


def check_type(rows: Tensor, what: str, name: str) -> None:
    """Raises: UserError for doubles and whole numbers."""
    if rows.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise UserError(f"{name}: wanted a {what} of float32, found {rows.dtype}")


def check_finite(rows: Tensor, what: str, name: str) -> None:
    """Raises: UserError naming the first row of float [B, N] that is not finite."""
    finite = rows.isfinite().all(1)  # [B]
    if not finite.all():
        raise UserError(
            f"{name}: wanted finite values, found NaN or infinity in {what} {int(finite.int().argmin())} "
            f"of the batch (counted from 0)"
        )


SILENT = 1e-8  # root mean square below which a signal is left as it is


@dataclass(frozen=True)
class Longer:
    """What a model must know of the longer signal when it is given a part of one.

    level: root mean square of all of it, float [B, 1]; energy, count: sum of squares (float64 [B, 1]) and number of
    the samples in front of the part.
    """

    level: Tensor
    energy: Tensor
    count: int


def unit_level(wav: Tensor, longer: Longer | None = None) -> Tensor:
    """Root mean square of the signal, or of the longer one that it is a part of: float [B, T] -> float [B, 1].

    1 for a silent row, so that one can divide by it.
    """
    return _to_divide_by(wav.square().mean(1, keepdim=True).sqrt()) if longer is None else longer.level


def level_so_far(wav: Tensor, ends: Tensor, longer: Longer | None = None) -> Tensor:
    """Root mean square of all that was heard, for causal models: float [B, T], ends int64 [L] -> float [B, L].

    Of the samples in front of each of `ends`, with those of the longer signal in front of the part; 1 for silence.
    """
    energy, count = wav.double().square().cumsum(1)[:, ends - 1], ends
    if longer is not None:
        energy, count = energy + longer.energy, ends + longer.count
    return _to_divide_by((energy / count).sqrt().to(wav.dtype))


def check_causal(causal: bool, unit_level: bool) -> None:
    """Raises: ValueError when both are wanted (a config's own check calls this)."""
    if causal and unit_level:
        raise ValueError("unit_level: wanted false with causal true, since a mixture's level is only known at its end")


def _to_divide_by(level: Tensor) -> Tensor:
    return torch.where(level > SILENT, level, 1.0)


class Network(nn.Module):
    """A network from mixtures to estimates. These are the defaults; a model sets those that are otherwise.

    num_estimates: how many it gives to its loss; with more than one it has a method `estimates`.
    frame_step: samples from frame to frame.
    lookahead: how many samples ahead of its own a sample of the output depends on; None: on the whole mixture.
    free_level: whether the level of the output has nothing to do with the input's.
    """

    num_estimates: int = 1
    frame_step: int = 1
    lookahead: int | None = None
    free_level: bool = False


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
