"""Statements below the tables of RESULTS.md, by hand."""

import itertools

import pytest

from wesep_mix.report.ahead import ahead_block, differences

MIXTURES = {"".join(pair): pair for pair in itertools.combinations("abcd", 2)}


def talkers(right):
    return {mix: dict.fromkeys(names, right) for mix, names in MIXTURES.items()}


def scores(gain):
    return [{"mix": mix, "speaker": name, "si_sdri": gain} for mix, names in MIXTURES.items() for name in names]


def test_rows_are_held_against_controls_and_separators_and_never_the_other_way_round():
    rows = {
        name: scores(gain) for name, gain in (("net", 5.0), ("mixture", 0.0), ("net/none", 1.0), ("net/random", 0.0))
    }
    rows |= {"net/oracle": scores(5.5), "tasnet/separated": scores(4.0), "other": scores(2.0)}
    found = differences({"student": talkers(True), "kmeans": talkers(False), "teacher/clean": talkers(True)}, rows)
    assert [(one["first"], one["second"]) for one in found["extraction"]] == [
        ("net", "net/none"),
        ("net", "net/oracle"),
        ("net", "tasnet/separated"),
        ("other", "tasnet/separated"),
    ]
    assert [one["difference"]["value"] for one in found["extraction"]] == pytest.approx([4, -0.5, 1, -2])
    (one,) = found["embeddings"]
    assert one["difference"] == {"value": 1, "low": 1, "high": 1} and one["mixtures"] == (6, 6) and one["speakers"] == 4


def test_a_statement_has_its_interval_and_a_verdict():
    rows = {"net": scores(5.0), "net/none": scores(1.0), "net/oracle": scores(5.5)}
    block = ahead_block(differences({}, rows)["extraction"], "extraction")
    assert (
        "- `net` is ahead of `net/none` in SI-SDRi: by +4.00 dB, 95 % interval +4.00 to +4.00 (6 mixtures of 4 "
        "speakers); holds.\n" in block
    )
    assert "`net/oracle` in SI-SDRi: by -0.50 dB, 95 % interval -0.50 to -0.50" in block and "does not hold.\n" in block
    assert "1000 draws" in block


def test_a_talker_who_was_not_scored_is_still_one_of_the_mixture():
    half = [row for row in scores(2.0) if row["speaker"] != "a"]
    (one,) = differences({}, {"net": scores(3.0), "net/none": half})["extraction"]
    assert one["paired"] and one["mixtures"] == (6, 6) and one["difference"]["value"] == pytest.approx(1)


def test_nothing_to_say_where_speakers_never_change_or_a_row_is_alone():
    always = [row for row in scores(1.0) if row["mix"] == "ab"]
    found = differences({"kmeans": talkers(True)}, {"net": always, "net/none": always})
    assert found["embeddings"] == [] and ahead_block(found["embeddings"], "embeddings") == ""
    assert "unknown, since the mixtures of a row all have the same speakers" in ahead_block(
        found["extraction"], "extraction"
    )
