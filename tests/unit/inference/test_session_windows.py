"""Windows of a session: where they lie, what is heard, and the clean voices in them."""

import numpy as np
import pytest
import torch
from torch import nn

from wesep_mix.inference.session_windows import (
    Windows,
    hear_windows_of,
    of_separated,
    of_student,
    of_teacher,
    read_windows,
    references,
    window_starts,
    write_windows,
)
from wesep_mix.io.audio import write_audio
from wesep_mix.matching.speaker_set import SpeakerSet
from wesep_mix.mixing.plan import Source
from wesep_mix.mixing.session import Session

RATE = 16000


def first_samples(mix):
    """Two heads that give a window's first sample; the second speaks where that is above 0.5."""
    one = mix[:, :1].numpy()
    return np.stack([np.concatenate([one, 1 - one], 1)] * 2, 1), np.concatenate([one * 0 + 1, one > 0.5], 1)


def test_windows_cover_a_session_and_the_last_one_ends_with_it():
    starts, size = window_starts(10 * RATE + 5, 5.0, 2.5)
    assert size == 5 * RATE and starts == [0, 40000, 80000, 80005]
    assert window_starts(3 * RATE, 5.0, 2.5) == ([0], 3 * RATE)


def test_each_window_is_heard_alone_and_those_without_speech_are_not(buzz):
    voice = buzz(120, 20.0)[: 20 * RATE]
    samples = np.concatenate([voice, np.zeros(20 * RATE, dtype=np.float32)])
    windows = hear_windows_of(len(samples), lambda start, stop: samples[start:stop], first_samples, 5.0, 5.0)
    assert windows.heard.tolist() == [True] * 4 + [False] * 4
    assert windows.times.tolist() == [5.0 * (place + 1) for place in range(8)]
    assert windows.embeddings[:4, 0, 0].tolist() == [samples[place * 5 * RATE] for place in range(4)]
    assert not windows.embeddings[4:].any() and not windows.presence[4:].any()


def test_silence_has_no_heads():
    windows = hear_windows_of(8 * RATE, lambda start, stop: np.zeros(stop - start), first_samples, 5.0, 2.5)
    assert not windows.heard.any() and windows.presence.shape == (3, 1)


class Student(nn.Module):
    def __init__(self, presence):
        super().__init__()
        self.presence = presence

    def forward(self, mix, num_samples=None):
        embeddings = nn.functional.normalize(torch.stack([mix[:, :3], mix[:, 3:6]], 1), dim=-1)
        return SpeakerSet(embeddings, torch.tensor([[0.0, 2.0]]).expand(len(mix), 2) if self.presence else None)


def test_heads_without_presence_all_speak():
    mix = torch.randn(2, 100)
    embeddings, presence = of_student(Student(True), "cpu")(mix)
    assert embeddings.shape == (2, 2, 3) and presence[0] == pytest.approx([0.5, 0.880797])
    assert of_student(Student(False), "cpu")(mix)[1].tolist() == [[1.0, 1.0], [1.0, 1.0]]


class Mean(nn.Module):
    """Stands for a teacher: mean and mean square of what it hears."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, wav, num_samples=None):
        return torch.stack([wav.mean(1), wav.square().mean(1)], 1) * self.weight


class Halves(nn.Module):
    """Stands for a separator: the mixture at two levels, 40 dB apart."""

    def forward(self, mix, longer=None):
        return torch.stack([mix, 0.01 * mix], 1)


def test_baselines_hear_the_whole_mixture_or_what_is_separated():
    mix = torch.randn(3, 400)
    embeddings, presence = of_teacher(Mean(), "cpu")(mix)
    assert embeddings.shape == (3, 1, 2) and (presence == 1).all()
    embeddings, presence = of_separated(Halves(), Mean(), "cpu")(mix)
    assert np.allclose(embeddings[:, 1, 1], 1e-4 * embeddings[:, 0, 1])
    assert presence[0] == pytest.approx([1 / (1 + np.exp(-20 / 3)), 1 / (1 + np.exp(20 / 3))])


def test_references_are_of_what_a_talker_says_in_a_window_alone(tmp_path):
    for name, level in (("ann", 0.25), ("bob", 0.5)):
        write_audio(tmp_path / f"{name}.wav", np.full(6 * RATE, level, dtype=np.float32), subtype="FLOAT")

    def turn(name, num_samples, offset):
        return Source(name, name, "F", str(tmp_path / f"{name}.wav"), 0, num_samples, offset, 1.0, -20.0)

    session = Session("x", "talk", 10 * RATE, ("ann", "bob"), (turn("ann", 48000, 0), turn("bob", 80000, 40000)), (), 1)
    turns = {"ann": [(0, 48000)], "bob": [(40000, 90000), (100000, 120000)]}
    found = references(session, turns, Mean(), ([0, 44000], 5 * RATE))
    assert found.shape == (2, 2, 2)
    assert found[0].tolist() == [[0.25, 0.0625], [0.5, 0.25]]
    assert np.isnan(found[1, 0]).all() and found[1, 1].tolist() == [0.5, 0.25]  # ann: a quarter of a second


def test_windows_are_read_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    windows = Windows(np.arange(3), 7, np.array([True, False, True]), rng.random((3, 2, 4)), rng.random((3, 2)))
    write_windows(tmp_path / "a.npz", windows)
    again = read_windows(tmp_path / "a.npz")
    assert again.size == 7 and np.array_equal(again.embeddings, windows.embeddings)
