"""All embeddings of a recording at once: no memory that could run beside it, but what one is measured by.

Two embeddings of one window are two talkers (cannot-link). `linked` has that in the distances, where many others can
outvote a pair; `clustered` has it for sure.

M embeddings, D values of each.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.sparse.csgraph import laplacian
from sklearn.cluster import AgglomerativeClustering, SpectralClustering

from wesep_mix.base.errors import UserError
from wesep_mix.memory.observing import NOBODY, directions
from wesep_mix.memory.pairing import ANY_COSINE, pairs

APART = 2.0  # distance of two heads of one window, more than that of any two directions in use
NEIGHBOURS = 6  # of an embedding in the graph that spectral clustering cuts
FAINT = 1e-9  # weight between those that are no neighbours, so that the graph is of one piece


def clustered(
    embeddings: np.ndarray,
    windows: np.ndarray,
    num_talkers: int | None = None,
    tau: float | None = None,
    method: Literal["average", "spectral"] = "average",
    most: int = 10,
) -> np.ndarray:
    """Which embeddings of a recording are of one talker.

    `average` is agglomerative clustering with average linkage. `spectral` cuts the graph in which each embedding is
    joined to its nearest of other windows, by the normalised Laplacian; the number of talkers, if not known, is where
    the eigenvalues have their widest gap.

    With neither method are two embeddings of a window one talker: where clusters say so, the window's embeddings are
    given to the clusters' means anew, one to one, with the largest sum of cosines. Those for whom none is left are
    NOBODY. So a known number of talkers is never exceeded.

    Args:
        embeddings: [M, D], of any length above 0.
        windows: the window of each, [M].
        num_talkers: where it is known.
        tau: `average`: least mean cosine of two clusters that are joined. It may be left out where the number of
            talkers is known; with both, clusters are those of `tau`, the largest of them are the talkers, and the
            others' embeddings are given to these, so that a stray embedding is no talker. `spectral`: least cosine of
            two neighbours, 0 where it is left out.
        method: see above.
        most: talkers that `spectral` may find.

    Returns:
        A label for each embedding, int [M]: the same for those of one talker, from 0 in the order in which they are
        first heard; NOBODY for none.

    Raises:
        UserError: what is given are not embeddings and their windows, or neither the number of talkers nor `tau` is
            known to `average`.
    """
    place = np.asarray(windows)
    if place.shape != (len(embeddings),):
        raise UserError(f"memory: wanted a window for each of {len(embeddings)} embeddings, found {place.shape}")
    if num_talkers is not None and num_talkers < 1:
        raise UserError(f"memory: wanted 1 talker or more, found {num_talkers}")
    if method == "average" and num_talkers is None and tau is None:
        raise UserError("memory: average linkage: wanted the number of talkers or tau, found neither")
    if not len(embeddings):
        return np.zeros(0, dtype=int)
    found, apart = directions(embeddings), place[:, None] == place
    if num_talkers is not None and num_talkers >= len(found):
        return np.arange(len(found))
    if method == "average":
        labels = _by_linkage(found, apart, num_talkers, tau)
    else:
        labels = _by_spectrum(_graph(found, apart, tau or 0.0), num_talkers, most)
    return _in_order(_one_to_one(found, place, labels, num_talkers))


def linked(
    stacked: np.ndarray, apart: np.ndarray, join: float | None = None, num_clusters: int | None = None
) -> list[int]:
    """Average linkage of cosine distances, in which some pairs are far from each other whatever their cosine.

    That keeps a pair from coming together but for clusters of so many (more than a hundred) that one such pair is
    little in the mean.

    Args:
        stacked: unit vectors [M, D].
        apart: which pairs are far, bool [M, M].
        join: least mean cosine of two clusters that are joined; or
        num_clusters: until there are no more than these.

    Returns:
        The cluster of each.
    """
    if len(stacked) < 2:
        return [0] * len(stacked)
    distances = (1 - stacked @ stacked.T).clip(min=0).astype(np.float64)
    distances[apart] = APART * len(stacked)  # in a mean of few, more than any others can make good
    np.fill_diagonal(distances, 0.0)
    clustering = AgglomerativeClustering(
        n_clusters=num_clusters,
        metric="precomputed",
        linkage="average",
        distance_threshold=None if join is None else 1 - join,
    )
    return clustering.fit_predict(distances).tolist()


def _by_linkage(found: np.ndarray, apart: np.ndarray, num_talkers: int | None, tau: float | None) -> np.ndarray:
    if tau is not None:
        labels = np.array(linked(found, apart, tau))
        if num_talkers is None or labels.max() + 1 >= num_talkers:
            return labels
    return np.array(linked(found, apart, num_clusters=num_talkers))


def _graph(found: np.ndarray, apart: np.ndarray, tau: float) -> np.ndarray:
    """Cosines of those that are near to each other, and almost nothing between the others: [M, M]."""
    cosines = found @ found.T
    cosines[apart | (cosines < tau)] = 0.0
    least = np.sort(cosines, axis=1)[:, -NEIGHBOURS:][:, :1]
    near = np.where(cosines >= least, cosines, 0.0).clip(min=0)
    return np.maximum(near, near.T) + FAINT


def _by_spectrum(graph: np.ndarray, num_talkers: int | None, most: int) -> np.ndarray:
    if num_talkers is None:
        gaps = np.diff(np.linalg.eigvalsh(laplacian(graph, normed=True)))
        num_talkers = int(np.argmax(gaps[:most])) + 1 if len(gaps) else 1
    if num_talkers == 1:
        return np.zeros(len(graph), dtype=int)
    cut = SpectralClustering(num_talkers, affinity="precomputed", assign_labels="cluster_qr", random_state=0)
    return cut.fit_predict(graph)


def _one_to_one(found: np.ndarray, place: np.ndarray, labels: np.ndarray, num_talkers: int | None) -> np.ndarray:
    """Labels of the largest clusters alone, and in no window one twice."""
    kept = np.argsort(-np.bincount(labels), kind="stable")[:num_talkers]
    means = directions(np.stack([found[labels == label].sum(0) for label in kept]))
    given = labels.copy()
    for window in np.unique(place):
        rows = np.flatnonzero(place == window)
        own = labels[rows]
        if len(set(own)) < len(own) or not np.isin(own, kept).all():
            given[rows] = NOBODY
            for row, column in pairs(found[rows] @ means.T, ANY_COSINE):
                given[rows[row]] = kept[column]
    return given


def _in_order(labels: np.ndarray) -> np.ndarray:
    """Labels from 0, in the order of their first embeddings; NOBODY stays."""
    known = {label: number for number, label in enumerate(dict.fromkeys(labels[labels != NOBODY].tolist()))}
    return np.array([known.get(label, NOBODY) for label in labels.tolist()])
