"""Curves over the steps of an interpolation: where two of them cross, and whether one only falls or only rises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def crossing(steps: Sequence[float], differences: Sequence[float] | np.ndarray) -> float | None:
    """Find where a curve that begins above 0 and ends below it first reaches 0, on straight lines between its steps.

    Args:
        steps: of the interpolation, rising, [A].
        differences: a curve, or the difference of two, [A].

    Returns:
        The place; None for a curve that does not begin above 0 or does not end below it.
    """
    values = np.asarray(differences, dtype=float)
    if not values[0] > 0 > values[-1]:
        return None
    after = int(np.argmax(values <= 0))
    high, low = values[after - 1], values[after]
    return float(steps[after - 1] + (steps[after] - steps[after - 1]) * high / (high - low))


def setback(values: Sequence[float] | np.ndarray, rising: bool) -> float:
    """How far a curve goes against its direction at most, between any step and a later one.

    Args:
        values: the curve, [A].
        rising: whether it is to rise, else to fall.

    Returns:
        0 for a monotone curve; else the largest fall of one that is to rise, or rise of one that is to fall.
    """
    curve = np.asarray(values, dtype=float) * (1 if rising else -1)
    return float((np.maximum.accumulate(curve) - curve).max())
