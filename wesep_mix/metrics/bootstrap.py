"""Intervals by the bootstrap: what is measured is drawn again with replacement, whole mixtures at a time.

The talkers of a mixture share its noise and each other, so they are not drawn one by one. M mixtures, R draws.
"""

from __future__ import annotations

import numpy as np

NUM_DRAWS = 1000


def resampled(num: int, rng: np.random.Generator, draws: int = NUM_DRAWS) -> np.ndarray:
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
