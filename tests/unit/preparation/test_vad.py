import numpy as np
import pytest

from wesep_mix.preparation.activity import best_crops, speech_frames, stretches_of

RATE, FRAME = 16000, 480


def at(samples: np.ndarray, start_s: float, total_s: float) -> np.ndarray:
    """The samples in silence."""
    placed = np.zeros(round(total_s * RATE), dtype=np.float32)
    placed[round(start_s * RATE) :][: len(samples)] = samples
    return placed


def drone(pitch: float, seconds: float) -> np.ndarray:
    """Speech-like without pauses."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.05 * sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))).astype(np.float32)


def test_speech_is_found_where_it_is_and_silence_is_not(buzz):
    frames = speech_frames(at(buzz(120, 2.0), 2.0, 6.0))
    assert frames.shape == (200,) and frames.dtype == bool
    assert not frames[:66].any() and not frames[140:].any()  # the detector hangs on for a few frames
    assert frames[66:134].mean() > 0.6


def test_stretches_are_the_runs_of_frames_in_samples():
    frames = np.array([1, 1, 0, 0, 1, 0, 1, 1], dtype=bool)
    assert stretches_of(frames) == ((0, 960), (1920, 2400), (2880, 3840))
    assert stretches_of(np.zeros(5, bool)) == stretches_of(np.zeros(0, bool)) == ()
    assert stretches_of(np.ones(3, bool)) == ((0, 1440),)


def test_crops_are_the_same_where_the_activity_is_known(buzz):
    samples = at(buzz(120, 2.0), 2.0, 6.0)
    assert best_crops(samples, RATE, 4, frames=speech_frames(samples)) == best_crops(samples, RATE, 4)


def test_only_whole_frames_count():
    assert len(speech_frames(np.zeros(FRAME - 1))) == 0
    assert len(speech_frames(np.zeros(3 * FRAME + 479))) == 3


def test_samples_beyond_full_scale_do_not_wrap_around(buzz):
    loud = 30 * buzz(120, 1.0)
    assert np.array_equal(speech_frames(loud), speech_frames(loud.clip(-1, 1)))


@pytest.mark.parametrize("start", [0.0, 1.1, 2.9, 4.0])
def test_the_first_crop_holds_the_speech(start):
    samples = at(drone(120, 1.0), start, 5.0)
    crop = best_crops(samples, RATE, 4)[0]
    assert crop.start % FRAME == 0
    assert abs(crop.start / RATE - start) < 0.1  # the detector's hang-over at the end may shift it
    assert crop.speech > 0.85


def test_a_crop_of_full_speech_has_share_1_and_comes_first():
    crops = best_crops(at(drone(120, 3.0), 1.0, 6.0), RATE, 9)
    assert crops[0].speech == 1.0
    assert [crop.speech for crop in crops[1:]] == sorted((crop.speech for crop in crops[1:]), reverse=True)


def test_other_crops_lie_on_a_half_second_grid_and_hold_nearly_as_much():
    crops = best_crops(at(drone(120, 3.0), 1.0, 6.0), RATE, 9)
    assert len(crops) > 3 and len({crop.start for crop in crops}) == len(crops)
    for crop in crops[1:]:
        assert crop.start % (17 * FRAME) == 0  # 0.51 s
        assert crop.speech >= 0.9 * crops[0].speech
        assert 0.9 * RATE <= crop.start <= 3.2 * RATE
    assert best_crops(at(drone(120, 3.0), 1.0, 6.0), RATE, 2) == crops[:2]


def test_others_come_in_the_order_of_their_speech_then_of_their_place():
    """Speech from 1.5 s to 3.5 s: crops that hold less of it come later, and of equals the first comes first."""
    crops = best_crops(at(drone(120, 2.0), 1.5, 6.0), RATE, 99, min_share=0.1)[1:]
    assert len({crop.speech for crop in crops}) > 2 and len(crops) > 4
    assert crops == sorted(crops, key=lambda crop: (-crop.speech, crop.start))
    assert crops != sorted(crops, key=lambda crop: crop.start)


def test_a_crop_of_silence_is_never_taken():
    """It has no loudness to scale from."""
    crops = best_crops(at(drone(120, 1.0), 0.0, 5.0), RATE, 99, min_share=0.0)
    assert crops and all(np.isfinite(crop.lufs) and crop.start < 1.2 * RATE for crop in crops)


def test_share_is_counted_in_the_crop():
    samples = at(drone(120, 1.0), 1.0, 3.0)
    active = speech_frames(samples)
    for crop in best_crops(samples, RATE, 9, min_share=0.1):
        first = crop.start // FRAME
        assert crop.speech == pytest.approx(active[first : first + 33].mean())


def test_crops_lie_inside_the_utterance(buzz):
    samples = buzz(120, 3.7)
    for size in (RATE, RATE + 7, 2 * RATE, 3 * RATE):
        for crop in best_crops(samples, size, 99):
            assert 0 <= crop.start <= len(samples) - size


def test_loudness_is_that_of_the_crop():
    """BS.1770: a 997 Hz sine of full scale has -3.01 LUFS; this detector takes one for speech."""
    tone = np.sin(2 * np.pi * 997 * np.arange(3 * RATE) / RATE).astype(np.float32)
    crops = best_crops(np.concatenate([0.2 * tone, 0.05 * tone]), RATE, 99, min_share=0.0)
    first = [crop.lufs for crop in crops if crop.start <= 2 * RATE]
    second = [crop.lufs for crop in crops if crop.start >= 3 * RATE]
    assert len(first) > 2 and first == pytest.approx([20 * np.log10(0.2) - 3.01] * len(first), abs=0.1)
    assert len(second) > 2 and second == pytest.approx([20 * np.log10(0.05) - 3.01] * len(second), abs=0.1)


def test_too_short_silent_or_inaudible_utterances_have_no_crop(buzz):
    assert best_crops(buzz(120, 0.99), RATE, 4) == []
    assert best_crops(np.zeros(2 * RATE, dtype=np.float32), RATE, 4) == []
    assert best_crops(np.zeros(0, dtype=np.float32), RATE, 4) == []


def test_an_utterance_as_long_as_the_crop_has_one(buzz):
    crops = best_crops(buzz(120, 1.0), RATE, 4)
    assert [crop.start for crop in crops] == [0]


def test_a_crop_with_an_offset_is_as_loud_as_without_it(buzz):
    speech = buzz(120, 3.0)
    speech -= speech.mean()
    plain = best_crops(speech, RATE, 4)
    moved = best_crops(speech + np.float32(0.05), RATE, 4)
    assert [crop.start for crop in moved] == [crop.start for crop in plain]
    assert [crop.dc for crop in moved] == pytest.approx([0.05] * len(plain), abs=0.005)
    for one, other in zip(plain, moved, strict=True):
        assert other.lufs == pytest.approx(one.lufs, abs=0.02)
