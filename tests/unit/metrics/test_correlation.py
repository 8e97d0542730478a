import numpy as np
import pytest

from wesep_mix.metrics.correlation import rank_correlation


def test_the_rank_correlation_is_spearmans():
    """By hand: ranks 1 2 3 4 and 2 1 3 4 differ by 1, 1, 0, 0; 1 - 6 * 2 / (4 * 15) = 0.8. Values do not matter."""
    first, second = np.array([1.0, 5.0, 6.0, 100.0]), np.array([0.2, 0.1, 7.0, 7.5])
    assert rank_correlation(first, second) == pytest.approx(0.8)
    assert rank_correlation(first, -second) == pytest.approx(-0.8)


def test_where_one_does_not_vary_there_is_none():
    ones, rising = np.ones(3), np.arange(3.0)
    assert rank_correlation(ones, rising) is None and rank_correlation(rising, ones) is None
    assert rank_correlation(rising[:1], rising[:1]) is None
