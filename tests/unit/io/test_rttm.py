import itertools

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.io.rttm import Segment, read_rttm, read_uem, write_rttm, write_uem

RTTM = """;; made by hand
SPKR-INFO one 1 <NA> <NA> <NA> unknown ann <NA> <NA>
SPEAKER two 1 0.5 1.25 <NA> <NA> bob <NA> <NA>

SPEAKER\tone 1  0.1 0.2 <NA> <NA> ann 0.9
SPEAKER one 1 0.30 12 <NA> <NA> bob <NA> <NA>
SPEAKER one 1 3 0.000 <NA> <NA> cat <NA> <NA>
"""


def test_segments_by_hand(tmp_path):
    (tmp_path / "a.rttm").write_text(RTTM)
    found = read_rttm(tmp_path / "a.rttm")
    assert found == {
        "two": [Segment(0.5, 1.75, "bob")],
        "one": [Segment(0.1, 0.3, "ann"), Segment(0.3, 12.3, "bob")],  # they touch, and 0.1 + 0.2 is more than 0.3
    }
    assert found["two"][0].speaker == "bob" and found["two"][0].end_s == 1.75


def test_what_is_written_by_hand(tmp_path):
    write_rttm(tmp_path / "a.rttm", {"b": [(2, 3.5, "x"), Segment(0.25, 1.0, "y")], "a": [], "B": [(0, 1, "x")]})
    assert (tmp_path / "a.rttm").read_text().splitlines() == [
        "SPEAKER B 1 0.000000 1.000000 <NA> <NA> x <NA> <NA>",
        "SPEAKER b 1 0.250000 0.750000 <NA> <NA> y <NA> <NA>",
        "SPEAKER b 1 2.000000 1.500000 <NA> <NA> x <NA> <NA>",
    ]
    write_uem(tmp_path / "a.uem", {"b": [(2, 3), (0, 1.5)]})
    assert (tmp_path / "a.uem").read_text().splitlines() == ["b 1 0.000000 1.500000", "b 1 2.000000 3.000000"]


def test_segments_come_back_to_the_microsecond_and_touch_as_before(tmp_path):
    rng = np.random.default_rng(0)
    edges = np.cumsum(rng.uniform(0.01, 5, 200))
    segments = [
        (float(start), float(end), "ab"[place % 2]) for place, (start, end) in enumerate(itertools.pairwise(edges))
    ]
    write_rttm(tmp_path / "a.rttm", {"é": segments})
    found = read_rttm(tmp_path / "a.rttm")["é"]
    assert [one.speaker for one in found] == [speaker for *_, speaker in segments]
    assert np.allclose([one[:2] for one in found], [one[:2] for one in segments], rtol=0, atol=1e-6)
    assert all(one.end_s == other.start_s for one, other in itertools.pairwise(found))


def test_stretches_come_back(tmp_path):
    stretches = {"one": [(0.0, 12.5), (20.25, 30.0)], "two": [(1.5, 2.0)]}
    write_uem(tmp_path / "a.uem", stretches)
    assert read_uem(tmp_path / "a.uem") == stretches
    (tmp_path / "a.uem").write_text(";; recording channel start end\none\t1 0.000 12.5\none 1 20.25 30\ntwo A 1.5 2\n")
    assert read_uem(tmp_path / "a.uem") == stretches


def test_an_empty_file_has_no_recordings(tmp_path):
    write_rttm(tmp_path / "a", {})
    assert read_rttm(tmp_path / "a") == read_uem(tmp_path / "a") == {}


SPEAKER = "SPEAKER one 1 {} {} <NA> <NA> ann <NA> <NA>\n"


@pytest.mark.parametrize(
    "text, said",
    [
        ("SPEAKER one 1 0 1 <NA> <NA>\n", "line 1: wanted `SPEAKER recording .*found 'SPEAKER one 1 0 1 <NA> <NA>'"),
        ("SPEAKER one 1 0 1 <NA> <NA> ann lee <NA> <NA>\n", "line 1: wanted `SPEAKER"),
        ("\n;; comment\none 1 0 5\n", "line 3: wanted `SPEAKER .*found 'one 1 0 5'"),
        ("NOSCORE one 1 0 1 <NA> <NA> <NA> <NA>\n", "line 1: wanted `SPEAKER"),
        (SPEAKER.format(0, 1) + SPEAKER.format("<NA>", 1), "line 2: wanted seconds, 0 or more, found '<NA>'"),
        (SPEAKER.format(-1, 1), "line 1: wanted seconds, 0 or more, found '-1'"),
        (SPEAKER.format(0, -1), "line 1: wanted seconds, 0 or more, found '-1'"),
        (SPEAKER.format(0, "inf"), "line 1: wanted seconds, 0 or more, found 'inf'"),
        (SPEAKER.format(0, 1) + SPEAKER.format(0, 1).replace("one 1", "one 2"), "line 2: .*found 1 and 2 of one"),
    ],
)
def test_a_bad_line_of_segments_is_named(tmp_path, text, said):
    (tmp_path / "a.rttm").write_text(text)
    with pytest.raises(UserError, match=f"a.rttm, {said}"):
        read_rttm(tmp_path / "a.rttm")


@pytest.mark.parametrize(
    "text, said",
    [
        ("one 1 0\n", "line 1: wanted `recording channel start end`, found 'one 1 0'"),
        ("one 1 0 5\n\none 1 x 5\n", "line 3: wanted seconds, 0 or more, found 'x'"),
        ("one 1 5 5\n", "line 1: wanted an end after the start, found 5 5"),
        ("one 1 0 5\none 2 0 5\n", "line 2: wanted one channel a recording, found 1 and 2 of one"),
    ],
)
def test_a_bad_line_of_stretches_is_named(tmp_path, text, said):
    (tmp_path / "a.uem").write_text(text)
    with pytest.raises(UserError, match=f"a.uem, {said}"):
        read_uem(tmp_path / "a.uem")


@pytest.mark.parametrize("read", [read_rttm, read_uem])
def test_what_is_no_text_is_named(tmp_path, read):
    with pytest.raises(UserError, match="a: no such file"):
        read(tmp_path / "a")
    (tmp_path / "a").write_bytes("SPEAKER é".encode("latin-1"))
    with pytest.raises(UserError, match="byte 8 is not UTF-8; save it as UTF-8"):
        read(tmp_path / "a")


@pytest.mark.parametrize(
    "segments, said",
    [
        ({"a b": [(0, 1, "x")]}, "names without blanks, found recording 'a b', speaker 'x'"),
        ({"a": [(0, 1, "slot 1")]}, "speaker 'slot 1'"),
        ({"a": [(0, 1, "")]}, "speaker ''"),
        ({"a": [(1, 1, "x")]}, "a: wanted a start from 0 s and an end after it, found 1 and 1"),
        ({"a": [(-1, 1, "x")]}, "found -1 and 1"),
        ({"a": [(0, float("nan"), "x")]}, "found 0 and nan"),
    ],
)
def test_what_cannot_be_read_again_is_not_written(tmp_path, segments, said):
    with pytest.raises(UserError, match=said):
        write_rttm(tmp_path / "out", segments)
    assert list(tmp_path.iterdir()) == []
    if "speaker" not in said:
        with pytest.raises(UserError, match=said):
            write_uem(tmp_path / "out", {name: [one[:2] for one in rows] for name, rows in segments.items()})
