import itertools

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.metrics.verification import (
    equal_error_rate,
    equal_error_threshold,
    min_dcf,
    pair_scores,
    score_equal_error_rate,
)


def swept(scores, same, steps=20001):
    """Brute force: of many thresholds the one where both error rates differ least, their mean there."""
    thresholds = np.linspace(scores.min() - 0.1, scores.max() + 0.1, steps)
    accepted = scores >= thresholds[:, None]
    false_accept = accepted[:, ~same].mean(1)
    false_reject = 1 - accepted[:, same].mean(1)
    nearest = np.argmin(np.abs(false_accept - false_reject))
    return (false_accept[nearest] + false_reject[nearest]) / 2


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_a_threshold_sweep(seed):
    rng = np.random.default_rng(seed)
    same = rng.random(600) < 0.3
    scores = rng.standard_normal(600) + rng.uniform(0, 3) * same
    assert score_equal_error_rate(scores, same) == pytest.approx(swept(scores, same), abs=0.01)


def test_by_hand():
    # accepting the best 1 to 5: false accepts 0 0 1/2 1/2 1, false rejects 2/3 1/3 1/3 0 0; between the
    # second and the third, rejects stay 1/3 and accepts rise past them
    scores, same = np.array([5.0, 4, 3, 2, 1]), np.array([True, True, False, True, False])
    assert score_equal_error_rate(scores, same) == pytest.approx(1 / 3)


def test_extremes():
    same = np.array([True, True, False, False])
    assert score_equal_error_rate(np.array([4.0, 3, 2, 1]), same) == 0.0
    assert score_equal_error_rate(np.array([1.0, 2, 3, 4]), same) == 1.0
    assert score_equal_error_rate(np.ones(4), same) == 0.5


def test_tied_scores_do_not_depend_on_order():
    scores, same = np.array([2.0, 2, 2, 1, 1, 1]), np.array([1, 0, 1, 0, 1, 0], dtype=bool)
    turned = score_equal_error_rate(scores[::-1], same[::-1])
    assert score_equal_error_rate(scores, same) == turned == pytest.approx(1 / 3)


def test_all_pairs_of_embeddings_less_those_apart():
    rng = np.random.default_rng(0)
    emb, speakers = rng.standard_normal((24, 4)), rng.choice(list("abc"), 24).tolist()
    mixtures, utterances = [str(k // 2) for k in range(24)], rng.choice(list("uvwxyz"), 24).tolist()
    unit = emb / np.linalg.norm(emb, axis=1, keepdims=True)
    pairs = [
        (i, j)
        for i, j in itertools.combinations(range(24), 2)
        if mixtures[i] != mixtures[j] and utterances[i] != utterances[j]
    ]
    scores = np.array([unit[i] @ unit[j] for i, j in pairs])
    same = np.array([speakers[i] == speakers[j] for i, j in pairs])
    found = equal_error_rate(emb, speakers, apart=(mixtures, utterances))
    assert found == pytest.approx(score_equal_error_rate(scores, same), abs=1e-6)
    assert equal_error_rate(emb, speakers) != pytest.approx(found, abs=1e-6)


def test_needs_both_sorts_of_pairs():
    with pytest.raises(UserError, match="found 0 and 1"):
        equal_error_rate(np.eye(2), ["a", "b"])
    with pytest.raises(UserError, match="found 1 and 0"):
        equal_error_rate(np.eye(2), ["a", "a"])


def cost_by_loop(scores, same, p_target):
    """Every threshold one by one: accept what is at least as high, and once nothing."""
    costs = []
    for threshold in [*scores, np.inf]:
        misses = sum(1 for score, one in zip(scores, same, strict=True) if one and score < threshold)
        alarms = sum(1 for score, one in zip(scores, same, strict=True) if not one and score >= threshold)
        costs.append(p_target * misses / same.sum() + (1 - p_target) * alarms / (~same).sum())
    return min(costs) / min(p_target, 1 - p_target)


@pytest.mark.parametrize("p_target", [0.01, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_min_dcf_is_that_of_a_loop_over_all_thresholds(seed, tied, p_target):
    rng = np.random.default_rng(seed)
    same = rng.random(300) < 0.3
    scores = rng.standard_normal(300) + 2.5 * same
    scores = scores.round() if tied else scores
    assert min_dcf(scores, same, p_target) == pytest.approx(cost_by_loop(scores, same, p_target), abs=1e-12)
    assert min_dcf(scores[::-1], same[::-1], p_target) == min_dcf(scores, same, p_target)


def test_min_dcf_by_hand():
    scores, same = np.array([5.0, 4, 3, 2, 1]), np.array([True, True, False, True, False])
    # at 1 in 100 a false alarm, 1/2, costs 49.5 times as much as rejecting all, so it is 1/3 of the misses
    assert min_dcf(scores, same) == pytest.approx(1 / 3)
    # at 1 in 2: the best 4 accepted, no miss, 1/2 false alarm: 0.25 / 0.5; the best 2: 1/3 misses: (1 / 6) / 0.5
    assert min_dcf(scores, same, 0.5) == pytest.approx(1 / 3)
    # at 9 in 10: the best 4: 0.1 / 2 of at most 0.1
    assert min_dcf(scores, same, 0.9) == pytest.approx(0.5)


def test_min_dcf_extremes():
    same = np.array([True, True, False, False])
    assert min_dcf(np.array([4.0, 3, 2, 1]), same) == 0
    assert min_dcf(np.array([1.0, 2, 3, 4]), same) == min_dcf(np.ones(4), same) == 1
    for wrong in (0, 1, -1):
        with pytest.raises(UserError, match="wanted p_target between 0 and 1"):
            min_dcf(np.ones(4), same, wrong)
    with pytest.raises(UserError, match="minDCF: .* found 2 and 0"):
        min_dcf(np.ones(2), np.ones(2))


def test_scores_of_pairs_are_their_cosines(monkeypatch):
    rng = np.random.default_rng(0)
    emb, pairs = rng.standard_normal((9, 5)), rng.integers(9, size=(40, 2))
    unit = emb / np.linalg.norm(emb, axis=1, keepdims=True)
    expected = [unit[first] @ unit[second] for first, second in pairs]
    assert np.allclose(pair_scores(emb, pairs), expected, atol=1e-6)
    monkeypatch.setattr("wesep_mix.metrics.verification.BLOCK", 4)
    assert np.allclose(pair_scores(emb, pairs), expected, atol=1e-6)


def test_the_threshold_is_where_both_errors_are_equal():
    own, others = np.array([0.9, 0.8, 0.7, 0.3]), np.array([0.1, 0.2, 0.4, 0.75])
    threshold = equal_error_threshold(own, others)
    assert threshold == 0.7
    assert (own < threshold).mean() == (others >= threshold).mean() == 0.25


@pytest.mark.parametrize("seed", range(4))
def test_the_threshold_agrees_with_a_loop_over_all_scores(seed):
    rng = np.random.default_rng(seed)
    own, others = rng.normal(1, 1, 31).round(1), rng.normal(0, 1, 47).round(1)  # with ties
    levels = sorted({*own, *others})
    gaps = [abs((own < level).mean() - (others >= level).mean()) for level in levels]
    assert equal_error_threshold(own, others) == levels[int(np.argmin(gaps))]


def test_a_threshold_wants_pairs_of_both_sorts():
    with pytest.raises(UserError, match="threshold: wanted pairs that belong together and others, found 2 and 0"):
        equal_error_threshold(np.array([0.1, 0.2]), np.array([]))
