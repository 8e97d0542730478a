"""Speech extracted over sessions: with an extractor that does what its embedding says."""

import numpy as np
import pytest
import torch
from torch import nn

from wesep_mix.evaluation.session_speech import (
    ORIGINS,
    embeddings_of,
    heard_speech,
    judge_heard,
    judge_session,
    segments_of,
)
from wesep_mix.evaluation.tracking import Case
from wesep_mix.evaluation.tracks import Track
from wesep_mix.inference.session_windows import Windows
from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.plan import Source
from wesep_mix.mixing.session import Session, render_range

RATE, HOP, SIZE = 16000, 40000, 80000
ANN, BOB = np.eye(2, dtype=np.float32)


class Bands(nn.Module):
    """The mixture's part below 1 kHz for the first axis, above it for the second, mixed as the embedding says."""

    free_level = False
    frame_step = 1

    def forward(self, mix, emb, longer=None):
        spectrum = torch.fft.rfft(mix)
        low = torch.arange(spectrum.shape[1]) < 1000 * mix.shape[1] / RATE
        share = emb.abs() / emb.abs().sum(1, keepdim=True)
        kept = torch.where(low, share[:, :1], share[:, 1:])
        return torch.fft.irfft(spectrum * kept, n=mix.shape[1])


@pytest.fixture
def case(tmp_path):
    """Ann hums at 200 Hz for the first 12 s, Bob at 3 kHz from the fifth second on; 20 s."""
    time = np.arange(20 * RATE) / RATE
    turns = []
    for name, pitch, first, end in (("ann", 200, 0, 12 * RATE), ("bob", 3000, 5 * RATE, 20 * RATE)):
        write_audio(
            tmp_path / f"{name}.wav", (0.1 * np.sin(2 * np.pi * pitch * time)).astype(np.float32), subtype="FLOAT"
        )
        turns.append(Source(name, name, "F", str(tmp_path / f"{name}.wav"), 0, end - first, first, 1.0, -20.0))
    session = Session("x", "talk", 20 * RATE, ("ann", "bob"), tuple(turns), (), 1.0)
    starts = HOP * np.arange(7)
    embeddings = np.stack([np.stack([ANN, BOB])] * 7)
    windows = Windows(starts, SIZE, np.ones(7, dtype=bool), embeddings, np.ones((7, 2)))
    spoken = (((0, 12 * RATE),), ((5 * RATE, 20 * RATE),))
    references = np.stack([np.stack([ANN, BOB])] * 7)
    for place, start in enumerate(starts):
        for talker, ((first, end),) in enumerate(spoken):
            if min(end, start + SIZE) - max(first, start) < RATE / 2:
                references[place, talker] = np.nan
    return Case(session, spoken, windows, references, np.stack([ANN, BOB]), np.array([[0, 20 * RATE]]))


@pytest.fixture
def track():
    """Slot 3 is Ann's, slot 5 Bob's; what the memory has of Bob is half Ann."""
    means = {3: ANN, 5: (ANN + BOB) / np.sqrt(2)}
    return Track(np.array([[3, 5]] * 7), np.full(7, 2), (), (means,) * 7)


def test_windows_stand_for_their_middles(case):
    assert case.middles[0] == (0, 60000) and case.middles[-1] == (260000, 320000)
    assert [first for first, _ in case.middles[1:]] == [end for _, end in case.middles[:-1]]


def test_embeddings_of_all_origins_are_compared_on_the_same_places(case, track):
    found = list(embeddings_of(case, track))
    assert {(place, talker) for place, talker, _ in found} == {
        (place, talker) for place in range(7) for talker in np.flatnonzero(case.truth[place] == 1)
    }
    for _, talker, embeddings in found:
        own, mean = ((ANN, ANN), (BOB, track.means[0][5]))[talker]
        assert list(embeddings) == list(ORIGINS)
        assert np.array_equal(embeddings["own"], own) and np.array_equal(embeddings["memory"], mean)
        assert np.array_equal(embeddings["wrong"], track.means[0][(5, 3)[talker]])


def test_what_is_extracted_is_as_good_as_its_embedding(case, track):
    rows = {(row["talker"], row["origin"]): row for row in judge_session(case, track, Bands(), "cpu")}
    assert len(rows) == 10
    for talker in ("ann", "bob"):
        right, wrong = rows[talker, "own"], rows[talker, "wrong"]
        assert right["si_sdri"] > 15 and right["wrong"] == 0 and right["leak_db"] < -20
        assert wrong["si_sdri"] < 5 and right["num"] == wrong["num"] > 0
    assert rows["bob", "wrong"]["wrong"] == rows["bob", "wrong"]["num"]
    assert rows["bob", "own"]["si_sdri"] > rows["bob", "memory"]["si_sdri"] > rows["bob", "wrong"]["si_sdri"]


def test_a_user_hears_a_slot_where_the_memory_does(case, track):
    labels = track.labels.copy()
    labels[4:, 0] = -1  # Ann is not heard from the fifth window on, which stands for what follows 8.75 s
    one = Track(labels, track.counts, (), track.means)
    speech = heard_speech(case, one, Bands(), "cpu")
    first = case.middles[4][0]
    assert sorted(speech) == [3, 5] and not speech[3][first:].any() and speech[3][:first].any()
    ann = render_range(case.session, 0, first).sources[0]
    assert np.corrcoef(ann[RATE:-RATE], speech[3][RATE : first - RATE])[0, 1] > 0.99
    rows = {row["talker"]: row for row in judge_heard(case, one, speech)}
    assert rows["ann"]["origin"] == "heard" and rows["ann"]["si_sdri"] is not None
    nothing = {row["talker"]: row["si_sdri"] for row in judge_heard(case, one, {})}
    assert nothing == {"ann": None, "bob": None}


def test_a_slot_speaks_in_frames_near_its_loudest_so_far():
    samples = np.concatenate(
        [np.zeros(1600), np.full(1600, 0.1), np.full(1600, 0.02), np.full(1000, 0.5), np.zeros(1600)]
    )
    assert list(segments_of({4: samples}, -20.0)) == [
        (0.1, 0.2, "4"),
        (0.2, 0.30000000000000004, "4"),
        (0.30000000000000004, 0.4, "4"),
    ]
    assert [start for start, _, _ in segments_of({4: samples}, -10.0)] == [0.1, 0.30000000000000004]
