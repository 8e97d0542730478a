"""Sessions: their rules, their levels, and ranges beside the whole."""

import dataclasses
from itertools import combinations, pairwise

import numpy as np
import pyloudnorm
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.mixing.activity import Activity
from wesep_mix.mixing.draw import Pool
from wesep_mix.mixing.draw_session import Regime, SessionConfig, draw_session
from wesep_mix.mixing.plan import Noise, Source
from wesep_mix.mixing.session import Bed, Session, read_sessions, render_range, write_sessions
from wesep_mix.preparation.activity import Crop, speech_frames, stretches_of
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry
from wesep_mix.preparation.settings import MixingConfig

RATE = 16000
SMALL = SessionConfig(length_s=(24.0, 30.0), turn_s=(0.6, 2.0), away_s=(4.0, 8.0))


@pytest.fixture(scope="module")
def talk(tmp_path_factory, buzz):
    """Five speakers of twenty-four utterances of 3 s, and two noises."""
    folder, rng = tmp_path_factory.mktemp("talk"), np.random.default_rng(0)
    speech = []
    for place, spk in enumerate(("ann", "bob", "cem", "dee", "eva")):
        for turn in range(24):
            samples, path = buzz(100 + 15 * place + turn, 3.0), folder / f"{spk}-{turn}.wav"
            write_audio(path, samples, subtype="FLOAT")
            spoken = stretches_of(speech_frames(samples))
            speech.append(SpeechEntry(f"{spk}-{turn}", spk, "F", str(path), (Crop(0, 1.0, -20.0),), spoken))
    noises = []
    for name in ("hum", "hiss"):
        samples = (0.1 * rng.standard_normal(20000)).clip(-1, 1).astype(np.float32)
        write_audio(folder / f"{name}.wav", samples, subtype="FLOAT")
        noises.append(NoiseEntry(name, str(folder / f"{name}.wav"), 20000))
    return Pool.of(speech, noises, MixingConfig(segment_s=1.0))


@pytest.fixture(scope="module")
def sessions(talk):
    """Eight of each regime, of two to five talkers."""
    return [draw_session(talk, SMALL, "test", regime, place, 0) for regime in SMALL.regimes for place in range(8)]


def turns_of(session, talker):
    return [source for source in session.sources if source.spk == talker]


def end(source):
    return source.offset + source.num_samples


def test_a_session_depends_on_its_seed_set_regime_and_number_alone(talk, sessions):
    again = draw_session(talk, SMALL, "test", "talk", 3, 0)
    assert again == sessions[11] and again.id == "talk-5-003"
    others = [("dev", "talk", 3, 0), ("test", "crowd", 3, 0), ("test", "talk", 7, 0), ("test", "talk", 3, 1)]
    assert all(draw_session(talk, SMALL, *other).sources != again.sources for other in others)


def test_each_talker_but_one_leaves_and_is_heard_before_and_after(sessions):
    """Each absence lasts as long as it should, and a talker may be silent for longer."""
    for session in sessions:
        silences = []
        for talker in session.talkers:
            own = turns_of(session, talker)
            silences.append(max((after.offset - end(before) for before, after in pairwise(own)), default=0))
        assert sum(silence >= 4.0 * RATE for silence in silences) >= len(session.talkers) - 1, session.id


def test_nobody_is_heard_twice_at_once_and_no_more_than_three_are(sessions):
    for session in sessions:
        for one, other in combinations(session.sources, 2):
            apart = end(one) <= other.offset or end(other) <= one.offset
            assert one.spk != other.spk or apart
        running = [
            sum(other.offset <= source.offset < end(other) for other in session.sources) for source in session.sources
        ]
        assert max(running) <= 3 and end(max(session.sources, key=end)) <= session.num_samples


def test_no_stretch_of_speech_is_heard_twice(sessions):
    for session in sessions:
        for one, other in combinations(session.sources, 2):
            if one.utt == other.utt:
                assert one.start + one.num_samples <= other.start or other.start + other.num_samples <= one.start


def test_regimes_differ_in_how_much_overlaps(sessions):
    def overlap(session):
        spoken = np.zeros(session.num_samples, dtype=int)
        for source in session.sources:
            spoken[source.offset : end(source)] += 1
        return (spoken > 1).mean()

    crowd, talk, sparse = (np.mean([overlap(one) for one in sessions if one.regime == name]) for name in SMALL.regimes)
    assert crowd > 0.3 > talk > 0.02 and sparse == 0


def test_turns_are_as_long_as_wanted_and_their_talkers_loudness_holds_but_for_two_decibels(sessions):
    for session in sessions:
        for talker in session.talkers:
            own = turns_of(session, talker)
            assert max(turn.lufs for turn in own) - min(turn.lufs for turn in own) <= 4.0
        for turn in session.sources:
            assert 0.6 * RATE <= turn.num_samples <= 2.0 * RATE
    turn = sessions[0].sources[0]
    samples = read_audio(turn.path, turn.start, turn.num_samples) * turn.gain
    assert pyloudnorm.Meter(RATE).integrated_loudness(samples.astype(np.float64)) == pytest.approx(turn.lufs, abs=0.05)


def test_any_range_is_the_same_as_that_of_the_whole_to_the_last_bit(sessions):
    rng = np.random.default_rng(1)
    for session in sessions[::3]:
        whole = render_range(session, 0, session.num_samples)
        for _ in range(4):
            start, stop = sorted(rng.integers(session.num_samples + 1, size=2).tolist())
            part = render_range(session, start, stop)
            assert np.array_equal(part.mix, whole.mix[start:stop])
            assert np.array_equal(part.sources, whole.sources[:, start:stop])
            assert np.array_equal(part.noise, whole.noise[start:stop])


def test_the_noise_has_its_snr_and_the_mixture_is_the_sum_of_all(sessions):
    for session in sessions[::5]:
        audio = render_range(session, 0, session.num_samples)
        speech = audio.sources.sum(0, dtype=np.float64)
        snr = 10 * np.log10(np.square(speech).sum() / np.square(audio.noise, dtype=np.float64).sum())
        assert snr == pytest.approx(session.beds[0].noise.snr_db, abs=0.01)
        assert np.allclose(audio.mix, speech + audio.noise, atol=1e-6)


def test_the_noise_changes_in_the_middle_where_it_shall(talk):
    regimes = {"talk": Regime(0.3, 0.35, shift=True)}
    session = draw_session(talk, dataclasses.replace(SMALL, regimes=regimes), "test", "talk", 0, 3)
    first, second = session.beds
    assert (first.first, second.end) == (0, session.num_samples) and first.end == second.first
    for bed in session.beds:
        audio = render_range(session, bed.first, bed.end)
        speech = audio.sources.sum(0, dtype=np.float64)
        snr = 10 * np.log10(np.square(speech).sum() / np.square(audio.noise, dtype=np.float64).sum())
        assert snr == pytest.approx(bed.noise.snr_db, abs=0.01)


def test_a_loud_session_is_scaled_as_a_whole(talk):
    loud = Pool.of([one for own in talk.speech.values() for one in own], talk.noises, MixingConfig(1.0, lufs=(-9, -8)))
    session = draw_session(loud, SMALL, "test", "crowd", 1, 0)
    assert session.scale < 1
    audio = render_range(session, 0, session.num_samples)
    assert np.abs(audio.mix).max() == pytest.approx(0.9, abs=1e-5)


def test_a_bed_starts_over_at_its_end(tmp_path):
    write_audio(tmp_path / "n.wav", np.arange(10, dtype=np.float32) / 10, subtype="FLOAT")
    write_audio(tmp_path / "s.wav", np.full(50, 0.5, dtype=np.float32), subtype="FLOAT")
    noise = Noise("n", str(tmp_path / "n.wav"), 7, 10, 0.0)
    turn = Source("u", "ann", "F", str(tmp_path / "s.wav"), 5, 4, 20, 0.5, -20.0)
    session = Session("x", "talk", 30, ("ann",), (turn,), (Bed(noise, 2, 28, 0.5),), 1.0)
    audio = render_range(session, 1, 30)
    wanted = np.zeros(30)
    wanted[2:28] = [0.05 * ((7 + place) % 10) for place in range(26)]
    assert np.allclose(audio.noise, wanted[1:])
    assert audio.sources[0].tolist() == [0.25 if 20 <= place < 24 else 0.0 for place in range(1, 30)]
    with pytest.raises(ValueError, match="0 to 30, found 3 to 31"):
        render_range(session, 3, 31)


def test_turns_of_a_talker_are_joined_over_short_pauses_and_short_ones_left_out():
    speech = ((0, 8000), (12000, 14000), (30000, 33000), (60000, 70000))  # pauses of 0.25 s, 1 s and 1.7 s
    entry = SpeechEntry("u", "ann", "F", "/u.wav", (Crop(0, 1.0, -20.0),), speech)
    turns = (
        Source("u", "ann", "F", "/u.wav", 0, 64000, 1000, 1.0, -20.0),  # the last stretch is cut to 0.25 s
        Source("u", "ann", "F", "/u.wav", 60000, 3000, 200000, 1.0, -20.0),  # 0.19 s
    )
    session = Session("x", "talk", 300000, ("ann", "bob"), turns, (), 1.0)
    assert Activity([entry]).turns(session) == {"ann": [(1000, 15000), (61000, 65000)], "bob": []}


def test_the_turns_are_where_talkers_sound(talk, sessions):
    activity = Activity([one for own in talk.speech.values() for one in own])
    for session in sessions[::6]:
        sources = render_range(session, 0, session.num_samples).sources
        for samples, talker in zip(sources, session.talkers, strict=True):
            spoken = np.zeros(session.num_samples, dtype=bool)
            for first, last in activity.turns(session)[talker]:
                spoken[first:last] = True
            power = np.square(samples, dtype=np.float64)
            assert power[spoken].sum() > 0.95 * power.sum()
            assert power[spoken].mean() > 20 * power[~spoken].mean()


def test_sessions_are_read_as_they_were_written(sessions, tmp_path):
    write_sessions(tmp_path / "test" / "session.jsonl", sessions)
    assert read_sessions(tmp_path / "test" / "session.jsonl") == sessions
    (tmp_path / "test" / "session.jsonl").write_text('{"id": "x", "sources": [], "beds": []}\n')
    with pytest.raises(UserError, match="session.jsonl, line 1: not a session"):
        read_sessions(tmp_path / "test" / "session.jsonl")


def test_what_cannot_be_drawn_is_told(talk):
    few = Pool.of(talk.speech["ann"], talk.noises, talk.config)
    with pytest.raises(UserError, match="wanted 2 speakers with 0 s of speech, found 1 in the test set"):
        draw_session(few, SMALL, "test", "talk", 0, 0)
    short = Pool.of([one for own in talk.speech.values() for one in own[:2]], talk.noises, talk.config)
    with pytest.raises(UserError, match="found no more of its talkers after"):
        draw_session(short, SMALL, "test", "talk", 0, 0)
    with pytest.raises(ValueError, match="deep and short of at most 1"):
        Regime(0.7, 0.4)
    with pytest.raises(ValueError, match="away_s"):
        SessionConfig(length_s=(30.0, 40.0))


def test_one_talker_alone_takes_turns_with_nobody(talk):
    alone = dataclasses.replace(SMALL, talkers=(1,))
    for regime in alone.regimes:
        session = draw_session(talk, alone, "test", regime, 0, 0)
        assert len(session.talkers) == 1
        for before, after in pairwise(session.sources):
            assert end(before) <= after.offset


def test_only_those_who_say_enough_are_in_sessions(talk):
    speech = [one for name, own in talk.speech.items() for one in own[: 24 if name in ("ann", "eva") else 6]]
    pool = Pool.of(speech, talk.noises, talk.config)
    config = dataclasses.replace(SMALL, talkers=(2,), least_speech_s=30.0)
    for place in range(4):
        assert draw_session(pool, config, "test", "talk", place, 0).talkers == ("ann", "eva")
    with pytest.raises(UserError, match="wanted 3 speakers with 30 s of speech, found 2 in the dev set"):
        draw_session(pool, dataclasses.replace(config, talkers=(3,)), "dev", "talk", 0, 0)


def test_a_talker_with_little_to_say_keeps_some_of_it_for_the_return(talk):
    """Two of the five have four utterances of 3 s: each is heard again, or the session is refused."""
    speech = [one for name, own in talk.speech.items() for one in own[: 4 if name in ("ann", "bob") else 24]]
    pool, drawn = Pool.of(speech, talk.noises, talk.config), 0
    for place in range(24):
        try:
            session = draw_session(pool, dataclasses.replace(SMALL, talkers=(3,)), "test", "talk", place, 0)
        except UserError:
            continue
        drawn += 1
        silences = [
            max((after.offset - end(before) for before, after in pairwise(turns_of(session, talker))), default=0)
            for talker in session.talkers
        ]
        assert sum(silence >= 4.0 * RATE for silence in silences) >= 2
    assert drawn > 12
