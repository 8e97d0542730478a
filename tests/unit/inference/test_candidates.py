import numpy as np
import pytest
import torch

from wesep_mix.inference.candidates import (
    Heard,
    Windows,
    evidence,
    find_talkers,
    hear_all,
    hear_windows,
    joined,
    similarities,
    talkers_of,
)
from wesep_mix.inference.listening import audition, extract_talkers, level_factor
from wesep_mix.matching.speaker_set import SpeakerSet
from wesep_mix.models.folder import SureConfig, UseConfig
from wesep_mix.models.layers.network import Network

USE = UseConfig(window_s=2.0, hop_s=1.0, join=0.6)
VOICES = np.eye(4, dtype=np.float32)


class Student(torch.nn.Module):
    """Hears voice k in a window whose loudest sample is k / 10, and says nothing of others; three heads.

    The voice takes another head in every window, as heads have no order.
    """

    def __init__(self, with_presence: bool = True):
        super().__init__()
        self.with_presence, self.turn = with_presence, 0

    def forward(self, mix, num_samples=None):
        embeddings, logits = torch.from_numpy(np.tile(VOICES[3], (len(mix), 3, 1))), torch.full((len(mix), 3), -9.0)
        for row, window in enumerate(mix):
            head = self.turn % 3
            embeddings[row, head] = torch.from_numpy(VOICES[round(float(window.abs().max()) * 10) % 3])
            logits[row, head], self.turn = 2.0, self.turn + 1
        return SpeakerSet(embeddings, logits if self.with_presence else None)


@pytest.fixture
def speech(buzz):
    """Function: loudest sample of each second -> a recording that passes for speech."""

    def make(*peaks: float) -> np.ndarray:
        seconds = [buzz(120, 1.0) for _ in peaks]
        return np.concatenate(
            [peak * one / np.abs(one).max() if peak else 0 * one for peak, one in zip(peaks, seconds, strict=True)]
        ).astype(np.float32)

    return make


def test_who_speaks_when(speech):
    samples = speech(0.1, 0.1, 0.1, 0.1, 0, 0, 0, 0.2, 0.2)
    first, second = find_talkers(Student(), samples, USE)
    assert (first.number, second.number) == (1, 2)
    assert np.allclose(first.embedding, VOICES[1]) and np.allclose(second.embedding, VOICES[2])
    assert first.spans == ((0.0, 5.0),) and second.spans == ((6.0, 9.0),)
    assert first.confidence == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-6)
    assert first.share == pytest.approx(4 / 6) and second.share == pytest.approx(2 / 6)
    assert np.allclose(similarities([first, second]), np.eye(2))


def heard_by_hand():
    """Six windows: one voice in three of them and, not so sure, in another; a second in one, between both."""
    between = np.array([0.6, 0.8, 0, 0], dtype=np.float32)
    voices = [(0, VOICES[0], 0.9), (1, VOICES[0], 0.9), (2, VOICES[0], 0.9), (3, between, 0.5), (3, VOICES[1], 0.5)]
    return Windows([Heard(*one) for one in voices], num_spoken=6, size=1)


def test_what_speaks_for_a_candidate():
    windows = heard_by_hand()
    one, other = windows.heard[:4], windows.heard[4:]
    mean = np.array([3.6, 0.8]) / 4  # of the first's embeddings, of which three are equal and one has a cosine of 0.6
    near = mean[1] / np.linalg.norm(mean)
    found = evidence([one, other], windows)
    assert np.allclose(found[0], [np.log(0.8 / 0.2), 1, 0.8, near], atol=1e-6)  # in four of four
    assert np.allclose(found[1], [0, 0.25, 0, near], atol=1e-6)
    assert evidence([other], windows)[0, 3] == 0


def test_who_is_hardly_a_talker_is_not_told():
    windows, use = heard_by_hand(), UseConfig(window_s=2.0, hop_s=1.0, join=0.4)
    told = talkers_of(windows, use)
    assert [one.confidence for one in told] == pytest.approx([0.8, 0.5], abs=1e-6) and told[1].spans[0][0] == 3 / 16000
    seen = SureConfig(presence=0.0, seen=8.0, offset=-4.0)
    sure = [1 / (1 + np.exp(-4.0)), 1 / (1 + np.exp(2.0))]
    told = talkers_of(windows, UseConfig(window_s=2.0, hop_s=1.0, join=0.4, sure=seen))
    assert [one.confidence for one in told] == pytest.approx(sure)
    (told,) = talkers_of(windows, UseConfig(window_s=2.0, hop_s=1.0, join=0.4, sure=seen, least=0.5))
    assert (told.number, told.share) == (1, pytest.approx(4 / 6)) and told.confidence == pytest.approx(sure[0])
    assert talkers_of(windows, UseConfig(window_s=2.0, hop_s=1.0, join=0.4, sure=seen, least=0.99)) == []


def test_windows_of_several_recordings_are_heard_together(speech):
    class Counting(Student):
        def forward(self, mix, num_samples=None):
            sizes.append(tuple(mix.shape))
            return super().forward(mix)

    sizes = []
    several = [speech(0.1, 0.2, 0.1), speech(0.2), speech(0.1, 0, 0, 0.2), speech(0.1)]
    steps = []
    together = hear_all(Counting(), several, USE, progress=lambda *step: steps.append(step))
    # windows of 2 s: two of the first and two of the third in which anybody speaks; then the two recordings of 1 s
    assert sizes == [(4, 32000), (2, 16000)] and steps == [(done, 6) for done in range(1, 7)]
    for windows, samples in zip(together, several, strict=True):
        alone = hear_windows(Student(), samples, USE)
        assert (windows.num_spoken, windows.size) == (alone.num_spoken, alone.size)
        assert [one.start for one in windows.heard] == [one.start for one in alone.heard]


def test_a_short_recording_is_heard_whole_and_without_presence_every_head_counts(speech):
    talkers = find_talkers(Student(with_presence=False), speech(0.1), USE)
    assert len(talkers) == 3 and {talker.confidence for talker in talkers} == {None}


def test_silence_has_nobody(speech):
    assert find_talkers(Student(), speech(0, 0, 0), USE) == []
    assert find_talkers(Student(with_presence=False), np.zeros(16000, dtype=np.float32), USE) == []


def test_heads_that_say_nothing_are_no_talkers(speech):
    assert find_talkers(Student(), speech(0.1, 0.1), UseConfig(window_s=2.0, hop_s=1.0, presence=0.95)) == []


def test_a_voice_heard_in_one_window_of_many_is_left_out(speech):
    assert len(find_talkers(Student(), speech(*[0.1] * 40, 0.2, 0.1), USE)) == 2
    once = find_talkers(Student(), speech(*[0.1] * 40, 0.2), USE)
    assert [np.argmax(talker.embedding) for talker in once] == [1]
    assert len(find_talkers(Student(), speech(0.1, 0.1, 0.2), USE)) == 2  # of few windows each counts


def test_two_heads_of_one_window_are_two_talkers():
    near = np.array([1, 0.1], dtype=np.float32) / np.hypot(1, 0.1)
    same = np.array([1, 0], dtype=np.float32)
    assert len(set(joined([same, near], [0, 1], 0.6))) == 1
    assert len(set(joined([same, near], [0, 0], 0.6))) == 2
    labels = joined([same, near, same, near], [0, 0, 1, 1], 0.6)
    assert labels[0] != labels[1] and labels[2] != labels[3] and len(set(labels)) == 2
    assert joined([], [], 0.6) == [] and joined([same], [0], 0.6) == [0]


def test_progress_is_told(speech):
    told = []
    find_talkers(Student(), speech(*[0.1] * 6), USE, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_the_audition_is_where_the_talker_is_alone():
    rng = np.random.default_rng(0)
    talker, other = (rng.standard_normal(10 * 16000).astype(np.float32) * 0.1 for _ in range(2))
    talker[: 2 * 16000], other[5 * 16000 : 9 * 16000] = 0, 0
    begin, end = audition(talker, talker + other)
    assert end - begin == 3 * 16000 and 5 * 16000 <= begin <= 6 * 16000
    assert audition(talker[:16000], talker[:16000]) == (0, 16000)


def test_the_level_is_the_talkers_in_the_mixture():
    rng = np.random.default_rng(0)
    talker, other = rng.standard_normal((2, 100_000))
    assert level_factor(talker * 7, talker + other) == pytest.approx(1 / 7, rel=0.02)
    assert level_factor(-talker, talker + other) == pytest.approx(-1, rel=0.02)  # a network may turn the sign
    assert level_factor(np.zeros(10), np.ones(10)) == 0


@pytest.mark.parametrize("level, factor", [("mixture", 1.0), ("own", 0.25)])
def test_an_extractor_that_gives_the_level_keeps_it(level, factor):
    class Quiet(Network):
        def forward(self, mix, emb, longer=None):
            return 0.25 * mix

    samples = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    found = extract_talkers(Quiet(), samples, np.ones((1, 2)), UseConfig(level=level))[0]
    np.testing.assert_allclose(found, factor * samples, rtol=1e-5)


def test_a_long_recording_is_joined_in_stretches(monkeypatch):
    """Three voices that come and go, two of them at once now and then: the same talkers as all at once."""
    rng = np.random.default_rng(0)
    voices = np.linalg.qr(rng.normal(size=(16, 16)))[0][:3]
    windows, whose = [], []
    for window in range(120):
        present = rng.choice(3, size=rng.integers(1, 3), replace=False)
        windows += [window] * len(present)
        whose += present.tolist()
    embeddings = voices[whose] + 0.15 * rng.normal(size=(len(whose), 16))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    at_once = joined(list(embeddings), windows, 0.4)
    monkeypatch.setattr("wesep_mix.inference.candidates.BLOCK", 25)
    in_stretches = joined(list(embeddings), windows, 0.4)
    for labels in (at_once, in_stretches):
        assert len(set(labels)) == 3
        assert len({(label, voice) for label, voice in zip(labels, whose, strict=True)}) == 3


def test_nobody_is_joined_to_nobody():
    assert joined([], [], 0.5) == [] and joined([VOICES[0]], [3], 0.5) == [0]
