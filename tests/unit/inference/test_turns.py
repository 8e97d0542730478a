"""Who speaks when by what was extracted: worked out by hand."""

import numpy as np
import pytest

from wesep_mix.inference import turns
from wesep_mix.inference.turns import turns_of
from wesep_mix.inference.voice import FRAME

RATE = 16000


@pytest.fixture(autouse=True)
def all_speech(monkeypatch):
    monkeypatch.setattr(turns, "voice_frames", lambda mix: np.ones(-(-len(mix) // FRAME), dtype=bool))


def loud(*levels):
    """Ten frames at each level."""
    return np.repeat(np.array(levels, dtype=np.float32), 10 * FRAME)


def frames(found):
    return [tuple(round(edge * RATE / FRAME, 1) for edge in turn) for turn in found]


def test_a_talker_speaks_with_a_good_part_of_the_power():
    """Of power 1 and 0.25, 0.2 is the second's; of 1 and 0.64 it is 0.39; of the mean of 3 and 4 such frames 0.32."""
    one, other = turns_of(loud(1, 1, 1, 0), [loud(1, 1, 1, 0), loud(0, 0.5, 0.8, 0)])
    assert frames(one) == [(0.0, 33.0)]  # powers are means of seven frames
    assert [round(edge) for edge in frames(other)[0]] == [20, 33] and len(other) == 1


def test_without_voice_activity_nobody_speaks(monkeypatch):
    def voiced(mix):
        return np.arange(40) < 16

    monkeypatch.setattr(turns, "voice_frames", voiced)
    assert [frames(own) for own in turns_of(loud(1, 1, 1, 1), [loud(1, 1, 1, 1), loud(0, 0, 1, 1)])] == [[(0, 16)], []]


def test_a_short_pause_is_part_of_the_turn(monkeypatch):
    def voiced(mix):
        return ~np.isin(np.arange(60), [*range(10, 19), *range(30, 40)])  # nine frames are 0.29 s, ten 0.32 s

    monkeypatch.setattr(turns, "voice_frames", voiced)
    assert frames(turns_of(loud(*[1] * 6), [loud(*[1] * 6)])[0]) == [(0, 30), (40, 60)]


def test_turns_end_with_the_recording_and_silence_has_none():
    mix = np.ones(3 * RATE + 5, dtype=np.float32)
    assert turns_of(mix, [mix, 0 * mix]) == [((0.0, (3 * RATE + 5) / RATE),), ()]
    assert turns_of(mix, []) == []
    for other in (mix[: -2 * FRAME], np.pad(mix, (0, 2 * FRAME))):  # resampling may give other ends
        assert turns_of(mix, [other])[0][0][0] == 0.0


def test_long_recordings_give_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    speeches = [rng.standard_normal(300 * FRAME + 77).astype(np.float32) for _ in range(3)]
    speeches[0][50 * FRAME : 150 * FRAME] *= 3
    whole = turns_of(sum(speeches), speeches)
    monkeypatch.setattr(turns, "BLOCK", 13)
    assert turns_of(sum(speeches), speeches) == whole and any(whole)
