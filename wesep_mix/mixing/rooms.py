"""Impulse responses of rooms: of a folder, or simulated by the image-source method (Allen and Berkley 1979)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.io.audio import SAMPLE_RATE, read_audio

SUFFIXES = (".wav", ".flac")
LOWEST, HIGHEST = np.array([3.0, 3.0, 2.4]), np.array([8.0, 6.0, 3.5])  # sizes of simulated rooms in metres
HEADS, TABLE = (1.1, 1.8), (0.7, 1.5)  # heights of mouths and of the microphone
WALL = 0.5  # metres that nobody is nearer to a wall
DISTANCE = (0.4, 2.5)  # from the microphone, as far as the room allows


class Rooms(Protocol):
    """Rooms with several places each."""

    def draw(self, num_spk: int, rng: np.random.Generator) -> list[np.ndarray]:
        """The responses of so many places of a room, float32 [its length] each."""


class RecordedRooms:
    """Impulse responses of a folder: those of one folder below it are of one room.

    A room with fewer responses than talkers has some of them share one.

    Args:
        folder: of mono files at 16 kHz, .wav or .flac.

    Raises:
        UserError: there are none.
    """

    def __init__(self, folder: Path):
        by_room: dict[Path, list[Path]] = {}
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
            by_room.setdefault(path.parent, []).append(path)
        if not by_room:
            raise UserError(
                f"{folder}: wanted impulse responses ({' or '.join(SUFFIXES)} at 16 kHz), found no such file"
            )
        self.rooms: Sequence[Sequence[Path]] = list(by_room.values())

    def draw(self, num_spk: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Raises: UserError for a file that cannot be read, is of another rate, or silent."""
        room = self.rooms[int(rng.integers(len(self.rooms)))]
        places = rng.choice(len(room), size=num_spk, replace=len(room) < num_spk)
        responses = [read_audio(room[place]) for place in places]
        for place, response in zip(places, responses, strict=True):
            if not response.any():
                raise UserError(f"{room[place]}: wanted an impulse response, found silence; take the file away")
        return responses


class SimulatedRooms:
    """Rooms of boxes, each made when it is first drawn, the same for everybody who draws it.

    Args:
        num_rooms: how many there are.
        t60: shortest and longest reverberation time in seconds.
        num_places: of each room.
    """

    def __init__(self, num_rooms: int, t60: tuple[float, float], num_places: int):
        self.num_rooms, self.t60, self.num_places = num_rooms, t60, num_places
        self.made: dict[int, list[np.ndarray]] = {}

    def draw(self, num_spk: int, rng: np.random.Generator) -> list[np.ndarray]:
        """num_spk: up to the number of places."""
        number = int(rng.integers(self.num_rooms))
        places = rng.choice(self.num_places, size=num_spk, replace=False)
        if number not in self.made:
            self.made[number] = simulated(rng_for(0, "room", number), self.t60, self.num_places)
        return [self.made[number][place] for place in places]


def simulated(rng: np.random.Generator, t60: tuple[float, float], num_places: int) -> list[np.ndarray]:
    """Simulate a room with a microphone.

    Args:
        rng: draws its size, its walls and the places.
        t60: shortest and longest reverberation time in seconds, by Sabine's formula.
        num_places: of talkers.

    Returns:
        The response of each place, float32 [its length].
    """
    import pyroomacoustics  # here, for who simulates nothing needs no package

    pyroomacoustics.constants.set("num_threads", 1)  # with more of them sums have another order
    size = rng.uniform(LOWEST, HIGHEST)
    absorption, order = pyroomacoustics.inverse_sabine(float(rng.uniform(*t60)), size)
    room = pyroomacoustics.ShoeBox(
        size, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(absorption), max_order=order
    )
    microphone = np.array([*rng.uniform(WALL, size[:2] - WALL), rng.uniform(*TABLE)])
    room.add_microphone(microphone)
    for _ in range(num_places):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(*DISTANCE)
        around = microphone[:2] + distance * np.array([np.cos(angle), np.sin(angle)])
        room.add_source([*around.clip(WALL, size[:2] - WALL), rng.uniform(*HEADS)])
    room.compute_rir()
    return [np.asarray(response, dtype=np.float32) for response in room.rir[0]]
