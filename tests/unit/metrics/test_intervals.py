import numpy as np
import pytest
from scipy import stats

from wesep_mix.base.errors import UserError
from wesep_mix.metrics.intervals import bootstrap, mean, paired_bootstrap, pooled

pytestmark = pytest.mark.filterwarnings("error")


def test_it_is_that_of_scipy():
    values = np.random.default_rng(0).gamma(2.0, size=20)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert bootstrap(values, seed=2, num=20000) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_ratios_are_those_of_scipy():
    rng = np.random.default_rng(0)
    whole = rng.integers(1, 9, 15)
    part = rng.binomial(whole, 0.7)
    theirs = stats.bootstrap(
        (part, whole),
        lambda part, whole, axis: part.sum(axis) / whole.sum(axis),
        n_resamples=20000,
        method="percentile",
        paired=True,
        confidence_level=0.8,
        rng=np.random.default_rng(1),
    )
    expected = (theirs.confidence_interval.low, theirs.confidence_interval.high)
    assert bootstrap(np.stack([part, whole], 1), seed=2, num=20000, level=0.8) == pytest.approx(expected, abs=0.01)


def test_by_hand():
    # the mean of two draws out of 0 and 1 is 0, 0.5, 0.5 or 1
    assert bootstrap([0, 1], seed=0) == (0.0, 1.0)
    assert bootstrap([0, 1], seed=0, level=0.3) == (0.5, 0.5)
    # of 1 / 2 and 3 / 3 it is 1 / 2, 4 / 5 or 1, not a mean of the two
    assert bootstrap([(1, 2), (3, 3)], seed=0) == (0.5, 1.0)
    assert bootstrap([(1, 2), (3, 3)], seed=0, level=0.3) == (0.8, 0.8)


def test_the_interval_is_as_wide_as_the_standard_error_says():
    values = np.random.default_rng(0).standard_normal(400)
    low, high = bootstrap(values, seed=0, num=4000)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)
    narrow = bootstrap(values, seed=0, num=4000, level=0.5)
    assert low < narrow[0] < values.mean() < narrow[1] < high


def test_sessions_are_drawn_not_numerators():
    # both sessions have the ratio 1/3, so every draw has
    assert bootstrap([(1, 3), (10, 30), (2, 6)], seed=0) == pytest.approx((1 / 3, 1 / 3))


def test_another_statistic():
    values = np.arange(9.0)
    low, high = bootstrap(values, seed=0, statistic=np.median)
    assert low in values and high in values and low < 4 < high
    assert bootstrap(values, seed=0, statistic=lambda rows: None) is None


def test_what_is_not_defined_is_left_out():
    assert bootstrap([0.2, None, 0.9, float("nan"), 0.4], seed=0) == bootstrap([0.2, 0.9, 0.4], seed=0)
    assert bootstrap([(1, 2), (None, None), (3, 3)], seed=0) == bootstrap([(1, 2), (3, 3)], seed=0)
    # a session without returns is one all the same; a draw of it alone has no ratio
    assert bootstrap([(1, 2), (0, 0)], seed=0) == (0.5, 0.5)
    assert paired_bootstrap([1, 5, None, 3], [0, 3, 9, None], seed=0) == bootstrap([1, 2], seed=0)


@pytest.mark.parametrize("values", [[], [0.5], [None, 0.5], [(1, 2)], [(0, 0), (0, 0)], np.zeros((0, 2))])
def test_too_few_sessions_have_no_interval(values):
    assert bootstrap(values, seed=0) is None


def test_no_sessions_have_no_difference():
    assert paired_bootstrap([], [], seed=0) is None
    assert paired_bootstrap([1], [2], seed=0) is None


def test_equal_sessions_are_sure():
    assert bootstrap([0.7] * 5, seed=0) == pytest.approx((0.7, 0.7))


def test_the_difference_is_surer_than_its_parts():
    hard = np.random.default_rng(0).uniform(0, 1, 20)
    first, second = hard + 0.1, hard
    assert paired_bootstrap(first, second, seed=0) == pytest.approx((0.1, 0.1))
    assert paired_bootstrap(second, first, seed=0) == pytest.approx((-0.1, -0.1))
    low, high = bootstrap(first, seed=0)
    assert high - low > 0.1


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).standard_normal(12)
    assert bootstrap(values, seed=4) == bootstrap(values, seed=4) != bootstrap(values, seed=5)


def test_point_estimates_by_hand():
    assert mean(np.array([1.0, 2.0, 6.0])) == 3.0
    assert pooled(np.array([(1, 2), (3, 3)])) == 0.8
    assert pooled(np.array([(0, 0), (0, 0)])) is None


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: bootstrap(np.ones((3, 3)), seed=0), r"found \(3, 3\)"),
        (lambda: bootstrap(1.0, seed=0), r"found \(\)"),
        (lambda: bootstrap([1.0, np.inf], seed=0), "found 1 infinite"),
        (lambda: bootstrap([1.0, 2.0], seed=0, level=95), "found 1000 and 95"),
        (lambda: bootstrap([1.0, 2.0], seed=0, num=0), "found 0 and 0.95"),
        (lambda: paired_bootstrap([1.0, 2.0], [1.0], seed=0), r"found \(2,\) and \(1,\)"),
        (lambda: paired_bootstrap(np.ones((2, 2)), np.ones((2, 2)), seed=0), r"two values of each session"),
    ],
)
def test_what_has_no_interval_is_named(call, said):
    with pytest.raises(UserError, match=said):
        call()
