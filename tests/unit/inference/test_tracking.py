"""Talkers followed window by window: by students and memories that say what they are told to, and by a real one."""

import dataclasses
import io
import json

import numpy as np
import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.inference.tracked_recordings import clock, line_of, rttm
from wesep_mix.inference.tracking import Account, TalkerEvent, Tracker, follow, memory_config
from wesep_mix.matching.speaker_set import SpeakerSet
from wesep_mix.memory import online
from wesep_mix.memory.observing import NOBODY, Event, Observed
from wesep_mix.models.folder import UseConfig
from wesep_mix.models.frontends import logmel
from wesep_mix.models.students import parallel_heads

RATE = 16000
USE = UseConfig(window_s=2.0, hop_s=1.0, presence=0.5, join=0.0)
VOICES = np.eye(4, dtype=np.float32)


class Student(torch.nn.Module):
    """Hears in its n-th window the voices of the n-th item of its script; two heads, which change places."""

    def __init__(self, *script, with_presence=True):
        super().__init__()
        self.script, self.calls, self.with_presence = script, 0, with_presence

    def forward(self, mix, num_samples=None):
        assert mix.shape[0] == 1
        voices = list(self.script[self.calls]) if self.calls < len(self.script) else []
        found = torch.from_numpy(VOICES[[*voices, 3, 3][:2]])[None]
        logits = torch.tensor([[5.0] * len(voices) + [-5.0] * (2 - len(voices))])
        turn = self.calls % 2
        self.calls += 1
        return SpeakerSet(found.roll(turn, 1), logits.roll(turn, 1) if self.with_presence else None)


class Memory:
    """Answers with the items of its script: labels, events and the slots that are confirmed by then."""

    def __init__(self, *script):
        self.script, self.asked, self.confirmed, self.known = script, [], (), set()

    def observe(self, embeddings, presence, time_s):
        labels, events, self.confirmed = self.script[len(self.asked)]
        self.asked.append((embeddings, presence, time_s))
        self.known |= set(labels) - {NOBODY}
        return Observed(tuple(labels), np.arange(len(labels), dtype=float), tuple(events))

    def means(self, confirmed=True):
        return {slot: 2.0 * VOICES[slot] for slot in (self.confirmed if confirmed else self.known)}


@pytest.fixture
def all_speech(monkeypatch):
    """Voice activity everywhere, so that times can be worked out by hand."""
    monkeypatch.setattr(
        "wesep_mix.inference.tracking.voice_frames", lambda samples: np.ones(-(-len(samples) // 512), dtype=bool)
    )


def samples(seconds):
    return np.full(round(seconds * RATE), 0.1, dtype=np.float32)


def spans(talker):
    return [tuple(round(each, 2) for each in span) for span in talker.spans]


def test_who_speaks_when(all_speech):
    """Middles: 0 to 1.5 s, from there a second each, and from 7.5 s on what is left of the last."""
    student = Student([0], [0], [0], [0, 1], [1], [1], [1])
    tracker = Tracker(student, USE)
    track = follow(tracker, Account(), samples(8))
    first, second = track.talkers
    assert (first.number, second.number) == (1, 2)
    assert np.allclose(first.embedding, VOICES[0]) and np.allclose(second.embedding, VOICES[1])
    assert spans(first) == [(0.0, 4.5)] and spans(second) == [(3.5, 8.0)]
    assert first.share == pytest.approx(4 / 7) and second.share == pytest.approx(4 / 7)
    assert [(event.kind, event.time_s, event.talker) for event in track.events] == [
        ("new", 2.0, None),
        ("confirmed", 4.0, 1),
        ("new", 5.0, None),
        ("confirmed", 7.0, 2),
    ]
    assert (track.seconds, track.num_windows, track.num_spoken, student.calls) == (8.0, 7, 7, 7)


def test_a_recording_that_does_not_end_with_a_window_has_one_more(all_speech):
    student = Student(*[[0]] * 7, [1])
    tracker, account = Tracker(student, USE), Account()
    track = follow(tracker, account, samples(8.5))
    assert (track.num_windows, student.calls) == (8, 8)
    assert spans(track.talkers[0]) == [(0.0, 7.5)]
    assert account.events[-1].kind == "new" and account.events[-1].time_s == 8.5


def test_middles_cover_the_recording_once(all_speech):
    for seconds in (0.6, 2.0, 2.3, 7.0, 9.99):
        for hop_s in (0.5, 0.7, 2.0):
            tracker = Tracker(Student(), dataclasses.replace(USE, hop_s=hop_s))
            heard = [*tracker.push(samples(seconds)), tracker.finish()]
            assert heard[0].begin == 0 and heard[-1].end == round(seconds * RATE)
            assert all(one.end == other.begin for one, other in zip(heard, heard[1:], strict=False))


def test_a_shorter_recording_is_one_window_and_who_is_heard_there_is_confirmed(all_speech):
    student = Student([0, 1])
    track = follow(Tracker(student, USE), Account(), samples(1.2))
    assert (student.calls, track.num_windows) == (1, 1)
    assert [spans(talker) for talker in track.talkers] == [[(0.0, 1.2)]] * 2
    assert [event.kind for event in track.events] == ["new", "new", "confirmed", "confirmed"]


def test_who_passes_by_in_a_long_recording_is_no_talker(all_speech):
    track = follow(Tracker(Student([0]), USE), Account(), samples(30))
    assert track.talkers == () and {event.kind for event in track.events} == {"new", "gone"}


def test_silence_is_given_to_neither_student_nor_memory(buzz):
    student, memory = Student(), Memory()
    track = follow(Tracker(student, USE, memory), Account(), np.zeros(6 * RATE, dtype=np.float32))
    assert track.talkers == () and student.calls == 0 and memory.asked == [] and track.num_spoken == 0
    speech = np.concatenate([np.zeros(6 * RATE, dtype=np.float32), 3 * buzz(120, 4.0), np.zeros(5 * RATE)])
    tracker = Tracker(Student(*[[0]] * 20), USE)
    heard = [*tracker.push(speech), tracker.finish()]
    spoken = [one.time_s for one in heard if one.is_spoken]
    assert min(spoken) >= 6.5 and max(spoken) <= 12.0 and len(spoken) == tracker.num_spoken > 3
    assert all(6 * RATE - 480 <= begin < end <= 10.1 * RATE for one in heard for begin, end in one.speech)


def test_heads_of_a_student_without_presence_all_speak(all_speech):
    memory = Memory(([0, 1], [], [0, 1]))
    follow(Tracker(Student([0, 1], with_presence=False), USE, memory), Account(), samples(2))
    ((_, presence, time_s),) = memory.asked
    assert presence.tolist() == [1.0, 1.0] and time_s == 2.0


def test_merged_talkers_are_one_from_the_beginning_and_events_stay_as_told(all_speech):
    """Slots 0 and 2 are confirmed, 1 is not; 2 goes into the older 1, which so becomes talker 2; then 1 into 0."""
    memory = Memory(
        ([0, 1], [Event("new", 0, 2.0), Event("new", 1, 2.0), Event("confirmed", 0, 2.0)], [0]),
        ([0, 2], [Event("new", 2, 3.0), Event("confirmed", 2, 3.0)], [0, 2]),
        ([NOBODY, 2], [Event("merged", 1, 4.0, 2)], [0, 1]),
        ([1, NOBODY], [Event("merged", 0, 5.0, 1)], [0]),
        ([NOBODY, 0], [Event("back", 0, 6.0, away_s=20.0)], [0]),
    )
    tracker, account = Tracker(Student(), USE, memory), Account()
    told = []
    track = follow(tracker, account, samples(6), told.append)
    assert [one.talkers for one in told] == [(1, None), (1, 2), (2,), (1,), (1,), (1,)]
    assert [one.slots for one in told] == [(0, 1), (0, 2), (1,), (0,), (0,), (0,)]
    assert told[1].margins == (0.0, 1.0) and told[2].margins == (1.0,)
    (talker,) = track.talkers
    assert talker.number == 1 and spans(talker) == [(0.0, 6.0)] and np.allclose(talker.embedding, VOICES[0])
    assert [(event.kind, event.talker, event.other) for event in track.events] == [
        ("new", None, None),
        ("new", None, None),
        ("confirmed", 1, None),
        ("new", None, None),
        ("confirmed", 2, None),
        ("merged", 2, None),
        ("merged", 1, 2),
        ("back", 1, None),
    ]
    assert list(map(line_of, track.events)) == [
        None,
        None,
        "00:02.0 talker 1 is new",
        None,
        "00:03.0 talker 2 is new",
        None,
        "00:05.0 talker 2 is talker 1 after all",
        "00:06.0 talker 1 is back after 20 s",
    ]


def test_the_smaller_number_of_merged_talkers_stays(all_speech):
    memory = Memory(
        ([1], [Event("confirmed", 1, 2.0)], [1]),
        ([0], [Event("confirmed", 0, 3.0)], [0, 1]),
        ([0], [Event("merged", 0, 4.0, 1)], [0]),
        ([2], [Event("confirmed", 2, 5.0)], [0, 2]),
    )
    track = follow(Tracker(Student(), USE, memory), Account(), samples(5))
    assert [talker.number for talker in track.talkers] == [1, 3]  # 2 is not given again
    assert track.events[2] == TalkerEvent(4.0, "merged", 0, 1, 2)


def test_a_memory_that_confirms_at_once_need_not_say_so(all_speech):
    memory = online.Model(online.Config(confirm_hits=1))
    track = follow(Tracker(Student([0]), USE, memory), Account(), samples(2))
    assert [(event.kind, event.talker) for event in track.events] == [("new", None), ("confirmed", 1)]


def real_student():
    torch.manual_seed(0)
    frontend = logmel.Config(num_mels=20, channels=16, num_layers=1)
    config = parallel_heads.Config(
        frontend=frontend, num_spk=3, projection=8, embedding_dim=6, bottleneck=4, presence=True
    )
    return parallel_heads.Model(config).eval()


def recording(buzz):
    """Two voices in turn, at once and neither, with noise: 20.3 s."""
    one, other = buzz(110, 20.3), buzz(210, 20.3)
    one[5 * RATE : 9 * RATE], other[: 3 * RATE], other[12 * RATE : 16 * RATE] = 0, 0, 0
    one[12 * RATE : 14 * RATE] = 0
    noise = np.random.default_rng(0).standard_normal(len(one)).astype(np.float32)
    return one + other + 1e-3 * noise


LOOSE = dataclasses.replace(
    USE, memory=online.Config(tau_presence=0.3, tau_new_presence=0.3, min_quality=0.0, tau_match=0.8, tau_new=0.8)
)


def test_the_pieces_in_which_samples_come_change_nothing(buzz):
    student, wav = real_student(), recording(buzz)

    def heard_in(steps):
        tracker, found, first = Tracker(student, LOOSE), [], 0
        while first < len(wav):
            step = steps[len(found) % len(steps)] if len(steps) > 1 else steps[0]
            found.append(tracker.push(wav[first : first + step]))
            first += step
        return [one for each in found for one in each] + [tracker.finish()], tracker

    (whole, tracker), windows = heard_in([len(wav)]), 20
    assert len(whole) == windows and 5 < tracker.num_spoken < windows and len(tracker.talkers()) > 0
    for steps in ([997], [16000], [40001, 3, 1, 15999, 32000, 7001], [5 * RATE + 1]):
        parts, other = heard_in(steps)
        assert parts == whole
        assert all(np.array_equal(other.talkers()[number], emb) for number, emb in tracker.talkers().items())


def stored(state, arrays):
    """As they come back from JSON and npz."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        return json.loads(json.dumps(state)), dict(loaded)


@pytest.mark.parametrize("stop", [1, 5000, 3 * RATE, 11 * RATE + 17, 20 * RATE])
def test_it_goes_on_from_its_state_as_if_nothing_had_been(buzz, stop):
    student, wav = real_student(), recording(buzz)
    whole = follow(Tracker(student, LOOSE), Account(), wav)
    assert len(whole.talkers) > 0 and len(whole.events) > 2
    tracker, account = Tracker(student, LOOSE), Account()
    for heard in tracker.push(wav[:stop]):
        account.add(heard)
    (state, arrays), told = stored(*tracker.state()), stored(account.state(), {})[0]
    again, account = Tracker(student, LOOSE), Account()
    again.load(state, arrays)
    account.load(told)
    track = follow(again, account, wav)
    assert (track.events, track.seconds, track.num_windows, track.num_spoken) == (
        whole.events,
        whole.seconds,
        whole.num_windows,
        whole.num_spoken,
    )
    assert [(one.number, one.spans, one.share) for one in track.talkers] == [
        (one.number, one.spans, one.share) for one in whole.talkers
    ]
    assert all(
        np.array_equal(one.embedding, other.embedding) for one, other in zip(track.talkers, whole.talkers, strict=True)
    )


def test_its_memory_is_that_of_a_window():
    tracker = Tracker(Student(), USE)
    most = 0
    for _ in range(5):
        tracker.push(np.zeros(60 * RATE, dtype=np.float32))
        state, arrays = tracker.state()
        most = max(most, sum(array.nbytes for array in arrays.values()) + len(json.dumps(state)))
    assert most < 4 * 4 * RATE


def test_what_cannot_be_pushed_is_named():
    tracker = Tracker(Student(), USE)
    tracker.push(samples(0.25))
    with pytest.raises(UserError, match="wanted at least 0.5 s of audio, found 0.25 s"):
        tracker.finish()
    wrong = samples(3)
    wrong[20000] = np.nan
    with pytest.raises(UserError, match="sample 24000 is not finite"):
        tracker.push(wrong)
    with pytest.raises(UserError, match=r"wanted samples of shape \[T\], found \[2, 100\]"):
        tracker.push(np.zeros((2, 100)))
    tracker = Tracker(Student(), USE)
    tracker.push(samples(1))
    tracker.finish()
    with pytest.raises(UserError, match="wanted no samples after its end"):
        tracker.push(samples(1))
    with pytest.raises(UserError, match="wanted one end, found a second one"):
        tracker.finish()


def test_thresholds_of_the_memory_are_the_models():
    small = memory_config(UseConfig(window_s=4.0, hop_s=2.0, presence=0.8, join=0.0))
    assert (small.tau_match, small.tau_new, small.tau_update, small.tau_merge) == (0.3, 0.25, 0.45, 0.55)
    assert (small.tau_presence, small.tau_new_presence) == (0.8, 0.95)
    assert (small.confirm_hits, small.confirm_windows, small.expire_s, small.back_s) == (3, 4, 15.0, 15.0)
    strict = memory_config(UseConfig(window_s=30.0, hop_s=10.0, presence=0.5, join=0.6))
    assert (strict.tau_match, strict.tau_new, strict.tau_merge) == (0.72, 0.7, 0.82)
    assert (strict.confirm_hits, strict.expire_s, strict.back_s) == (4, 50.0, 60.0)
    for join in (-1.0, 1.0):
        memory_config(UseConfig(join=join))  # whose thresholds are in order
    chosen = online.Config(tau_match=0.9)
    assert memory_config(UseConfig(memory=chosen)) is chosen


def test_rttm_has_a_line_a_turn_in_order_of_time(all_speech):
    track = follow(Tracker(Student([0], [0], [0], [0, 1], [1], [1], [1]), USE), Account(), samples(8))
    assert rttm("a b", track.talkers).splitlines() == [
        "SPEAKER a_b 1 0.000 4.500 <NA> <NA> talker-1 <NA> <NA>",
        "SPEAKER a_b 1 3.500 4.500 <NA> <NA> talker-2 <NA> <NA>",
    ]


def test_short_pauses_are_part_of_a_turn(monkeypatch):
    frames = np.ones(63, dtype=bool)
    frames[20:29], frames[40:50] = False, False  # 0.29 s and 0.32 s
    monkeypatch.setattr("wesep_mix.inference.tracking.voice_frames", lambda samples: frames)
    track = follow(Tracker(Student([0]), USE), Account(), samples(2))
    assert spans(track.talkers[0]) == [(0.0, 1.28), (1.6, 2.0)]
    assert track.talkers[0].seconds == pytest.approx(1.68)


@pytest.mark.parametrize(
    ("seconds", "told"), [(12.5, "00:12.5"), (59.96, "01:00.0"), (600, "10:00.0"), (3661.24, "1:01:01.2")]
)
def test_times_as_clocks_show_them(seconds, told):
    assert clock(seconds) == told
