"""One mixture with all that training may ask of it, a batch of them, and chunks of the batch's signals.

Mixtures of a batch have different lengths and numbers of talkers. Training takes chunks of one length from them, each
from a place of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wesep_mix.data.cues import CueBatch, Cues, as_chance, choose, collate_cues
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.mixing.activity import Activity
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import Rendered


@dataclass(frozen=True)
class Example:
    """A plan, its audio, and two numbers in [0, 1) for choices that training makes (which target, which chunk).

    cues: what an extractor is given an embedding of, if that is drawn (data.cues).
    dry: the sources as they were before effects changed them (data.effects), if any did.
    """

    plan: Plan
    audio: Rendered
    chance: np.ndarray  # [2]
    cues: Cues | None = None
    dry: np.ndarray | None = None  # [S, T]


@dataclass
class MixBatch:
    """B mixtures, padded with zeros to the longest: audio is float32; lengths and places are int64, in samples.

    A mixture with fewer than S talkers has zeros in the places of the missing ones.
    """

    mix: Tensor  # [B, T]
    sources: Tensor  # [B, S, T]
    num_spk: Tensor  # int64 [B]
    num_samples: Tensor  # [B]
    offsets: Tensor  # [B, S], where each source begins
    sizes: Tensor  # [B, S], how long each source is
    chance: Tensor  # [B, 2]
    plans: list[Plan]
    cues: CueBatch | None = None  # if they are drawn
    dry: Tensor | None = None  # [B, S, T], the sources before effects, where some mixture had such

    def to(self, device: torch.device, non_blocking: bool = False) -> MixBatch:
        moved = {
            field.name: value.to(device, non_blocking=non_blocking)
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), (Tensor, CueBatch))
        }
        return dataclasses.replace(self, **moved)

    def pinned(self) -> MixBatch:
        """The same in pinned memory, from which a copy to a GPU does not wait."""
        moved = {
            field.name: value.pin_memory()
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return dataclasses.replace(self, **moved)

    def crops(self) -> Tensor:
        """The clean, dry sources without the silence around them: [B, S, longest source]."""
        length = int(self.sizes.max())
        padded = torch.nn.functional.pad(self.sources if self.dry is None else self.dry, (0, length))
        return take(padded, self.offsets, length)

    def talkers(self) -> Tensor:
        """Which of the S places have a talker: bool [B, S]."""
        return torch.arange(self.sizes.shape[1], device=self.sizes.device) < self.num_spk[:, None]

    def activity(self, activity: Activity, hop_s: float) -> Tensor:
        """Who speaks when.

        Args:
            activity: of the set that the mixtures are of.
            hop_s: length of a frame in seconds.

        Returns:
            bool [B, S, L], false behind a mixture's end and where there is no talker.

        Raises:
            UserError: an utterance is not in the set.
        """
        found = [torch.from_numpy(activity.frames(plan, hop_s)) for plan in self.plans]
        frames = torch.zeros(*self.sizes.shape, max(one.shape[1] for one in found), dtype=torch.bool)
        for row, one in zip(frames, found, strict=True):
            row[: one.shape[0], : one.shape[1]] = one
        return frames.to(self.mix.device)

    def clean(self) -> tuple[Tensor, Tensor]:
        """The crops of all talkers, mixture by mixture: [M, longest], and their lengths: int64 [M]."""
        talkers = self.talkers()
        return self.crops()[talkers], self.sizes[talkers]

    def by_talker(self, rows: Tensor) -> Tensor:
        """Put rows like those of `clean` back to their talkers: [M, ...] -> [B, S, ...], zeros elsewhere."""
        placed = rows.new_zeros(*self.sizes.shape, *rows.shape[1:])
        placed[self.talkers()] = rows
        return placed


def take(signals: Tensor, starts: Tensor, length: int) -> Tensor:
    """Cut a stretch out of each signal.

    Args:
        signals: [..., T].
        starts: first sample of each stretch, int64 [...].
        length: samples of every stretch.

    Returns:
        [..., length].
    """
    pairs = zip(signals.flatten(0, -2), starts.flatten().tolist(), strict=True)
    return torch.stack([row[start : start + length] for row, start in pairs]).unflatten(0, starts.shape)


def collate(examples: Sequence[Example]) -> MixBatch:
    """Make one batch of B examples, on the CPU; either all of them have cues or none has."""
    plans = [example.plan for example in examples]
    longest = max(plan.num_samples for plan in plans)
    mix = torch.zeros(len(plans), longest)
    num_spk = [len(plan.sources) for plan in plans]
    sources = torch.zeros(len(plans), max(num_spk), longest)
    dry = torch.zeros_like(sources) if any(example.dry is not None for example in examples) else None
    offsets, sizes = torch.zeros(2, len(plans), max(num_spk), dtype=torch.int64)
    for row, (example, count) in enumerate(zip(examples, num_spk, strict=True)):
        mix[row, : example.plan.num_samples] = torch.from_numpy(example.audio.mix)
        sources[row, :count, : example.plan.num_samples] = torch.from_numpy(example.audio.sources)
        if dry is not None:
            own = example.audio.sources if example.dry is None else example.dry
            dry[row, :count, : example.plan.num_samples] = torch.from_numpy(own)
        offsets[row, :count] = torch.tensor([source.offset for source in example.plan.sources])
        sizes[row, :count] = torch.tensor([source.num_samples for source in example.plan.sources])
    chance = np.stack([example.chance for example in examples])
    cues = [example.cues for example in examples if example.cues is not None]
    return MixBatch(
        mix=mix,
        sources=sources,
        num_spk=torch.tensor(num_spk),
        num_samples=torch.tensor([plan.num_samples for plan in plans]),
        offsets=offsets,
        sizes=sizes,
        chance=as_chance(chance),
        plans=plans,
        cues=collate_cues(cues) if cues else None,
        dry=dry,
    )


def chunk_length(batch: MixBatch, chunk_s: float) -> int:
    """Length of the chunks of a batch.

    Args:
        batch: the mixtures.
        chunk_s: wanted length in seconds.

    Returns:
        `chunk_s` in samples; the batch's shortest mixture, if that is less.
    """
    return min(round(chunk_s * SAMPLE_RATE), int(batch.num_samples.min()))


def starts(first: Tensor | int, last: Tensor, chance: Tensor) -> Tensor:
    """Choose where chunks begin, all places equally likely.

    Args:
        first: the first place, int64 [M] or one for all.
        last: the last place, int64 [M].
        chance: random numbers in [0, 1), float [M].

    Returns:
        int64 [M].
    """
    return first + choose(last - first + 1, chance)
