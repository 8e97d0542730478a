"""Who speaks when, by hand and beside the audio."""

import dataclasses

import numpy as np
import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.data.datasets import fixed_loader
from wesep_mix.mixing.activity import Activity, read_activity
from wesep_mix.mixing.plan import Noise, Plan, Source, read_plans
from wesep_mix.mixing.render import render
from wesep_mix.preparation.activity import Crop, speech_frames
from wesep_mix.preparation.lists import SpeechEntry

CROP = (Crop(0, 1.0, -20.0),)
ENTRIES = [
    SpeechEntry("ann-1", "ann", "F", "/s/1.wav", CROP, ((0, 1600), (4800, 8000), (9600, 16000))),
    SpeechEntry("bob-1", "bob", "M", "/s/2.wav", CROP, ((3200, 4000),)),
]


def plan_of(*sources, num_samples=16000):
    noise = Noise("n", "/n.wav", 0, 16000, 5.0)
    return Plan("mix", num_samples, tuple(sources), noise, ())


def source(utt, start, num_samples, offset):
    return Source(utt, utt[:3], "F", "/s.wav", start, num_samples, offset, 1.0, -20.0)


def test_stretches_are_cut_to_the_crop_and_moved_to_its_place():
    plan = plan_of(source("ann-1", 800, 8000, 4000), source("bob-1", 0, 3200, 0))
    assert Activity(ENTRIES).stretches(plan) == [((4000, 4800), (8000, 11200)), ()]


def test_a_faster_talker_speaks_shorter_and_earlier():
    faster = dataclasses.replace(source("ann-1", 800, 8000, 4000), speed=1.25)  # samples 800 to 10800 of the file
    [stretches] = Activity(ENTRIES).stretches(plan_of(faster))
    assert stretches == ((4000, 4640), (7200, 9760), (11040, 12000))


def test_a_frame_is_speech_where_more_than_half_of_it_is():
    plan = plan_of(source("bob-1", 3200, 1600, 790), num_samples=3000)  # speech from 790 to 1590
    frames = Activity(ENTRIES).frames(plan, 0.01)
    assert frames.shape == (1, 19) and np.flatnonzero(frames[0]).tolist() == [5, 6, 7, 8, 9]
    assert Activity(ENTRIES).frames(plan, 0.1).tolist() == [[False, False]]  # exactly half of the first is not more


def test_frames_are_those_that_hold_the_samples():
    """Beside a second way: every sample by itself."""
    plan = plan_of(source("ann-1", 300, 12000, 1234), source("bob-1", 100, 5000, 7000), num_samples=15551)
    activity, hop = Activity(ENTRIES), 480
    spoken = np.zeros((2, 33 * hop))
    for row, stretches in zip(spoken, activity.stretches(plan), strict=True):
        for first, end in stretches:
            row[first:end] = 1
    wanted = spoken.reshape(2, 33, hop).sum(-1) > hop / 2
    assert np.array_equal(activity.frames(plan, 0.03), wanted) and wanted.any(1).all()


def test_it_is_where_the_clean_sources_sound(prepared):
    activity, plans = read_activity(prepared / "2mix" / "dev"), read_plans(prepared / "2mix" / "dev" / "plan.jsonl")
    for plan in plans:
        sources = render(plan).sources
        for row, frames in zip(sources, activity.frames(plan, 0.03), strict=True):
            detected = speech_frames(row / np.abs(row).max())
            assert (frames[: len(detected)] == detected).mean() > 0.8 and frames.any()


def test_a_batch_is_padded_with_silence(prepared):
    activity, plans = read_activity(prepared / "2mix" / "dev"), read_plans(prepared / "2mix" / "dev" / "plan.jsonl")
    (batch,) = fixed_loader(plans, len(plans))
    frames = batch.activity(activity, 0.01)
    assert frames.dtype == torch.bool and frames.shape[:2] == batch.sizes.shape
    for row, plan in zip(frames, plans, strict=True):
        alone = activity.frames(plan, 0.01)
        assert np.array_equal(row[: len(alone), : alone.shape[1]].numpy(), alone)
        assert not row[len(alone) :].any() and not row[:, alone.shape[1] :].any()


def test_lists_that_do_not_say_are_refused_and_so_is_another_set():
    with pytest.raises(UserError, match="utterances.jsonl: does not say where utterances are speech; redo stage 1"):
        Activity([SpeechEntry("ann-1", "ann", "F", "/s/1.wav", CROP)])
    with pytest.raises(UserError, match="wanted utterance eve-1 of a mixture, found no such line"):
        Activity(ENTRIES).frames(plan_of(source("eve-1", 0, 800, 0)), 0.01)
