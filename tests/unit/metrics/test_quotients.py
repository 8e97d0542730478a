import numpy as np
import pytest

from wesep_mix.metrics.intervals import quotient, resampled


def test_each_draw_has_as_many_as_there_are():
    weights = resampled(7, np.random.default_rng(0), draws=50)
    assert weights.shape == (50, 7) and (weights.sum(1) == 7).all() and len(np.unique(weights, axis=0)) > 40
    assert np.array_equal(weights, resampled(7, np.random.default_rng(0), draws=50))


def test_a_quotient_and_its_interval_by_hand():
    # over and under the line 1 of 2, 3 of 2; the draws give 1/2, 4/4, 3/2, whose middle half ends at 3/4 and 5/4
    found = quotient(np.array([1, 3]), np.array([2, 2]), np.array([[2, 0], [1, 1], [0, 2]]), level=0.5)
    assert found == pytest.approx({"value": 1, "low": 0.75, "high": 1.25})


def test_draws_that_cannot_be_divided_are_left_out():
    weights = np.array([[2, 0], [1, 1], [0, 2]])
    assert quotient(np.array([1, 0]), np.array([2, 0]), weights) == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert quotient(np.zeros(2), np.zeros(2), weights) is None


def test_the_interval_of_a_mean_is_about_that_of_normal_theory():
    values = np.random.default_rng(1).normal(3, 2, 400)
    found = quotient(values, np.ones(400), resampled(400, np.random.default_rng(2), draws=4000))
    half = 1.96 * values.std() / 20
    assert (found["low"], found["high"]) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
