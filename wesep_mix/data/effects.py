"""Effects on the mixtures of a training, drawn for every mixture (mixing.effects).

The draw is seeded by the item and leaves the mixtures themselves as they are. Teachers embed talkers as they were
before a room changed them: who speaks does not depend on where.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from wesep_mix.base.seeds import rng_for
from wesep_mix.data.batch import Example
from wesep_mix.mixing import effects
from wesep_mix.mixing.render import Rendered
from wesep_mix.mixing.rooms import RecordedRooms, Rooms, SimulatedRooms
from wesep_mix.preparation.settings import EffectsConfig


class MixturesWithEffects(Dataset):
    """The examples of a training stream with effects, which depend on (seed, item) alone.

    Args:
        mixtures: a stream that is asked by `Turn`.
        config: which effects, and how often.
        rooms: for reverberation; None where there is none.
        seed: of the draw.
    """

    def __init__(self, mixtures: Dataset, config: EffectsConfig, rooms: Rooms | None, seed: int):
        self.mixtures, self.config, self.rooms, self.seed = mixtures, config, rooms, seed

    def __getitem__(self, turn: tuple) -> Example:
        example = self.mixtures[turn]
        rng = rng_for(self.seed, "effects", turn[0], turn[1])
        happens = [name for name, share in self.config.shares.items() if rng.random() < share]
        audio = example.audio
        for name in happens:
            audio = applied(name, audio, rng, self.rooms)
        dry = None if audio.sources is example.audio.sources else example.audio.sources  # most effects leave them
        return dataclasses.replace(example, audio=audio, dry=dry)


def applied(name: str, audio: Rendered, rng: np.random.Generator, rooms: Rooms | None) -> Rendered:
    """One effect on a mixture, as strong as it is drawn.

    Args:
        name: of the effect, as in the settings.
        audio: the mixture.
        rng: draws how strong.
        rooms: for reverberation.

    Returns:
        The mixture after it.
    """
    if name == "reverberation":
        return effects.reverberated(audio, rooms.draw(len(audio.sources), rng))
    if name == "clipping":
        return effects.clipped(audio, float(rng.uniform(*effects.CLIPPED_AT)))
    if name == "band_limit":
        return effects.band_limited(
            audio, float(rng.uniform(*effects.CUTOFF_HZ)), effects.LOW_HZ if rng.random() < 0.5 else 0.0
        )
    kind = list(effects.CODECS)[int(rng.integers(len(effects.CODECS)))]
    strengths = effects.CODECS[kind]
    return effects.coded(audio, kind, None if strengths is None else float(rng.uniform(*strengths)))


def with_effects(mixtures: Dataset, config: EffectsConfig, num_spk: int, seed: int) -> Dataset:
    """Add effects to a training stream.

    Args:
        mixtures: a stream that is asked by `Turn`.
        config: which effects, and how often.
        num_spk: the most talkers of a mixture.
        seed: of the draw.

    Returns:
        The stream with effects; the same stream where there are none.

    Raises:
        UserError: rooms are wanted that cannot be simulated or read.
    """
    if not any(config.shares.values()):
        return mixtures
    return MixturesWithEffects(mixtures, config, rooms_of(config, num_spk) if config.reverberation else None, seed)


def rooms_of(config: EffectsConfig, num_places: int) -> Rooms:
    """The rooms that the settings want, with so many places. Raises: UserError as `with_effects`."""
    if config.rooms:
        return RecordedRooms(Path(config.rooms))
    return SimulatedRooms(config.num_rooms, config.t60, num_places)
