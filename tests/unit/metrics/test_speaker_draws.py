"""Speakers drawn again, and the difference of two quotients: by hand, by full enumeration, by scipy, by simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from wesep_mix.metrics.intervals import quotient, quotient_difference, resampled, resampled_by_speaker


class Drawn:
    """A generator that draws what it was given: how often each speaker, in the order of their names."""

    def __init__(self, counts):
        self.counts = np.array(counts)

    def multinomial(self, num, shares, size):
        assert num == len(shares) == self.counts.shape[1]
        return self.counts


def test_a_mixture_is_there_as_often_as_all_of_its_speakers():
    counts = [[1, 1, 1], [2, 1, 0], [0, 3, 0], [2, 0, 1]]  # of a, b, c
    weights = resampled_by_speaker([("b", "a"), ("c", "a", "b"), ("a",), ("a", "c")], Drawn(counts))
    assert weights.tolist() == [[1, 1, 1, 1], [2, 0, 2, 0], [0, 0, 0, 0], [0, 0, 2, 2]]


def test_the_copies_of_drawn_speakers_meet_as_often():
    # every draw of three speakers in turn; a mixture is there once for each way to take its speakers from those drawn
    mixtures, names = [("a", "b"), ("a", "c"), ("b", "c"), ("a", "b")], "abc"
    draws = list(itertools.product(names, repeat=3))
    counted = [
        [sum(1 for pair in itertools.permutations(draw, 2) if pair == mixture) for mixture in mixtures]
        for draw in draws
    ]
    weights = resampled_by_speaker(mixtures, Drawn([[draw.count(name) for name in names] for draw in draws]))
    assert weights.tolist() == counted


def test_draws_are_the_same_for_the_same_seed_and_whatever_the_order_of_mixtures():
    mixtures = [("a", "b"), ("c", "b"), ("c", "d")]
    weights = resampled_by_speaker(mixtures, np.random.default_rng(0), draws=50)
    assert weights.shape == (50, 3) and weights.max() > 1
    again = resampled_by_speaker(mixtures[::-1], np.random.default_rng(0), draws=50)
    assert np.array_equal(weights, again[:, ::-1])


def test_of_single_talkers_it_is_the_cluster_bootstrap_of_scipy():
    rng = np.random.default_rng(0)
    speakers = rng.integers(12, size=90)
    values = rng.normal(size=12)[speakers] + rng.normal(size=90)
    sums, sizes = (np.bincount(speakers, weights) for weights in (values, None))
    theirs = stats.bootstrap(
        (sums, sizes),
        lambda sums, sizes, axis: sums.sum(axis) / sizes.sum(axis),
        n_resamples=20000,
        method="percentile",
        paired=True,
        rng=np.random.default_rng(1),
    ).confidence_interval
    weights = resampled_by_speaker([(str(speaker),) for speaker in speakers], np.random.default_rng(2), draws=20000)
    found = quotient(values, np.ones(90), weights)
    assert (found["low"], found["high"]) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_a_difference_and_its_interval_by_hand():
    # of 2 talkers a mixture, the first has 2, 1, 0 right, the second 1, 0, 1; the draws give
    # 4/4 - 2/4, 3/6 - 2/6, 2/6 - 3/6, of which the middle half ends at 0 and 1/3
    first, second = (np.array([2, 1, 0]), np.full(3, 2)), (np.array([1, 0, 1]), np.full(3, 2))
    weights = np.array([[2, 0, 0], [1, 1, 1], [1, 0, 2]])
    found = quotient_difference(first, second, weights, level=0.5)
    assert found == pytest.approx({"value": 3 / 6 - 2 / 6, "low": 0, "high": 1 / 3})


def test_a_quotient_of_several_trainings_is_the_mean_of_theirs():
    # the first training has 1 of 2 and 1 of 2 right, the other 1 of 1 and 0 of 3
    over, under = np.array([[1, 1], [1, 0]]), np.array([[2, 2], [1, 3]])
    nothing = (np.zeros(2), np.ones(2))
    weights = np.array([[1, 1], [2, 0], [0, 2]])
    found = quotient_difference((over, under), nothing, weights, level=1)
    assert found == pytest.approx({"value": (2 / 4 + 1 / 4) / 2, "low": (1 / 2 + 0 / 3) / 2, "high": (1 / 2 + 1) / 2})


def test_what_two_systems_owe_to_the_same_mixtures_cancels_out():
    rng = np.random.default_rng(0)
    mixtures = list(itertools.combinations("abcdef", 2))
    hard, gain = rng.normal(scale=10, size=15), rng.normal(1, 0.1, size=15)
    weights, ones = resampled_by_speaker(mixtures, rng), np.ones(15)
    paired = quotient_difference((hard + gain, ones), (hard, ones), weights)
    alone = quotient_difference((gain, ones), (np.zeros(15), ones), weights)
    assert paired == pytest.approx(alone) and 0.9 < paired["low"] < paired["high"] < 1.1
    # the same numbers, but of other mixtures, whose speakers are others
    both = resampled_by_speaker(mixtures + [(one.upper(), other.upper()) for one, other in mixtures], rng)
    own = [np.concatenate(parts) for parts in ((ones, 0 * ones), (0 * ones, ones))]
    first, second = (each * np.concatenate([hard + gain, hard]) for each in own)
    unpaired = quotient_difference((first, own[0]), (second, own[1]), both)
    assert unpaired["value"] == pytest.approx(paired["value"]) and unpaired["low"] < -2 < 4 < unpaired["high"]


def test_what_cannot_be_divided_is_none_or_left_out():
    weights, ones = np.array([[2, 0], [1, 1], [0, 2]]), np.ones(2)
    assert quotient_difference((ones, ones), (ones, 0 * ones), weights) is None
    found = quotient_difference((np.array([1, 0]), np.array([1, 0])), (0 * ones, ones), weights)
    assert found == {"value": 1, "low": 1, "high": 1}  # of the first two draws


@pytest.mark.parametrize("num_spk, effects", [(2, (1, 1, 0.5)), (2, (0, 0, 1)), (3, (0.5, 0.5, 1))])
def test_intervals_hold_the_truth_as_often_as_they_say_or_nearly(num_spk, effects):
    """100 mixtures of 16 speakers; a talker's difference: an effect as target, those of the others, and chance."""
    rng = np.random.default_rng(0)
    who = np.array([rng.permutation(16)[:num_spk] for _ in range(100)])
    by_speaker = resampled_by_speaker([[f"{one:02}" for one in mixture] for mixture in who], rng)
    by_mixture = resampled(100, rng)
    as_target, as_other, chance = effects
    held = {"speaker": 0, "mixture": 0}
    for _ in range(200):
        target, other = as_target * rng.normal(size=16), as_other * rng.normal(size=16)
        others = other[who].sum(1, keepdims=True) - other[who]
        values = (target[who] + others + chance * rng.normal(size=who.shape)).sum(1)
        for name, weights in (("speaker", by_speaker), ("mixture", by_mixture)):
            found = quotient(values, np.full(100, num_spk), weights)
            held[name] += found["low"] <= 0 <= found["high"]
    assert held["speaker"] >= 0.85 * 200
    assert held["mixture"] <= 0.75 * 200 or not as_target  # two mixtures of a speaker taken for independent
