"""How sure a number is: bootstrap intervals over sessions or mixtures, drawn with replacement (percentile method).

The talkers of a mixture or session share its noise and each other, so they are not drawn one by one.

A session where the measure is not defined, None or NaN, is left out. Not scipy.stats.bootstrap: it warns and gives up
where the measure of a single draw is not defined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for

Statistic = Callable[[np.ndarray], float | None]


def mean(values: np.ndarray) -> float:
    """Mean of the values of M sessions, [M]."""
    return float(np.mean(values))


def pooled(counts: np.ndarray) -> float | None:
    """The ratio of sums over M sessions of numerator and denominator, [M, 2]; None where the latter is 0."""
    part, whole = np.sum(counts, axis=0)
    return float(part / whole) if whole else None


def bootstrap(
    values: Sequence | np.ndarray,
    seed: int,
    statistic: Statistic | None = None,
    num: int = 1000,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Find the interval of a statistic over sessions.

    Args:
        values: a row a session: its value, [M], or its numerator and denominator, [M, 2].
        seed: of the draws.
        statistic: of rows; None for `mean` of values and `pooled` of ratios.
        num: draws of M sessions. Those where the statistic is None or NaN do not count.
        level: how probable the interval is.

    Returns:
        Its ends; None for fewer than two sessions, or where the statistic is never defined.

    Raises:
        UserError: the values have another shape or are infinite, `num` is below 1, or `level` not between 0 and 1.
    """
    if num < 1 or not 0 < level < 1:
        raise UserError(f"bootstrap: wanted 1 draw or more and a level between 0 and 1, found {num} and {level}")
    rows = _defined(values)
    if len(rows) < 2:
        return None
    draws = rng_for(seed, "bootstrap").integers(len(rows), size=(num, len(rows)))
    found = (
        _usual(rows[draws]) if statistic is None else np.array([statistic(rows[draw]) for draw in draws], dtype=float)
    )
    found = found[~np.isnan(found)]
    if not len(found):
        return None
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _usual(drawn: np.ndarray) -> np.ndarray:
    """`mean` or `pooled` of each draw, of values [R, M] or of their parts and wholes [R, M, 2]: [R]."""
    if drawn.ndim == 2:
        return drawn.mean(1)
    part, whole = np.moveaxis(drawn.sum(1), -1, 0)
    return np.divide(part, whole, out=np.full(len(drawn), np.nan), where=whole != 0)


def paired_bootstrap(
    first: Sequence | np.ndarray, second: Sequence | np.ndarray, seed: int, num: int = 1000, level: float = 0.95
) -> tuple[float, float] | None:
    """Find the interval of the mean difference of two systems over the same sessions.

    Args:
        first: a value a session, [M].
        second: the other's values of the same sessions, [M].
        seed: of the draws.
        num: draws of M sessions.
        level: how probable the interval is.

    Returns:
        Ends of the interval of the mean of first - second; None for fewer than two sessions where both are defined.

    Raises:
        UserError: the values differ in shape or are infinite, `num` is below 1, or `level` not between 0 and 1.
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if first.ndim != 1 or first.shape != second.shape:
        raise UserError(f"bootstrap: wanted two values of each session, found {first.shape} and {second.shape}")
    return bootstrap(first - second, seed, num=num, level=level)


def _defined(values: Sequence | np.ndarray) -> np.ndarray:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim not in (1, 2) or rows.shape[1:] not in ((), (2,)):
        raise UserError(f"bootstrap: wanted a value or a numerator and a denominator a session, found {rows.shape}")
    if np.isinf(rows).any():
        raise UserError(f"bootstrap: wanted finite values, found {int(np.isinf(rows).sum())} infinite ones")
    return rows[~np.isnan(rows).any(axis=tuple(range(1, rows.ndim)))]


def resampled(num: int, rng: np.random.Generator, draws: int = 1000) -> np.ndarray:
    """Draw as many mixtures as there are, with replacement, over and over.

    Args:
        num: M mixtures.
        rng: draws them.
        draws: R, how often.

    Returns:
        How often each mixture is in each draw, int [R, M].
    """
    return rng.multinomial(num, np.full(num, 1 / num), size=draws)


def quotient(over: np.ndarray, under: np.ndarray, weights: np.ndarray, level: float = 0.95) -> dict[str, float] | None:
    """A sum over mixtures divided by another one, with a bootstrap interval over mixtures (Efron's percentiles).

    Args:
        over: what is summed above the line, of each of M mixtures, [M].
        under: the same below it, [M].
        weights: how often each mixture is in each of R draws, int [R, M], from `resampled`.
        level: share of the draws that lie within the interval.

    Returns:
        `value`, and `low` and `high` of the draws that can be divided; None where the whole cannot be.
    """
    over, under = np.asarray(over, dtype=float), np.asarray(under, dtype=float)
    if not under.sum():
        return None
    above, below = weights @ over, weights @ under
    drawn = above[below > 0] / below[below > 0]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return {"value": float(over.sum() / under.sum()), "low": float(low), "high": float(high)}
