"""Tracks of recordings against a reference, by hand."""

import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.tracked_sets import pooled, score_recording
from wesep_mix.io.rttm import Segment

REFERENCE = [Segment(0, 4, "ann"), Segment(3, 8, "bob"), Segment(20, 30, "cem")]
FOUND = [Segment(0, 5, "talker-1"), Segment(5, 8, "talker-2")]


def test_only_what_is_scored_counts():
    row = score_recording("x", FOUND, REFERENCE, [(0.0, 10.0)])
    assert (row["talkers"], row["found"]) == (2, 2)
    assert row["der"] == {"miss": 1.0, "false_alarm": 0.0, "confusion": 1.0, "total": 9.0, "der": pytest.approx(2 / 9)}
    assert row["der_collar"]["total"] < 9
    assert score_recording("x", FOUND, REFERENCE, [(0.0, 40.0)])["der"]["miss"] == 11.0


def test_recordings_are_pooled_by_seconds():
    rows = [score_recording("x", FOUND, REFERENCE, [(0.0, 10.0)]), score_recording("y", [], REFERENCE, [(20.0, 30.0)])]
    found = pooled(rows)
    assert found["der"] == pytest.approx((2 + 10) / 19) and found["miss"] == pytest.approx(11 / 19)
    assert (found["recordings"], found["count"], found["count_error"]) == (2, 0.5, 0.5)
    silent = pooled([score_recording("z", FOUND, [], [(0.0, 10.0)])])
    assert silent["der"] is None and silent["count_error"] == 2
    with pytest.raises(UserError, match="found none"):
        pooled([])
