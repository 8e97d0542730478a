"""One mixture with all that training may ask of it, and a batch of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import Rendered


@dataclass(frozen=True)
class Example:
    """A plan, its audio, and two numbers in [0, 1) for choices that training makes (target, chunk)."""

    plan: Plan
    audio: Rendered
    chance: np.ndarray  # [2]


@dataclass
class MixBatch:
    """Mixtures padded with zeros to the longest: float32 audio, int64 lengths and places in samples."""

    mix: Tensor  # [B, T]
    sources: Tensor  # [B, S, T]
    num_samples: Tensor  # [B]
    offsets: Tensor  # [B, S], where each source begins
    sizes: Tensor  # [B, S], how long each source is
    chance: Tensor  # [B, 2]
    plans: list[Plan]

    def to(self, device: torch.device, non_blocking: bool = False) -> MixBatch:
        moved = {
            field.name: value.to(device, non_blocking=non_blocking)
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return dataclasses.replace(self, **moved)

    def crops(self) -> Tensor:
        """The clean sources without the silence around them: [B, S, longest source]."""
        length = int(self.sizes.max())
        padded = torch.nn.functional.pad(self.sources, (0, length))
        return take(padded, self.offsets, length)


def take(signals: Tensor, starts: Tensor, length: int) -> Tensor:
    """`length` samples of each signal from its own start: [..., T], [...] -> [..., length]."""
    pairs = zip(signals.flatten(0, -2), starts.flatten().tolist(), strict=True)
    return torch.stack([row[start : start + length] for row, start in pairs]).unflatten(0, starts.shape)


def collate(examples: Sequence[Example]) -> MixBatch:
    plans = [example.plan for example in examples]
    longest = max(plan.num_samples for plan in plans)
    mix = torch.zeros(len(plans), longest)
    sources = torch.zeros(len(plans), len(plans[0].sources), longest)
    for row, example in enumerate(examples):
        mix[row, : example.plan.num_samples] = torch.from_numpy(example.audio.mix)
        sources[row, :, : example.plan.num_samples] = torch.from_numpy(example.audio.sources)
    chance = np.stack([example.chance for example in examples])
    return MixBatch(
        mix=mix,
        sources=sources,
        num_samples=torch.tensor([plan.num_samples for plan in plans]),
        offsets=torch.tensor([[source.offset for source in plan.sources] for plan in plans]),
        sizes=torch.tensor([[source.num_samples for source in plan.sources] for plan in plans]),
        chance=torch.tensor(chance, dtype=torch.float32).clamp(max=1 - 2**-24),  # rounding must not reach 1
        plans=plans,
    )
