from itertools import permutations

import numpy as np
import pytest

from wesep_mix.memory.pairing import ANY_COSINE, distinct, margin, pairs


def best_by_trial(scores, least):
    """The largest sum of what is above `least`, over all ways to pair rows and columns."""
    rows, columns = scores.shape
    gain = np.where(scores >= least, scores - least, 0.0)
    if rows > columns:
        return best_by_trial(scores.T, least)
    return max(sum(gain[row, way[row]] for row in range(rows)) for way in permutations(range(columns), rows))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2), (3, 4)])
def test_pairs_have_the_largest_sum_of_what_is_above_the_threshold(shape):
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = rng.uniform(-1, 1, shape)
        found = list(pairs(scores, 0.2))
        assert all(scores[pair] >= 0.2 for pair in found)
        assert len({row for row, _ in found}) == len({column for _, column in found}) == len(found)
        assert sum(scores[pair] - 0.2 for pair in found) == pytest.approx(best_by_trial(scores, 0.2))


def test_a_pair_that_is_too_low_is_none_and_hinders_no_other():
    scores = np.array([[0.9, 0.8], [0.85, 0.1]])
    assert list(pairs(scores, 0.5)) == [(0, 1), (1, 0)]
    assert list(pairs(scores, 0.82)) == [(0, 0)]
    assert list(pairs(-scores, ANY_COSINE)) == [(0, 0), (1, 1)]  # all are taken: -0.9 - 0.1 > -0.8 - 0.85
    assert list(pairs(scores[:0], 0.5)) == list(pairs(scores[:, :0], 0.5)) == []


def test_the_margin_is_over_the_best_other():
    scores = np.array([0.2, 0.7, 0.5])
    assert margin(scores, 1) == pytest.approx(0.2) and margin(scores, 0) == pytest.approx(-0.5)
    assert margin(scores[:1], 0) == np.inf and scores.tolist() == [0.2, 0.7, 0.5]


def test_heads_that_are_heard_come_by_presence_and_each_talker_once():
    near = np.array([[1, 0, 0], [0.99, np.sqrt(1 - 0.99**2), 0], [0, 0, 1], [0, 1, 0]])
    assert distinct(near, np.array([0.7, 0.9, 0.8, 0.5]), 0.5, 0.95) == [1, 2]
    assert distinct(near, np.array([0.7, 0.9, 0.8, 0.5]), 0.4, 0.995) == [1, 2, 0, 3]
    assert distinct(near[:0], np.zeros(0), 0.5, 0.9) == []


def test_heads_of_one_presence_have_an_order_of_their_own():
    rng = np.random.default_rng(1)
    found, sure = rng.standard_normal((4, 5)), np.array([0.8, 0.9, 0.8, 0.8])
    first = found[distinct(found, sure, 0.5, np.inf)]
    for order in permutations(range(4)):
        again = found[list(order)]
        assert np.array_equal(again[distinct(again, sure[list(order)], 0.5, np.inf)], first)
