"""Impulse responses: of a folder, or simulated."""

import numpy as np
import pytest
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.mixing.rooms import RecordedRooms, SimulatedRooms, simulated


def t60_of(response: np.ndarray) -> float:
    """From the decay between -5 and -25 dB (Schroeder 1965), in seconds."""
    left = 10 * np.log10(np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1] + 1e-30)
    left -= left[0]
    first, last = int((left < -5).argmax()), int((left < -25).argmax())
    return 3 * (last - first) / 16000


@pytest.fixture
def folder(tmp_path):
    """Two rooms: one with three places, one with one."""
    for room, heights in (("hall", (0.1, 0.2, 0.3)), ("cell", (0.4,))):
        for place, height in enumerate(heights):
            (tmp_path / room).mkdir(exist_ok=True)
            soundfile.write(tmp_path / room / f"{place}.wav", np.float32([0, height, 0]), 16000, subtype="FLOAT")
    return tmp_path


def test_a_recorded_mixture_is_in_one_room_at_different_places(folder):
    rooms, seen = RecordedRooms(folder), set()
    for seed in range(20):
        heights = sorted(float(response.max()) for response in rooms.draw(2, np.random.default_rng(seed)))
        seen.add(tuple(round(height, 3) for height in heights))
    assert seen == {(0.1, 0.2), (0.1, 0.3), (0.2, 0.3), (0.4, 0.4)}  # a room with one place has both there


def test_a_folder_without_responses_is_told(tmp_path):
    with pytest.raises(UserError, match="wanted impulse responses \\(.wav or .flac at 16 kHz\\), found no such file"):
        RecordedRooms(tmp_path)


def test_a_silent_response_is_told(tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros(100), 16000)
    with pytest.raises(UserError, match="empty.wav: wanted an impulse response, found silence; take the file away"):
        RecordedRooms(tmp_path).draw(1, np.random.default_rng(0))


def test_a_response_of_another_rate_is_told(tmp_path):
    soundfile.write(tmp_path / "rate.wav", np.ones(100), 8000)
    with pytest.raises(UserError, match="rate.wav: .*8000"):
        RecordedRooms(tmp_path).draw(1, np.random.default_rng(0))


def test_a_simulated_room_is_the_same_whoever_draws_it_and_when():
    pytest.importorskip("pyroomacoustics")
    first, second = (SimulatedRooms(2, (0.15, 0.2), 3) for _ in range(2))
    second.draw(1, np.random.default_rng(5))
    drawn = [rooms.draw(2, np.random.default_rng(8)) for rooms in (first, second)]
    assert all(np.array_equal(one, other) for one, other in zip(*drawn, strict=True))
    assert not np.array_equal(*(response[:2000] for response in drawn[0])) and drawn[0][0].dtype == np.float32
    for seed in range(9):
        first.draw(3, np.random.default_rng(seed))
    assert sorted(first.made) == [0, 1]


@pytest.mark.parametrize("t60", [0.2, 0.4])
def test_a_simulated_room_decays_as_asked(t60):
    pytest.importorskip("pyroomacoustics")
    found = [t60_of(simulated(np.random.default_rng(seed), (t60, t60), 1)[0]) for seed in range(4)]
    assert 0.6 * t60 < np.median(found) < 1.5 * t60
