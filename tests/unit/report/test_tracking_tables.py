"""Tables of tracking over sessions and seeds, by hand."""

import numpy as np
import pytest

from wesep_mix.report.tracking import (
    MEASURES,
    ahead,
    by_session,
    chosen,
    gaps_table,
    rows_table,
    session_plot,
    summary,
)


def scored(session, regime="talk", num_talkers=2, idf1=0.5, errors=(1, 2, 3, 10), returns=(1, 2), final=0):
    """A session's measures; errors: miss, false alarm, confusion, number of cells."""
    counts = dict(zip(("miss", "false_alarm", "confusion", "num"), errors, strict=True))
    der = {"miss": 1.0, "false_alarm": 0.5, "confusion": 0.5, "total": 10.0}
    return {
        "session": session,
        "regime": regime,
        "num_talkers": num_talkers,
        "errors": counts | {"correct": errors[3] - errors[0] - errors[2]},
        "returns": {"5-15": (0, 0), "15-45": returns, "45+": (0, 1), "15+": (returns[0], returns[1] + 1)},
        "known_returns": {"5-15": (0, 0), "15-45": returns, "45+": (0, 0), "15+": returns},
        "count": {"mean_abs": 0.5, "final": final, "exact": int(final == 0)},
        "identity": {"idf1": idf1, "switches_per_min": 1.0, "purity": 0.9, "coverage": 0.8},
        "der": der,
        "der_collar": der,
    }


def test_a_session_is_the_unit_and_seeds_are_averaged_in_it():
    rows = [scored("a", idf1=0.4), scored("b", idf1=0.9), scored("a", idf1=0.6), scored("b", idf1=None)]
    assert by_session(rows, MEASURES["idf1"]).tolist() == pytest.approx([0.5, 0.9])
    assert summary(rows)["idf1"]["value"] == pytest.approx(0.7) and summary(rows)["idf1"]["num"] == 2
    undefined = [scored("a", idf1=None), scored("b", idf1=0.2)]
    assert np.isnan(by_session(undefined, MEASURES["idf1"])[0]) and summary(undefined)["idf1"]["value"] == 0.2


def test_shares_are_of_sums():
    rows = [scored("a", errors=(1, 0, 0, 10)), scored("b", errors=(0, 5, 4, 90)), scored("a", errors=(0, 0, 0, 20))]
    assert by_session(rows, MEASURES["error"]).tolist() == [[1, 30], [9, 90]]
    found = summary(rows)["error"]
    assert found["value"] == pytest.approx(10 / 120) and found["num"] == 120 and found["low"] <= found["value"]
    assert summary(rows)["der"]["value"] == pytest.approx(0.2)
    assert summary(rows)["reid"] == summary(rows)["reid"] | {"value": 0.5 * 2 / 3, "num": 9}


def test_a_count_that_is_off_by_one_is_near():
    rows = [scored("a", final=0), scored("b", final=-1), scored("c", final=2)]
    found = summary(rows)
    assert (found["exact"]["value"], found["near"]["value"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_sessions_are_chosen_by_regime_and_talkers():
    rows = [scored("a", "talk", 2), scored("b", "crowd", 3), scored("c", "crowd", 5)]
    assert [one["session"] for one in chosen(rows, "crowd")] == ["b", "c"]
    assert [one["session"] for one in chosen(rows, talkers="2-3")] == ["a", "b"]
    assert [one["session"] for one in chosen(rows, "crowd", "4-5")] == ["c"]


def test_the_table_has_values_with_their_intervals_or_a_dash():
    rows = {"one": [scored("a", idf1=0.25), scored("b", idf1=0.75)], "other": [scored("a", returns=(0, -1))]}
    table = rows_table(rows, {"one": "first", "other": "second"}, ("idf1", "reid", "count"))
    assert table.header == ["row", "IDF1 %", "again %", "count error"]
    assert table.rows == [
        ["first", "50.0 (25.0-75.0)", "33.3 (33.3-33.3)", "0.50 (0.50-0.50)"],
        ["second", "50.0", "-", "0.50"],
    ]


def test_returns_are_told_by_regime_talkers_and_whether_they_were_known():
    table = gaps_table([scored("a"), scored("b", num_talkers=4)])
    assert table.header == ["returns", "away 5-15 s", "away 15-45 s", "away 45+ s", "away 15+ s"]
    assert table.rows[0] == ["talk, 2-3 talkers, all", "-", "50 % of 2", "0 % of 1", "33 % of 3"]
    assert table.rows[3] == ["talk, 4-5 talkers, known", "-", "50 % of 2", "-", "50 % of 2"]


def test_a_row_is_ahead_by_the_difference_of_the_same_sessions():
    rows = {
        "good": [scored(str(k), idf1=0.5 + 0.01 * k) for k in range(20)],
        "bad": [scored(str(k), idf1=0.4 + 0.01 * k) for k in range(20)],
    }
    difference, (low, high) = ahead(rows, "good", "bad", ["talk"])
    assert difference == pytest.approx(0.1) and low == pytest.approx(0.1) and high == pytest.approx(0.1)
    assert ahead(rows, "bad", "good", ["talk"])[0] == pytest.approx(-0.1)


def test_a_timeline_is_a_picture(tmp_path):
    turns = {"ann": [(0.0, 4.0), (6.0, 8.0)], "bob": [(3.0, 7.0)]}
    session_plot(turns, {"slot 0": [(0.0, 4.0)], "slot 1": []}, [(2.5, "new 0")], "x", tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
