import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.tables.statements import over_seeds


def test_mean_and_deviation_of_the_sample():
    runs = [{"student": {"acc": acc, "num": 10}} for acc in (0.5, 0.6, 0.9)]
    assert over_seeds(runs) == {
        "student": {
            "acc": {"mean": pytest.approx(2 / 3), "std": pytest.approx(np.std([0.5, 0.6, 0.9], ddof=1))},
            "num": {"mean": 10, "std": 0},
            "num_seeds": 3,
        }
    }
    assert over_seeds(runs[:2])["student"]["acc"]["std"] == pytest.approx(0.1 / np.sqrt(2))


def test_one_run_has_no_deviation():
    assert over_seeds([{"a": {"acc": 0.5}}]) == {"a": {"acc": {"mean": 0.5, "std": None}, "num_seeds": 1}}


def test_a_row_counts_where_it_is():
    found = over_seeds([{"a": {"acc": 1.0}}, {"b": {"acc": 0.0}, "a": {"acc": 0.0}}])
    assert list(found) == ["a", "b"]
    assert [found[name]["num_seeds"] for name in "ab"] == [2, 1]
    assert over_seeds([]) == {}


def test_runs_of_a_row_that_do_not_fit_are_named():
    runs = [{"a": {"acc": 1.0}}, {"a": {"acc": 0.0, "min_dcf": 1.0}}]
    for given in (runs, runs[::-1]):
        with pytest.raises(UserError, match="row a: min_dcf in some of its 2 runs only"):
            over_seeds(given)
