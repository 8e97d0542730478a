"""Rules, margins and intervals of recordings without sources, by hand; DNSMOS tables that go on where they stopped."""

import json
import math

import numpy as np
import pytest
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation import recordings
from wesep_mix.evaluation.recording_rules import (
    RULES,
    Known,
    chosen_rows,
    compare_rules,
    enrolment_cosines,
    margin_rows,
    margin_summary,
    mean_difference,
)
from wesep_mix.evaluation.recordings import Rating, level_db, rate_recordings, rate_speech, read_rows, write_rows
from wesep_mix.preparation.recordings import RecordingEntry


def row(recording, head, level, ovrl, before=2.0):
    return {
        "recording": recording,
        "head": head,
        "level_db": level,
        "ovrl": ovrl,
        "ovrl_input": before,
        "ovrl_diff": ovrl - before,
    }


ROWS = [row("a", 0, -3.0, 2.5), row("a", 2, -1.0, 1.5), row("b", 0, 0.0, 3.0), row("b", 1, -9.0, 3.5)]
KNOWN = Known({"a-0": 0.9, "a-2": 0.2}, {"a-0": 0.7, "a-2": 0.6, "b-0": 0.5, "b-1": 0.8})


@pytest.mark.parametrize(
    ("rule", "heads"),
    [
        ("loudest", {"a": 2, "b": 0}),
        ("present", {"a": 0, "b": 1}),
        ("best", {"a": 0, "b": 1}),
        ("enrolment", {"a": 0}),  # b has none
    ],
)
def test_each_rule_takes_one_talker_of_a_recording(rule, heads):
    assert {name: own["head"] for name, own in chosen_rows(ROWS, rule, KNOWN).items()} == heads


def test_the_mean_is_of_a_recordings_talkers_and_then_of_recordings():
    rows = [*ROWS, row("b", 2, -9.0, 2.5)]
    assert {name: own["ovrl"] for name, own in chosen_rows(rows, "mean", KNOWN).items()} == {"a": 2.0, "b": 3.0}
    assert compare_rules(rows, KNOWN, {"a": "1", "b": "2"}, 0)["mean"]["after"]["ovrl"] == 2.5


def test_rules_that_say_nothing_have_no_row():
    found = compare_rules(ROWS, Known({}, {}), {"a": "1", "b": "2"}, 0)
    assert list(found) == ["loudest", "mean", "best"] and set(RULES) - set(found) == {"present", "enrolment"}
    assert found["loudest"]["num"] == 2 and found["loudest"]["after"]["ovrl"] == pytest.approx((1.5 + 3.0) / 2)
    assert found["loudest"]["difference"]["ovrl"]["value"] == pytest.approx((-0.5 + 1.0) / 2)


def test_the_margin_is_that_of_the_nearest_talker_to_the_next():
    embeddings = {"a-0": np.array([1.0, 0.0]), "a-1": np.array([0.0, 2.0]), "a-2": np.array([3.0, 4.0])}
    cosines = enrolment_cosines(embeddings, {"a": ["a-0", "a-1", "a-2"]}, {"a": np.array([2.0, 0.0])})
    assert cosines == pytest.approx({"a-0": 1.0, "a-1": 0.0, "a-2": 0.6})
    rows = [row("a", 0, -3.0, 2.5), row("a", 1, -1.0, 1.0), row("a", 2, -2.0, 2.25), row("b", 0, 0.0, 3.0)]
    (found,) = margin_rows(rows, "loudest", Known(cosines, {}))
    assert found == pytest.approx(
        {
            "recording": "a",
            "margin": 0.4,
            "cos_first": 1.0,
            "cos_second": 0.6,
            "picked": 0,
            "same": 0.0,
            "ovrl_diff": 0.5,
            "ovrl_diff_rule": -1.0,
        }
    )


def test_one_talker_has_no_margin_and_is_counted():
    rows = [row("a", 0, -3.0, 2.5), row("b", 0, -1.0, 1.0), row("b", 1, -2.0, 2.0)]
    margins = margin_rows(rows, "loudest", Known({"a-0": 0.5, "b-0": 0.4, "b-1": 0.1}, {}))
    assert math.isnan(margins[0]["margin"]) and margins[1]["margin"] == pytest.approx(0.3)
    found = margin_summary(margins, 0)
    assert (found["num"], found["with_margin"], found["same"]) == (2, 1, 1.0)
    assert found["margin"] == pytest.approx(0.3) and found["rank"] == {"ovrl_diff": None, "ovrl_diff_rule": None}
    assert margin_summary(margin_rows(rows, "mean", Known({"a-0": 0.5}, {})), 0)["same"] is None


def test_margins_go_with_gains_from_ten_recordings_on():
    rows = [
        {"recording": str(n), "margin": n / 10, "same": 1.0, "ovrl_diff": n**2, "ovrl_diff_rule": -n} for n in range(10)
    ]
    found = margin_summary(rows, 0)["rank"]
    assert found["ovrl_diff"] == pytest.approx({"value": 1.0, "low": 1.0, "high": 1.0})
    assert found["ovrl_diff_rule"]["value"] == pytest.approx(-1.0)
    assert margin_summary(rows[:9], 0)["rank"]["ovrl_diff"] is None


def test_clips_of_one_file_are_drawn_together():
    rows = [{"recording": name, "d": value} for name, value in (("a-1", 1.0), ("a-2", 1.0), ("b", -1.0))]
    found = mean_difference(rows, "d", {"a-1": "a.wav", "a-2": "a.wav", "b": "b.wav"}, seed=0)
    assert found == {
        "value": pytest.approx(1 / 3),
        "low": -1.0,
        "high": 1.0,
    }  # of two files: both, or one of them twice
    assert mean_difference(rows[:2], "d", {"a-1": "a.wav", "a-2": "a.wav"}, seed=0) == {"value": 1.0}


def test_levels_are_in_db_of_the_recordings_power():
    mix = np.ones(100)
    assert level_db(0.1 * mix, mix) == pytest.approx(-20.0)
    assert level_db(0 * mix, mix) == -120.0 and level_db(mix, 0 * mix) > 0


def test_tables_are_read_back_with_empty_cells(tmp_path):
    write_rows(tmp_path / "a.csv", [{"recording": "x", "head": 1, "margin": float("nan"), "sig": 1.25}])
    (found,) = read_rows(tmp_path / "a.csv")
    assert math.isnan(found.pop("margin")) and found == {"recording": "x", "head": 1, "sig": 1.25}
    (tmp_path / "a.csv").write_text("recording,head\nx,one\n")
    with pytest.raises(UserError, match="a.csv: not a table of scores"):
        read_rows(tmp_path / "a.csv")


@pytest.fixture
def clips(tmp_path, monkeypatch):
    """Three recordings with a talker each, and DNSMOS's stand-in, which counts its calls."""
    rated = []
    rng = np.random.default_rng(0)

    def stand_in(wavs):
        (wav,) = wavs
        rated.append(len(wav))
        return [{"sig": float(np.abs(wav).max()), "bak": 2.0, "ovrl": float(wav[0]), "p808": 3.0}]

    monkeypatch.setattr(recordings, "dnsmos", stand_in)
    entries = []
    for name in "abc":
        wav = 0.1 * rng.standard_normal(16000)
        soundfile.write(tmp_path / f"{name}.wav", wav, 16000)
        soundfile.write(tmp_path / f"{name}-0.wav", wav / 2, 16000)
        entries.append(RecordingEntry(name, str(tmp_path / f"{name}.wav"), 0, 16000, 16000))
    return entries, rated


def test_a_stopped_rating_goes_on_and_gives_the_same_table(clips, tmp_path):
    entries, rated = clips
    rate_recordings(entries, "mix", tmp_path / "whole", 1)
    rate_recordings(entries[:2], "mix", tmp_path / "part", 1)
    (tmp_path / "stopped").mkdir()
    lines = [recordings._rate("mix", Rating(entry.id, entry)) for entry in entries[:1]]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (tmp_path / "stopped" / "rated.jsonl").write_text(text + '{"id":"b","lev')  # killed while it wrote
    rated.clear()
    rate_recordings(entries, "mix", tmp_path / "stopped", 1)
    assert len(rated) == 2
    names = ("scores.csv", "summary.json")
    assert [(tmp_path / "stopped" / name).read_bytes() for name in names] == [
        (tmp_path / "whole" / name).read_bytes() for name in names
    ]
    assert sorted(path.name for path in (tmp_path / "stopped").iterdir()) == list(names)


def test_speech_is_compared_with_its_recording_in_every_scale_that_there_is(clips, tmp_path):
    entries, _ = clips
    rate_recordings(entries, "mix", tmp_path / "input", 1)
    ratings = [Rating(f"{entry.id}-0", entry, tmp_path / f"{entry.id}-0.wav") for entry in entries]
    rate_speech(ratings, tmp_path / "input" / "scores.csv", "mix", tmp_path / "out", 1)
    found = read_rows(tmp_path / "out" / "scores.csv")
    assert list(found[0]) == [
        "recording", "head", "level_db", "sig", "bak", "ovrl", "p808", "sig_input", "bak_input", "ovrl_input",
        "p808_input", "sig_diff", "bak_diff", "ovrl_diff", "p808_diff",
    ]  # fmt: skip
    for one in found:
        assert one["level_db"] == pytest.approx(-6.02, abs=0.01)
        assert one["sig_diff"] == pytest.approx(one["sig"] - one["sig_input"], abs=2e-6) and one["sig_diff"] < 0


def test_a_missing_or_cut_wav_is_told_or_left_out_and_counted(clips, tmp_path):
    entries, _ = clips
    rate_recordings(entries, "mix", tmp_path / "input", 1)
    ratings = [Rating(f"{entry.id}-0", entry, tmp_path / f"{entry.id}-0.wav") for entry in entries]
    soundfile.write(tmp_path / "b-0.wav", np.zeros(15999), 16000)
    arguments = (ratings, tmp_path / "input" / "scores.csv", "mix", tmp_path / "out", 1)
    with pytest.raises(UserError, match=r"b-0.wav: wanted 16000 samples as in the recording, found 15999; redo stage"):
        rate_speech(*arguments)
    rate_speech(*arguments, max_bad=1)
    assert [one["recording"] for one in read_rows(tmp_path / "out" / "scores.csv")] == ["a", "c"]
    assert '"num_bad": 1' in (tmp_path / "out" / "summary.json").read_text()
