"""How well embeddings group by speaker: Acc, Sep, NMI, Sil and ARI of arXiv 2604.03219, Table 1.

The paper does not print its settings. Ours: embeddings are L2-normalised first. The number of clusters is the
number of speakers. k-means has a hundred starts: with ten its result differs from seed to seed, and Acc with it by
several points. Sil takes the true speakers as clusters, with cosine distance (the paper's negative values rule out the
clusters that k-means itself found).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from sklearn.metrics.cluster import contingency_matrix
from threadpoolctl import threadpool_limits

from wesep_mix.base.errors import UserError

NUM_INITS = 100


def cluster_metrics(emb: np.ndarray, speakers: Sequence[str], seed: int = 0) -> tuple[dict[str, float], np.ndarray]:
    """All five metrics, and which embeddings are in their speaker's cluster.

    Args:
        emb: M embeddings, [M, D].
        speakers: of each.
        seed: of k-means.

    Returns:
        {acc (a fraction), sep, nmi, sil, ari}, and bool [M], whose mean is acc.

    Raises:
        UserError: shapes differ, a value is not finite, a vector is zero, or the speakers are fewer than two or all
            different (silhouette and Sep are undefined then).
    """
    emb, speaker_ids = _checked(emb, speakers)
    clusters = kmeans(emb, speaker_ids.max() + 1, seed, NUM_INITS).labels_
    correct = in_own_cluster(speaker_ids, clusters)
    return {
        "acc": float(correct.mean()),
        "sep": separation(emb, speaker_ids),
        "nmi": float(normalized_mutual_info_score(speaker_ids, clusters)),
        "sil": float(silhouette_score(emb, speaker_ids, metric="cosine")),
        "ari": float(adjusted_rand_score(speaker_ids, clusters)),
    }, correct


def kmeans(vectors: np.ndarray, num_clusters: int, seed: int, num_inits: int = 10) -> KMeans:
    """Fit k-means (k-means++), the same for the same seed.

    Args:
        vectors: [M, D].
        num_clusters: wanted.
        seed: of the starts.
        num_inits: starts, the best of which counts.

    Returns:
        scikit-learn's fitted object.
    """
    with threadpool_limits(1):  # more threads would sum centres in an order that changes from run to run
        return KMeans(num_clusters, n_init=num_inits, random_state=seed).fit(vectors)


def in_own_cluster(speakers: Sequence, clusters: Sequence) -> np.ndarray:
    """Which items are in the cluster that is assigned to their speaker.

    Clusters are assigned one-to-one, so that as many items as possible are right; where several assignments are equally
    good, scipy's solver takes one.

    Args:
        speakers: of M items.
        clusters: of the same items.

    Returns:
        bool [M].
    """
    _, speaker_ids = np.unique(np.asarray(speakers), return_inverse=True)
    _, cluster_ids = np.unique(np.asarray(clusters), return_inverse=True)
    counts = contingency_matrix(speaker_ids, cluster_ids)
    speaker_of = np.full(counts.shape[1], -1)  # by cluster
    rows, columns = linear_sum_assignment(counts, maximize=True)
    speaker_of[columns] = rows
    return speaker_of[cluster_ids] == speaker_ids


def separation(emb: np.ndarray, speakers: Sequence) -> float:
    """Mean cosine of all same-speaker pairs minus mean cosine of all different-speaker pairs.

    Sums of cosines over pairs are taken from sums of vectors, so that no [M, M] matrix is needed.

    Args:
        emb: [M, D].
        speakers: of each.

    Returns:
        The difference, -2 to 2.

    Raises:
        UserError: there is no same-speaker pair or no different-speaker pair.
    """
    unit = normalised(emb)
    _, ids, counts = np.unique(np.asarray(speakers), return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), unit.shape[1]))
    np.add.at(sums, ids, unit)
    num_same = (counts * (counts - 1) / 2).sum()
    num_different = len(unit) * (len(unit) - 1) / 2 - num_same
    if not num_same or not num_different:
        raise UserError(
            f"Sep: wanted pairs of same and of different speakers, found {num_same:.0f} and "
            f"{num_different:.0f} in {len(unit)} embeddings of {len(counts)} speakers"
        )
    same = ((sums**2).sum() - len(unit)) / 2
    every = ((sums.sum(0) ** 2).sum() - len(unit)) / 2
    return float(same / num_same - (every - same) / num_different)


def normalised(emb: np.ndarray) -> np.ndarray:
    """Scale vectors to length one.

    Args:
        emb: [M, D].

    Returns:
        float64 [M, D].

    Raises:
        UserError: a vector is zero or not finite.
    """
    emb = np.asarray(emb, dtype=np.float64)
    norms = np.linalg.norm(emb, axis=-1, keepdims=True)
    bad = ~(np.isfinite(norms) & (norms > 0))[..., 0]
    if bad.any():
        raise UserError(
            f"{int(bad.sum())} of {len(emb)} embeddings are zero or not finite, "
            f"the first is number {int(np.argmax(bad))}"
        )
    return emb / norms


def _checked(emb: np.ndarray, speakers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    if np.ndim(emb) != 2 or len(emb) != len(speakers):
        raise UserError(f"wanted embeddings [M, D] and M speakers, found {np.shape(emb)} and {len(speakers)}")
    names, ids = np.unique(np.asarray(speakers), return_inverse=True)
    if not 2 <= len(names) < len(speakers):
        raise UserError(
            f"wanted at least two speakers and one of them twice, found {len(names)} speakers "
            f"in {len(speakers)} embeddings"
        )
    return normalised(emb), ids
