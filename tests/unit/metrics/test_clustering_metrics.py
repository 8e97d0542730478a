import itertools

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.metrics.clustering import cluster_metrics, in_own_cluster, normalised, separation


def blobs(num_speakers=4, each=6, spread=0.1, dim=16, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((num_speakers, dim))
    speakers = np.repeat([f"spk{k}" for k in range(num_speakers)], each)
    emb = np.repeat(centres, each, 0) + spread * rng.standard_normal((num_speakers * each, dim))
    return emb, list(speakers)


def metrics_of(emb, speakers, seed=0):
    return cluster_metrics(emb, speakers, seed)[0]


def brute_force_accuracy(speakers, clusters):
    names = sorted(set(speakers))
    places = sorted(set(clusters))
    best = 0
    for chosen in itertools.permutations(names + [None] * len(places), len(places)):
        given = dict(zip(places, chosen, strict=True))
        best = max(best, sum(given[c] == s for s, c in zip(speakers, clusters, strict=True)))
    return best / len(speakers)


@pytest.mark.parametrize("seed", range(8))
def test_accuracy_is_the_best_of_all_permutations(seed):
    rng = np.random.default_rng(seed)
    speakers = rng.choice(["a", "b", "c"], 12).tolist()
    clusters = rng.integers(rng.integers(1, 5), size=12).tolist()
    assert in_own_cluster(speakers, clusters).mean() == pytest.approx(brute_force_accuracy(speakers, clusters))


def test_items_in_their_own_cluster_by_hand():
    # cluster 7 is given to a (two of its items against one of b), cluster 3 to b; a's third item is in neither
    speakers, clusters = ["a", "a", "b", "b", "b", "a"], [7, 7, 7, 3, 3, 5]
    assert in_own_cluster(speakers, clusters).tolist() == [True, True, False, True, True, False]
    assert in_own_cluster(["a", "b", "c"], [0, 0, 0]).sum() == 1


@pytest.mark.parametrize("seed", range(4))
def test_the_best_assignment_is_one_to_one(seed):
    rng = np.random.default_rng(seed)
    speakers, clusters = rng.integers(5, size=60), rng.integers(6, size=60)
    right = in_own_cluster(speakers, clusters)
    given = {(speaker, cluster) for speaker, cluster in zip(speakers[right], clusters[right], strict=True)}
    assert len(given) == len({speaker for speaker, _ in given}) == len({cluster for _, cluster in given})
    assert all(
        right[place] == ((speaker, cluster) in given)
        for place, (speaker, cluster) in enumerate(zip(speakers, clusters, strict=True))
    )


def test_judged_items_are_those_of_the_accuracy():
    emb, speakers = blobs(spread=1.5)
    metrics, right = cluster_metrics(emb, speakers, 3)
    assert 0 < right.sum() < len(speakers) and metrics["acc"] == right.mean()


def test_separation_by_hand():
    emb = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    speakers = ["a", "a", "b", "b"]
    half = np.sqrt(0.5)
    same, different = (1 + half) / 2, (0 + half + 0 + half) / 4
    assert separation(emb, speakers) == pytest.approx(same - different)


def test_separation_agrees_with_the_pairwise_loop():
    emb, speakers = blobs(spread=1.0)
    unit, sums = normalised(emb), {True: [], False: []}
    for i, j in itertools.combinations(range(len(unit)), 2):
        sums[speakers[i] == speakers[j]].append(unit[i] @ unit[j])
    assert separation(emb, speakers) == pytest.approx(np.mean(sums[True]) - np.mean(sums[False]))


def test_tight_speakers_are_perfect_and_scale_plays_no_part():
    emb, speakers = blobs(spread=1e-3)
    scores = metrics_of(emb * np.linspace(0.1, 9, len(emb))[:, None], speakers)
    assert scores["acc"] == scores["nmi"] == scores["ari"] == 1.0
    assert scores["sil"] == pytest.approx(1.0, abs=1e-3)
    assert sorted(scores) == ["acc", "ari", "nmi", "sep", "sil"]


def test_silhouette_by_hand():
    # cosine distances: inside each speaker 0, across 1; the exact silhouette of every point is (1 - 0) / 1
    scores = metrics_of(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]), ["a", "a", "b", "b"])
    assert scores["sil"] == pytest.approx(1.0)
    # labels across the geometry: a point's mate is at distance 1, the other two at 0 and 1, so (0.5 - 1) / 1
    crossed = metrics_of(np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]]), ["a", "a", "b", "b"])
    assert crossed["sil"] == pytest.approx(-0.5)


def test_equal_embeddings_carry_nothing():
    with pytest.warns(match="distinct clusters"):
        scores = metrics_of(np.ones((8, 3)), ["a"] * 4 + ["b"] * 4)
    assert scores == pytest.approx({"acc": 0.5, "sep": 0.0, "nmi": 0.0, "sil": 0.0, "ari": 0.0}, abs=1e-9)


def test_same_seed_same_metrics():
    emb, speakers = blobs(spread=2.0)
    assert metrics_of(emb, speakers, 3) == metrics_of(emb, speakers, 3)


@pytest.mark.parametrize(
    ("emb", "speakers", "said"),
    [
        (np.ones((3, 2)), ["a", "a"], "found \\(3, 2\\) and 2"),
        (np.ones((2, 2)), ["a", "a"], "found 1 speakers"),
        (np.ones((2, 2)), ["a", "b"], "one of them twice"),
        (np.array([[1.0, 0], [0, 0], [0, 1]]), ["a", "b", "b"], "1 of 3 embeddings are zero .* number 1"),
        (np.array([[1.0, 0], [1, 1], [np.nan, 1]]), ["a", "b", "b"], "number 2"),
    ],
)
def test_unfit_input_is_named(emb, speakers, said):
    with pytest.raises(UserError, match=said):
        cluster_metrics(emb, speakers)


def test_separation_needs_both_sorts_of_pairs():
    with pytest.raises(UserError, match="found 0 and 1"):
        separation(np.eye(2), ["a", "b"])
