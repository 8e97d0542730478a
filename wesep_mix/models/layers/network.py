"""What extractors and separators have in common: checks of their inputs, a signal's level, what they say of themselves.

A network may work on a mixture at unit level, a root mean square of 1, and bring its estimates back to the mixture's
level. `Network` holds what the rest of the toolkit must know of it beside what it computes, such as how far it looks
ahead.

B batch, T samples, L frames, D embedding size, K estimates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wesep_mix.base.errors import UserError


def check_mix(mix: Tensor, name: str) -> None:
    """Check a batch of mixtures.

    Args:
        mix: What should be float32 [B, T].
        name: The network's, which opens the message.

    Raises:
        UserError: For another shape or type, or values that are not finite.
    """
    if mix.dim() != 2 or mix.shape[1] == 0:
        raise UserError(f"{name}: wanted a mixture of shape [batch, samples], found {list(mix.shape)}")
    check_type(mix, "mixture", name)
    check_finite(mix, "mixture", name)


def check_type(rows: Tensor, what: str, name: str) -> None:
    """Refuse doubles and whole numbers.

    Args:
        rows: What should be float32, or half as precise under autocast.
        what: What a row is, in a word.
        name: The network's, which opens the message.

    Raises:
        UserError: For another type.
    """
    if rows.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise UserError(f"{name}: wanted a {what} of float32, found {rows.dtype}")


def check_finite(rows: Tensor, what: str, name: str) -> None:
    """Refuse NaN and infinity.

    Args:
        rows: Float [B, N].
        what: What a row is, in a word.
        name: The network's, which opens the message.

    Raises:
        UserError: Naming the first row that is not finite.
    """
    finite = rows.isfinite().all(1)  # [B]
    if not finite.all():
        raise UserError(
            f"{name}: wanted finite values, found NaN or infinity in {what} {int(finite.int().argmin())} "
            f"of the batch (counted from 0)"
        )


def at_mixture_level(est: Tensor, mix: Tensor) -> Tensor:
    """Scale estimates to the level that their talkers have in the mixture.

    SI-SDR leaves the level open. Speech is uncorrelated with the other talkers and the noise, so the factor that
    fits an estimate to the mixture best (least squares) is the one that restores its level.

    Args:
        est: Float [..., T].
        mix: Of that shape, or one that broadcasts to it.

    Returns:
        Float [..., T].
    """
    return est * ((est * mix).sum(-1, keepdim=True) / est.square().sum(-1, keepdim=True).clamp(min=1e-12))


SILENT = 1e-8  # root mean square below which a signal is left as it is


@dataclass(frozen=True)
class Longer:
    """What a model must know of the longer signal when it is given a part of one."""

    level: Tensor  # root mean square of all of the signal, float [B, 1]
    energy: Tensor  # sum of squares of the samples in front of the part, float64 [B, 1]
    count: int  # how many samples these are


def unit_level(wav: Tensor, longer: Longer | None = None) -> Tensor:
    """Root mean square of a signal.

    Args:
        wav: Float [B, T].
        longer: The signal that wav is a part of, where it is one; then it is that signal's.

    Returns:
        Float [B, 1]; 1 for silence, so that one can divide by it.
    """
    return _to_divide_by(wav.square().mean(1, keepdim=True).sqrt()) if longer is None else longer.level


def gain_to(level: float, wav: Tensor, num_samples: Tensor) -> Tensor:
    """What brings signals to a level.

    Args:
        level: The root mean square that is wanted.
        wav: Float [B, T], zeros behind an item's end.
        num_samples: The items' lengths, int64 [B].

    Returns:
        Factors, float [B, 1]; 1 for silence.
    """
    rms = (wav.square().sum(1, keepdim=True) / num_samples[:, None]).sqrt()
    return torch.where(rms > SILENT, level / rms.clamp(min=SILENT), 1.0)


def level_so_far(wav: Tensor, ends: Tensor, longer: Longer | None = None) -> Tensor:
    """Root mean square of all that was heard up to some samples, for causal models.

    Args:
        wav: Float [B, T].
        ends: How many samples were heard, int64 [L].
        longer: The signal that wav is a part of, where it is one; then what stands in front of the part counts too.

    Returns:
        Float [B, L]; 1 for silence, so that one can divide by it.
    """
    energy, count = wav.double().square().cumsum(1)[:, ends - 1], ends  # [B, L], [L]
    if longer is not None:
        energy, count = energy + longer.energy, ends + longer.count
    return _to_divide_by((energy / count).sqrt().to(wav.dtype))


def check_causal(causal: bool, unit_level: bool) -> None:
    """Refuse a causal model that needs a mixture's level (a config's own check calls this).

    Args:
        causal: Whether the model looks back only.
        unit_level: Whether it works at unit level.

    Raises:
        ValueError: When both are true.
    """
    if causal and unit_level:
        raise ValueError("unit_level: wanted false with causal true, since a mixture's level is only known at its end")


def _to_divide_by(level: Tensor) -> Tensor:
    return torch.where(level > SILENT, level, 1.0)


class Network(nn.Module):
    """A network from mixtures to estimates. These are the defaults; a model sets those that are otherwise."""

    num_estimates: int = 1  # how many it gives to its loss; with more than one it has a method `estimates`
    frame_step: int = 1  # samples from frame to frame
    lookahead: int | None = None  # samples ahead of its own that one of the output depends on; None: the whole mixture
    free_level: bool = False  # whether the level of the output has nothing to do with the input's


def check_inputs(mix: Tensor, emb: Tensor | None, config: Any) -> None:
    """Check what an extractor is given.

    Args:
        mix: What should be float32 [B, T].
        emb: What should be float32 [B, D], or None with fusion `none`.
        config: The extractor's, with `name`, `fusion` and `embedding_dim`.

    Raises:
        UserError: For other shapes or types, values that are not finite, an embedding missing or unwanted.
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
    """How long after a sample has come in that sample of the output can be given.

    That is the algorithmic latency: a machine's time to compute comes on top of it.

    Args:
        model: An extractor or separator.
        sample_rate: In Hz.

    Returns:
        Milliseconds; None where the model needs the whole input.
    """
    return None if model.lookahead is None else 1000 * (model.lookahead + 1) / sample_rate


def check_weights(model: Network, weights: Sequence[float]) -> None:
    """Check the weights of a loss.

    Args:
        model: An extractor.
        weights: Of its estimates.

    Raises:
        UserError: When there is not one for each estimate.
    """
    wanted, found = model.num_estimates, list(weights)
    if len(found) != wanted:
        raise UserError(f"{model.config.name}: loss.weights: wanted {wanted} (one an estimate), found {found}")


def estimates(model: Network, mix: Tensor, emb: Tensor | None) -> Tensor:
    """What an extractor is trained on: its output, and more where it has a method `estimates`.

    Args:
        model: The extractor.
        mix: Float32 [B, T].
        emb: Float32 [B, D], or None with fusion `none`.

    Returns:
        Float32 [B, K, T], the output first.
    """
    return model.estimates(mix, emb) if model.num_estimates > 1 else model(mix, emb).unsqueeze(1)
