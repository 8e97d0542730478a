"""Voice activity of recordings: what is taken for speech, beside the same network frame by frame."""

import warnings

import numpy as np
import pytest
import torch

from wesep_mix.inference.voice import FRAME, SPEECH, has_speech, is_speech, voice_frames, voice_stretches

RATE = 16000


def test_speech_is_found_and_nothing_else(spoken):
    rng = np.random.default_rng(0)
    voice, noise = spoken(0, 4.0), rng.standard_normal(4 * RATE)
    assert voice_frames(voice).mean() > 0.7
    assert is_speech(voice + 10 ** (-5 / 20) * voice.std() * noise)
    for other in (noise, 0.01 * noise, np.zeros(4 * RATE), np.sin(np.arange(4 * RATE) / 5)):
        assert not is_speech(other)


def test_it_is_the_same_network_as_frame_by_frame(spoken):
    wav = np.concatenate([np.zeros(RATE, dtype=np.float32), spoken(1, 3.0), np.zeros(1000, dtype=np.float32)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, that such files are of a kind that goes
        from silero_vad import load_silero_vad

        stream = load_silero_vad()
    padded = np.pad(wav, (0, -len(wav) % FRAME))
    with torch.inference_mode():
        told = [stream(torch.from_numpy(padded[k : k + FRAME]), RATE).item() for k in range(0, len(padded), FRAME)]
    clear = np.abs(np.array(told) - SPEECH) > 1e-3
    assert clear.mean() > 0.9 and np.array_equal((np.array(told) >= SPEECH)[clear], voice_frames(wav)[clear])


def test_stretches_end_with_the_recording():
    frames = np.array([0, 1, 1, 0, 1], dtype=bool)
    assert voice_stretches(frames, 2100) == ((512, 1536), (2048, 2100))
    assert voice_stretches(frames[:1], 512) == ()


@pytest.mark.parametrize(("frames", "told"), [((), False), ((0,) * 10, False), ((1,) + (0,) * 9, True)])
def test_a_tenth_of_a_window_has_to_be_speech(frames, told):
    assert has_speech(np.array(frames, dtype=bool)) is told


def test_torch_keeps_its_threads(monkeypatch):
    from wesep_mix.inference import voice

    before = torch.get_num_threads()
    monkeypatch.delitem(__import__("sys").modules, "silero_vad.model", raising=False)
    monkeypatch.delitem(__import__("sys").modules, "silero_vad", raising=False)
    torch.set_num_threads(3)
    try:
        voice._network.__wrapped__()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
