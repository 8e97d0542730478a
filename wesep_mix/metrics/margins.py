"""How clearly a set of candidates points to a talker: cosines of embeddings to the talkers' references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Margin:
    """Of one talker.

    Attributes:
        own: cosine of the embedding that is taken for the talker to the talker's reference.
        other: the highest cosine of another candidate to that reference; the paper's margin is |own - other|.
        talker: the highest cosine of the embedding that is taken to another talker's reference.
    """

    own: float
    other: float
    talker: float


def margins(cosines: np.ndarray, chosen: Sequence[int]) -> list[Margin]:
    """The margins of the talkers of a mixture.

    Args:
        cosines: of N candidates to S references, [N, S], both two or more.
        chosen: which candidate is taken for each talker, [S].

    Returns:
        One a talker.
    """
    found = []
    for talker, candidate in enumerate(chosen):
        others = np.delete(cosines[:, talker], candidate), np.delete(cosines[candidate], talker)
        found.append(Margin(float(cosines[candidate, talker]), *(float(each.max()) for each in others)))
    return found
