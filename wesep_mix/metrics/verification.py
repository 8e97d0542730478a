"""Speaker verification by cosine: equal error rate and minimum detection cost over pairs of embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_curve

from wesep_mix.base.errors import UserError
from wesep_mix.metrics.clustering import normalised

P_TARGET = 0.01  # NIST SRE 2008 and after, and VoxCeleb's recipes
BLOCK = 2048  # rows of the matrix of all cosines that are held at a time


def pair_scores(emb: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Cosines of pairs of embeddings.

    Args:
        emb: [M, D].
        pairs: rows of `emb`, int [P, 2].

    Returns:
        float32 [P].
    """
    unit = normalised(emb).astype(np.float32)
    scores = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(unit), BLOCK):
        here = (pairs[:, 0] >= start) & (pairs[:, 0] < start + BLOCK)
        cosines = unit[start : start + BLOCK] @ unit.T
        scores[here] = cosines[pairs[here, 0] - start, pairs[here, 1]]
    return scores


def equal_error_rate(emb: np.ndarray, speakers: Sequence[str], apart: Sequence[Sequence[str]] = ()) -> float:
    """EER over all pairs of embeddings.

    Args:
        emb: [M, D].
        speakers: of each.
        apart: groupings, each a name for every embedding; two embeddings of one group are no trial. Mixtures are such a
            grouping (the matching that named the embeddings of a mixture gave them different names), and utterances
            (which share more than the speaker).

    Returns:
        A fraction, 0 to 1.

    Raises:
        UserError: no same-speaker or no different-speaker pair is left.
    """
    unit = normalised(emb).astype(np.float32)
    trials = np.triu(np.ones((len(unit), len(unit)), dtype=bool), k=1)
    for groups in apart:
        trials &= ~_equal(groups)
    return score_equal_error_rate((unit @ unit.T)[trials], _equal(speakers)[trials])


def unfair_groups(
    speakers: Sequence[str], mixtures: Sequence[str], utterances: Sequence[str]
) -> tuple[Sequence[str], ...]:
    """The groupings within which pairs are no fair trials: mixtures, and utterances unless every speaker has just one.

    Args:
        speakers: of each embedding.
        mixtures: of each.
        utterances: of each.

    Returns:
        One or both of the latter two.
    """
    one_each = len(set(utterances)) == len(set(speakers))
    return (mixtures,) if one_each else (mixtures, utterances)


def score_equal_error_rate(scores: np.ndarray, same: np.ndarray) -> float:
    """The rate at which false acceptances and false rejections are equally frequent.

    The two error rates are known at every distinct score; between two of these the ROC is a straight line, and the
    crossing is taken on it (so tied scores count half, and constant scores give 0.5).

    Args:
        scores: [P], higher means more likely the same speaker.
        same: the truth, bool [P].

    Returns:
        A fraction, 0 to 1.

    Raises:
        UserError: there is no same-speaker pair or no different-speaker pair.
    """
    return _crossing(*_error_rates("EER", scores, same))


def equal_error_threshold(own: np.ndarray, others: np.ndarray) -> float:
    """The score from which on pairs are accepted so that both errors are equally frequent, or as nearly as can be.

    Args:
        own: scores of pairs that belong together, [P], at least one.
        others: scores of pairs that do not, [Q], at least one.

    Returns:
        One of the scores, the lowest of those that do equally well.

    Raises:
        UserError: there are no pairs of either sort.
    """
    if not len(own) or not len(others):
        raise UserError(f"threshold: wanted pairs that belong together and others, found {len(own)} and {len(others)}")
    levels = np.unique(np.concatenate([own, others]))
    refused = np.searchsorted(np.sort(own), levels) / len(own)
    accepted = (len(others) - np.searchsorted(np.sort(others), levels)) / len(others)
    return float(levels[np.argmin(np.abs(refused - accepted))])


def min_dcf(scores: np.ndarray, same: np.ndarray, p_target: float = P_TARGET) -> float:
    """Smallest detection cost over all thresholds (NIST SRE evaluation plans, both errors at cost 1).

    The cost p_target * misses + (1 - p_target) * false alarms is divided by that of the better of accepting all
    and rejecting all. Pairs of one score are accepted or rejected together.

    Args:
        scores: [P], higher means more likely the same speaker.
        same: the truth, bool [P].
        p_target: how probable a same-speaker pair is taken to be.

    Returns:
        0 to 1.

    Raises:
        UserError: there is no same-speaker pair or no different-speaker pair, or p_target is not between 0 and 1.
    """
    if not 0 < p_target < 1:
        raise UserError(f"minDCF: wanted p_target between 0 and 1, found {p_target}")
    false_accept, false_reject = _error_rates("minDCF", scores, same)
    costs = p_target * false_reject + (1 - p_target) * false_accept
    return float(costs.min() / min(p_target, 1 - p_target))


def _error_rates(metric: str, scores: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rates of false acceptances and of false rejections, [N + 1] each for N distinct scores: the threshold falls from
    above the highest score to the lowest.
    """
    scores, same = np.asarray(scores), np.asarray(same, dtype=bool)
    num_same, num_different = int(same.sum()), int((~same).sum())
    if not num_same or not num_different:
        raise UserError(
            f"{metric}: wanted pairs of same and of different speakers, found {num_same} and {num_different}"
        )
    false_accept, true_accept, _ = roc_curve(same, scores, drop_intermediate=False)
    return false_accept, 1 - true_accept


def _crossing(rising: np.ndarray, falling: np.ndarray) -> float:
    """Height at which two broken lines over the same points meet; one rises from 0, the other falls to 0."""
    gap = rising - falling
    after = int(np.argmax(gap >= 0))
    weight = gap[after] / (gap[after] - gap[after - 1])  # 0 at `after`, 1 at the point before it
    return float(rising[after] + weight * (rising[after - 1] - rising[after]))


def _equal(names: Sequence[str]) -> np.ndarray:
    """Bool [M, M]: which names are the same."""
    ids = np.unique(np.asarray(names), return_inverse=True)[1]
    return ids[:, None] == ids
