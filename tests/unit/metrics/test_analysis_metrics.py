"""Crossings, setbacks, alignment, margins and redrawn statistics, by hand and against scipy."""

import numpy as np
import pytest
from scipy import stats

from wesep_mix.base.errors import UserError
from wesep_mix.metrics.alignment import align
from wesep_mix.metrics.curves import crossing, setback
from wesep_mix.metrics.intervals import quotient, redrawn, resampled_by_speaker
from wesep_mix.metrics.margins import Margin, margins

STEPS = [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(
    ("differences", "place"),
    [
        ([4, 2, 0, -2, -4], 0.5),
        ([4, 3, 1, -1, -4], 0.625),
        ([1, -3, -4, -5, -6], 0.0625),
        ([4, -4, 4, -4, -4], 0.125),  # the first of three
        ([-1, 2, 1, -1, -4], None),  # the other talker at the beginning
        ([4, 3, 2, 1, 0.5], None),
        ([0, 0, 0, 0, 0], None),  # the same embedding at both ends
    ],
)
def test_where_a_curve_first_reaches_zero(differences, place):
    assert crossing(STEPS, differences) == (None if place is None else pytest.approx(place))


def test_how_far_a_curve_goes_back():
    assert setback([5, 3, 3, -1], rising=False) == 0
    assert setback([1, 3, 2, 2.5, 0.5, 9], rising=True) == 2.5  # from 3 to 0.5
    assert setback([5, 3, 4, 3.5, 4.5, 1], rising=False) == 1.5  # from 3 to 4.5, not step by step
    assert setback([1, 2, 3], rising=False) == 2


@pytest.mark.parametrize("lag", [-7, 0, 12])
@pytest.mark.parametrize("gain", [0.25, -3.0])
def test_a_known_lag_and_gain_are_found(lag, gain):
    rng = np.random.default_rng(0)
    source = np.zeros(4000)
    source[100:3900] = rng.standard_normal(3800)
    aligned, found, scale = align(gain * np.roll(source, lag), source, 16)
    assert found == lag and scale == pytest.approx(1 / gain)
    assert aligned.dtype == np.float32
    np.testing.assert_allclose(aligned, source, atol=1e-6)


def test_a_larger_lag_than_allowed_is_not_taken():
    source = np.zeros(400)
    source[100:120] = np.hanning(20)
    _, lag, gain = align(np.roll(source, 12), source, 4)
    assert lag == 4 and 0 < gain < 1  # as near as may be


def test_the_gain_is_that_of_least_squares_where_the_estimate_is_noisy():
    rng = np.random.default_rng(1)
    source = rng.standard_normal(2000)
    est = 0.5 * source + 0.3 * rng.standard_normal(2000)
    aligned, lag, gain = align(est, source, 3)
    assert lag == 0 and gain == pytest.approx(np.linalg.lstsq(est[:, None], source, rcond=None)[0][0])
    assert np.square(source - aligned).sum() < np.square(source - est / 0.5).sum()


def test_silence_cannot_be_aligned():
    with pytest.raises(UserError, match="est is silent"):
        align(np.zeros(10), np.ones(10), 2)


def test_margins_by_hand():
    cosines = np.array([[0.9, 0.2], [0.4, 0.7]])  # of two candidates to two talkers
    assert margins(cosines, [0, 1]) == [Margin(0.9, 0.4, 0.2), Margin(0.7, 0.2, 0.4)]
    assert margins(cosines, [1, 0]) == [Margin(0.4, 0.9, 0.7), Margin(0.2, 0.7, 0.9)]  # taken the wrong way round
    three = np.array([[0.9, 0.1, 0.3], [0.5, 0.8, 0.2], [0.6, 0.0, 0.7], [-1.0, 0.75, -1.0]])
    assert margins(three, [0, 1, 2]) == [Margin(0.9, 0.6, 0.3), Margin(0.8, 0.75, 0.5), Margin(0.7, 0.3, 0.6)]


def test_a_mean_redrawn_is_the_quotient_of_sums():
    rng = np.random.default_rng(0)
    names = [tuple(rng.choice(list("abcdefgh"), 2, replace=False)) for _ in range(30)]
    values, weights = rng.normal(size=30), resampled_by_speaker(names, rng, draws=200)
    assert redrawn(lambda places: float(values[places].mean()), weights) == pytest.approx(
        quotient(values, np.ones(30), weights)
    )


def test_a_correlation_redrawn_by_hand():
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])
    weights = np.array([[1, 1, 0, 2], [0, 0, 2, 0], [0, 1, 1, 0], [0, 0, 0, 0]])

    def correlation(places):
        return float(stats.spearmanr(x[places], y[places])[0]) if len(set(places)) > 1 else None

    assert redrawn(correlation, weights, level=1) == pytest.approx({"value": 0.8, "low": -1, "high": 1})
    assert redrawn(lambda places: None, weights) is None
