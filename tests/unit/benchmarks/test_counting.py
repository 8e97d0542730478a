"""benchmarks/counting.py: the count by a threshold, against a case worked by hand."""

import importlib.util

import numpy as np
import pytest
from places import ROOT


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("counting", ROOT / "benchmarks" / "counting.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_counts_and_their_threshold_by_hand(script):
    """One talker: heads at 3 and .6; two talkers: 3 and 1.1, and 3 and -1, which no threshold from .6 can mend."""
    one = np.array([[3.0, 0.6, -5.0]])
    two = np.array([[3.0, 1.1, -5.0], [-5.0, 3.0, -1.0]])
    assert script.counts_right([one, two], [1, 2], 0.0) == [0.0, 0.5]
    assert script.best_threshold([one, two], [1, 2]) == 0.75
    assert script.counts_right([one, two], [1, 2], 0.75) == [1.0, 0.5]
    assert script.counts_right([one], [1], 3.0) == [0.0]
