"""Tracks of sessions by hand: memories, clustering, bounds."""

import numpy as np
import pytest

from wesep_mix.evaluation import tracks
from wesep_mix.evaluation.tracks import Track
from wesep_mix.inference.session_windows import Windows
from wesep_mix.memory.observing import NOBODY, Event, Observed
from wesep_mix.memory.online import Config, Model

AXES = np.eye(4, dtype=np.float32)
NAN = np.full(4, np.nan)


def windows_of(rows, presence=None, heard=None):
    """Windows of 5 s every 2.5 s, whose heads point along axes."""
    embeddings = np.array([[AXES[axis] for axis in row] for row in rows], dtype=np.float32)
    count = len(rows)
    presence = np.ones(embeddings.shape[:2]) if presence is None else np.array(presence)
    return Windows(
        40000 * np.arange(count),
        80000,
        np.ones(count, bool) if heard is None else np.array(heard),
        embeddings,
        presence,
    )


class Echo:
    """A memory that says each head's axis, and remembers when it was asked."""

    def __init__(self):
        self.times, self.num_talkers = [], 0

    def observe(self, embeddings, presence, time_s):
        self.times.append(time_s)
        labels = tuple(int(one.argmax()) for one in embeddings)
        self.num_talkers = max(self.num_talkers, 1 + max(labels))
        return Observed(labels, np.zeros(len(labels)), (Event("new", labels[0], time_s),))

    def means(self, confirmed):
        return {place: AXES[place] for place in range(self.num_talkers)}


def test_a_memory_is_asked_about_windows_with_speech_only():
    memory = Echo()
    track = tracks.by_memory(memory, windows_of([[0, 1], [2, 3], [1, 0]], heard=[True, False, True]), keep_means=True)
    assert memory.times == [5.0, 10.0] and len(track.events) == 2
    assert track.labels.tolist() == [[0, 1], [NOBODY, NOBODY], [1, 0]] and track.counts.tolist() == [2, 2, 2]
    assert track.slots() == [0, 1] and track.active().tolist() == [[True, True], [False, False], [True, True]]
    assert [sorted(means) for means in track.means] == [[0, 1]] * 3


def test_the_online_memory_tracks_what_is_easy():
    rows = [[0, 1], [1, 0], [2, 0], [0, 2]] * 5
    track = tracks.by_memory(Model(Config()), windows_of(rows))
    usual = {
        axis: {
            label
            for row, own in zip(rows, track.labels.tolist(), strict=True)
            for at, label in zip(row, own, strict=True)
            if at == axis
        }
        for axis in range(3)
    }
    assert all(len(slots) == 1 for slots in usual.values()) and track.counts[-1] == 3


def test_revising_gives_the_past_of_merged_slots_to_the_older_one():
    events = (Event("merged", 1, 9.0, 2), Event("merged", 0, 12.0, 1))
    track = Track(np.array([[2, NOBODY], [1, 3], [0, 2]]), np.array([1, 2, 2]), events)
    assert tracks.revised(track).labels.tolist() == [[0, NOBODY], [0, 3], [0, 0]]
    nothing = Track(np.zeros((0, 2), dtype=int), np.zeros(0, dtype=int))
    assert tracks.revised(nothing).labels.shape == (0, 2) and nothing.slots() == []


def test_heads_are_named_by_the_voices_that_are_there():
    windows = windows_of([[1, 0], [2, 3]])
    voices = np.stack([np.stack([AXES[0], AXES[1], NAN[:4]]), np.stack([NAN[:4], NAN[:4], AXES[3]])])
    assert tracks.named(windows, voices).tolist() == [[1, 0], [NOBODY, 2]]
    assert tracks.mean_voices(windows, tracks.named(windows, voices), 3)[1].tolist() == AXES[1].tolist()
    assert np.isnan(tracks.mean_voices(windows, np.full((2, 2), NOBODY), 1)).all()


def test_a_bound_gives_heads_to_the_nearest_known_voices_one_to_one():
    windows = windows_of([[0, 0], [1, 0]], presence=[[1, 1], [1, 0.2]])
    track = tracks.by_voices(windows, np.stack([AXES[0], AXES[1], NAN[:4]]), 0.5)
    assert sorted(track.labels[0].tolist()) == [0, 1] and track.labels[1].tolist() == [1, NOBODY]
    assert track.counts.tolist() == [2, 2]


def test_chance_never_names_a_talker_twice_in_a_window():
    windows = windows_of([[0, 1, 2]] * 50)
    labels = tracks.by_chance(windows, 2, 0.5, np.random.default_rng(0)).labels
    assert all(sorted(row) == [NOBODY, 0, 1] for row in labels.tolist())
    assert {tuple(row) for row in labels.tolist()} == {(0, 1, NOBODY), (1, 0, NOBODY)}


@pytest.mark.parametrize("method", ["average", "spectral"])
def test_clustering_of_the_whole_session_finds_its_talkers(method):
    rows = [[0, 1], [1, 2], [2, 0]] * 6
    rng = np.random.default_rng(0)
    clean = windows_of(rows, presence=[[1.0, 1.0]] * 17 + [[1.0, 0.1]])
    windows = Windows(
        clean.starts, clean.size, clean.heard, clean.embeddings + 0.1 * rng.standard_normal((18, 2, 4)), clean.presence
    )
    track = tracks.by_clustering(windows, method, 0.5, 0.5, 3)
    found = {
        (axis, label)
        for row, own in zip(rows, track.labels.tolist(), strict=True)
        for axis, label in zip(row, own, strict=True)
        if label != NOBODY
    }
    assert len(found) == 3 and track.labels[-1, 1] == NOBODY and track.counts[-1] == 3
    silent = tracks.by_clustering(windows_of([[0, 1]], heard=[False]), method, 0.5, 0.5, 3)
    assert silent.labels.tolist() == [[NOBODY, NOBODY]]


def test_who_is_present_is_told_by_half_a_second_and_who_is_not_by_a_tenth():
    turns = [[(0, 8000)], [(0, 7999)], [(79000, 80599)], [(79000, 80600), (0, 100)], []]
    found = tracks.present(turns, np.array([0, 79000]), 80000)
    assert found.tolist() == [[1, -1, 0, 0, 0], [0, 0, 0, -1, 0]]
    assert tracks.present([], np.array([0]), 5).shape == (1, 0)
