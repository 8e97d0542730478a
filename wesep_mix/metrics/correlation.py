"""Whether two measures go together, whatever their units."""

from __future__ import annotations

import numpy as np


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's correlation.

    Args:
        first: a measure of each item, [M].
        second: the other one, [M].

    Returns:
        From -1 to 1; None where one of them is the same for all, or there are fewer than two items.
    """
    from scipy.stats import spearmanr  # here, since it takes a while and a finished stage answers at once

    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second)[0])
