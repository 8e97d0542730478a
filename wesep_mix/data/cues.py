"""Cues: what an extractor in training is given an embedding of, drawn for every talker of every mixture.

The draw is seeded by the item and leaves the mixtures themselves as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from wesep_mix.base.seeds import rng_for
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.mixing.draw import Pool, draw_enrolment
from wesep_mix.mixing.plan import Source
from wesep_mix.mixing.render import render_source

KINDS = ("predicted", "clean", "enrolment")
ENROLMENT = KINDS.index("enrolment")
NOBODY = -1  # in the place of a talker whom the mixture does not have, or who is no target


def as_chance(numbers: np.ndarray) -> Tensor:
    """float64 in [0, 1) -> float32 in [0, 1): rounding must not give 1."""
    return torch.tensor(numbers, dtype=torch.float32).clamp(max=1 - 2**-24)


def choose(count: Tensor | int, chance: Tensor) -> Tensor:
    """Choose a number from 0 to count - 1, all equally likely.

    Args:
        count: how many there are to choose from, int64 [...] or one for all.
        chance: random numbers in [0, 1), float32 [...].

    Returns:
        int64 [...].
    """
    return (chance * count).long()


@dataclass(frozen=True)
class Cues:
    """The cues of one mixture with S talkers."""

    kinds: np.ndarray  # int64 [S], index into KINDS, or NOBODY
    enrolments: tuple[Source, ...]  # of the talkers whose kind is enrolment, in their order
    audio: tuple[np.ndarray, ...]  # of each enrolment: float32 [its num_samples]


@dataclass
class CueBatch:
    """The cues of a batch; M of its talkers have an enrolment as cue, mixture by mixture."""

    kinds: Tensor  # int64 [B, S]
    enrolments: list[Source]  # M
    wav: Tensor  # [M, longest]
    num_samples: Tensor  # int64 [M]

    def to(self, device: torch.device, non_blocking: bool = False) -> CueBatch:
        moved = {
            name: getattr(self, name).to(device, non_blocking=non_blocking) for name in ("kinds", "wav", "num_samples")
        }
        return dataclasses.replace(self, **moved)


class MixturesWithCues(Dataset):
    """The examples of another dataset with `cues`, which depend on (seed, item) alone.

    probabilities: of each kind, in any scale. pool: where enrolments are taken from. targets: `all` talkers, or one
    that the example's own chance chooses at `random`.
    """

    def __init__(
        self,
        mixtures: Dataset,
        probabilities: Mapping[str, float],
        pool: Pool,
        seed: int,
        targets: str = "all",
    ):
        self.mixtures, self.pool, self.seed, self.targets = mixtures, pool, seed, targets
        in_order = [probabilities[kind] for kind in KINDS]
        self.probabilities = np.asarray(in_order, dtype=np.float64) / sum(in_order)

    def __len__(self) -> int:
        return len(self.mixtures)

    def __getitem__(self, item: Any) -> Any:
        example = self.mixtures[item]
        names = (item.epoch, item.index) if isinstance(item, tuple) else (item,)  # a Turn, or a fixed plan's place
        rng = rng_for(self.seed, "conditions", *names)
        sources = example.plan.sources
        kinds = rng.choice(len(KINDS), size=len(sources), p=self.probabilities)
        drawn = {place: draw_enrolment(self.pool, sources[place], rng) for place in np.flatnonzero(kinds == ENROLMENT)}
        if self.targets == "random":  # after all are drawn, so that `targets` changes no enrolment
            target = int(choose(len(sources), as_chance(example.chance)[0]))
            kinds[np.arange(len(kinds)) != target] = NOBODY
        enrolments = tuple(drawn[place] for place in np.flatnonzero(kinds == ENROLMENT))
        audio = tuple(render_source(source, SAMPLE_RATE) for source in enrolments)
        return dataclasses.replace(example, cues=Cues(kinds, enrolments, audio))


def with_cues(
    mixtures: Dataset, prepared: PreparedSet, probabilities: Mapping[str, float], seed: int, targets: str
) -> MixturesWithCues:
    """Add cues to the mixtures of a prepared set; enrolments are utterances of the same set.

    A note is printed if some speakers have only one utterance, so that their enrolment is another crop of it.

    Args:
        mixtures: a dataset of the set's mixtures.
        prepared: the set.
        probabilities: of each kind, in any scale.
        seed: of the draw.
        targets: `all` or `random` (see MixturesWithCues).

    Returns:
        The dataset with cues.
    """
    pool, folder = prepared.pool, prepared.folder
    alone = [spk for spk in pool.speakers if len(pool.speech[spk]) == 1]
    if alone and probabilities["enrolment"] > 0:
        print(
            f"note: {folder}: {len(alone)} of {len(pool.speakers)} speakers (such as {alone[0]}) have one utterance: "
            "their enrolment is another crop of it, or the same where it has but one",
            flush=True,
        )
    return MixturesWithCues(mixtures, probabilities, pool, seed, targets)


def collate_cues(cues: Sequence[Cues]) -> CueBatch:
    """Make one batch of the cues of B mixtures, on the CPU."""
    num_spk = max(len(one.kinds) for one in cues)
    kinds = torch.full((len(cues), num_spk), NOBODY, dtype=torch.int64)
    for row, one in zip(kinds, cues, strict=True):
        row[: len(one.kinds)] = torch.from_numpy(one.kinds)
    audio = [torch.from_numpy(samples) for one in cues for samples in one.audio]
    wav = torch.nn.utils.rnn.pad_sequence(audio, batch_first=True) if audio else torch.zeros(0, 0)
    enrolments = [source for one in cues for source in one.enrolments]
    return CueBatch(kinds, enrolments, wav, torch.tensor([len(samples) for samples in audio], dtype=torch.int64))
