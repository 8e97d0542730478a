"""Heads of a window and slots of a memory: which heads are heard, and which slot each takes, one to one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linear_sum_assignment

NO_PAIR = -1e9
ANY_COSINE = -2.0  # below the least there is


def distinct(found: np.ndarray, sure: np.ndarray, tau_presence: float, tau_duplicate: float) -> list[int]:
    """Heads that are heard, each talker once.

    Args:
        found: unit vectors [N, D].
        sure: presence of each, [N].
        tau_presence: presence above which a head is heard.
        tau_duplicate: cosine above which two heads are one; the more present stays.

    Returns:
        The heads, the most present first; their order among the N changes nothing.
    """
    kept: list[int] = []
    for head in _by_presence(found, sure):
        near = found[kept] @ found[head] if kept else np.zeros(0)
        if sure[head] > tau_presence and not (near > tau_duplicate).any():
            kept.append(head)
    return kept


def _by_presence(found: np.ndarray, sure: np.ndarray) -> list[int]:
    """Heads, the most present first; equals by their embeddings."""
    order, told = range(len(sure)), sure.tolist()
    if len(set(told)) == len(told):
        return sorted(order, key=lambda head: -told[head])
    return sorted(order, key=lambda head: (-told[head], found[head].tolist()))


def pairs(scores: np.ndarray, least: float) -> Iterator[tuple[int, int]]:
    """Pair heads and slots one to one, so that the sum of what is above `least` is largest.

    Args:
        scores: of heads and slots, [N, K].
        least: score that a pair must have.

    Yields:
        Row and column of each pair.
    """
    gain = np.where(scores >= least, scores - least, NO_PAIR)
    for row, column in zip(*linear_sum_assignment(np.maximum(gain, 0.0), maximize=True), strict=True):
        if gain[row, column] > NO_PAIR:
            yield int(row), int(column)


def margin(scores: np.ndarray, column: int) -> float:
    """By how much one of a head's scores is ahead of the best other.

    Args:
        scores: of one head, [K].
        column: which.

    Returns:
        The difference, below 0 where another is better; inf where there is no other.
    """
    others = scores.copy()
    others[column] = -np.inf
    return float(scores[column] - others.max())
