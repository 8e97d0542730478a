"""A student's set of embeddings against the talkers of its mixture, which may be more than its heads or fewer.

A talker is *covered* by the active head that the assignment gives them, if its cosine to their reference is above a
threshold tau. So every active head is one of three: it covers a talker; it is a duplicate, one more head at a talker
whom another head covers; or it is false. Every measure is a quotient of two sums over mixtures (QUOTIENTS), so the
counts of mixtures can be added, and drawn again for an interval.

N heads, S talkers, D embedding size, M mixtures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from wesep_mix.metrics.clustering import normalised
from wesep_mix.metrics.intervals import quotient

NONE = -1  # the head of a talker who has none
QUOTIENTS = {  # measure: the sum of what, divided by the sum of what
    "coverage": ("covered", "talkers"),  # which is the recall of the set
    "precision": ("covered", "active"),
    "f1": ("covered", "mean_size"),
    "duplicates": ("duplicates", "active"),
    "false": ("false", "active"),
    "found": ("found", "talkers"),
    "cos": ("cos", "found"),
    "acc": ("right", "found"),  # right: found, and in the cluster of the speaker
    "acc_all": ("right", "talkers"),
    "acc_cov": ("right_covered", "covered"),
    "count": ("exact", "mixtures"),  # exact: as many heads are active as there are talkers
}


@dataclass(frozen=True)
class MatchedSet:
    """Which head of a mixture is whose.

    Attributes:
        head: the one that is assigned to each talker, int [S], NONE where no active head is left.
        cos: its cosine to the talker's reference, [S], nan where there is none.
        active: the heads that speak for somebody, bool [N].
        covered: talkers with such a head above the threshold, bool [S].
        duplicate: active heads whose nearest talker, above the threshold too, is covered by another, bool [N].
        false: the active heads that are left, bool [N].
    """

    head: np.ndarray
    cos: np.ndarray
    active: np.ndarray
    covered: np.ndarray
    duplicate: np.ndarray
    false: np.ndarray

    def counts(self) -> dict[str, float]:
        """What QUOTIENTS are made of, without what it takes a clustering to know.

        `mean_size` is the mean of the numbers of active heads and of talkers, so F1 is `covered` over it.
        """
        talkers, active = len(self.head), int(self.active.sum())
        return {
            "mixtures": 1,
            "exact": int(active == talkers),
            "talkers": talkers,
            "active": active,
            "mean_size": (talkers + active) / 2,
            "found": int((self.head != NONE).sum()),
            "covered": int(self.covered.sum()),
            "duplicates": int(self.duplicate.sum()),
            "false": int(self.false.sum()),
            "cos": float(np.nansum(self.cos)),
        }


def match_set(found: np.ndarray, active: np.ndarray, references: np.ndarray, tau: float) -> MatchedSet:
    """Assign active heads to talkers one-to-one, as many as can be, by the largest sum of cosines.

    Args:
        found: embeddings of the heads, [N, D].
        active: which of them speak for a talker, bool [N].
        references: embeddings of the talkers, [S, D].
        tau: cosine above which a head stands for a talker.

    Returns:
        Which head is whose.

    Raises:
        UserError: an embedding is zero or not finite.
    """
    cosines = normalised(found) @ normalised(references).T  # [N, S]
    active = np.asarray(active, dtype=bool)
    heads = np.flatnonzero(active)
    rows, talkers = linear_sum_assignment(cosines[heads], maximize=True)
    head = np.full(len(references), NONE)
    head[talkers] = heads[rows]
    cos = np.where(head == NONE, np.nan, cosines[head, np.arange(len(head))])
    covered = cos > tau  # nan is not
    covers = np.isin(np.arange(len(found)), head[covered])
    nearest = cosines.argmax(1)
    duplicate = active & ~covers & covered[nearest] & (cosines.max(1) > tau)
    return MatchedSet(head, cos, active, covered, duplicate, active & ~covers & ~duplicate)


def share(measure: str, counts: Mapping[str, float]) -> float:
    """One of QUOTIENTS.

    Args:
        measure: its name.
        counts: the two sums that it is made of, and maybe others.

    Returns:
        The quotient.
    """
    over, under = QUOTIENTS[measure]
    return counts[over] / counts[under]


def pair_cosines(found: np.ndarray, active: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of assigned heads to their own talkers and to the other talkers of their mixture.

    Args:
        found: embeddings of the heads, [N, D].
        active: which of them speak for a talker, bool [N].
        references: embeddings of the talkers, [S, D].

    Returns:
        [P], P the smaller of S and the number of active heads, and [P * (S - 1)].
    """
    matched = match_set(found, active, references, tau=np.inf)
    talkers = np.flatnonzero(matched.head != NONE)
    cosines = normalised(found)[matched.head[talkers]] @ normalised(references).T  # [P, S]
    own = np.zeros_like(cosines, dtype=bool)
    own[np.arange(len(talkers)), talkers] = True
    return cosines[own], cosines[~own]


def by_rank(values: Sequence[np.ndarray], ranks: Sequence[np.ndarray]) -> np.ndarray:
    """Values of talkers in the order of a rank, such as that of loudness.

    Args:
        values: of the talkers of each of M mixtures, [S] each.
        ranks: of the same talkers, from 0 on, each once, int [S] each.

    Returns:
        [M, S], rank 0 first: the mean of a column is that of a rank.
    """
    return np.stack([one[np.argsort(rank)] for one, rank in zip(values, ranks, strict=True)])


def count_confusion(true: Sequence[int], counted: Sequence[int], heads: int) -> np.ndarray:
    """How often mixtures of each number of talkers are counted as how many.

    Args:
        true: number of talkers of each mixture.
        counted: number of active heads of each.
        heads: N, the most that can be counted.

    Returns:
        Numbers of mixtures, int [largest true + 1, N + 1].
    """
    confusion = np.zeros((max(true) + 1, heads + 1), dtype=int)
    np.add.at(confusion, (np.asarray(true), np.asarray(counted)), 1)
    return confusion


def quotients(counts: Sequence[Mapping[str, float]], weights: np.ndarray) -> dict[str, dict[str, float] | None]:
    """The QUOTIENTS that can be made of the counts of M mixtures, each as `bootstrap.quotient` gives it.

    Args:
        counts: of each mixture, the same names for all.
        weights: how often each mixture is in each draw, int [R, M].

    Returns:
        {measure: its value, low and high}.
    """
    table = {name: np.array([one[name] for one in counts]) for name in counts[0]}
    pairs = {name: pair for name, pair in QUOTIENTS.items() if table.keys() >= {*pair}}
    return {name: quotient(table[over], table[under], weights) for name, (over, under) in pairs.items()}
