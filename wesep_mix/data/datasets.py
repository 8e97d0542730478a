"""Mixtures for training and evaluation, rendered when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from wesep_mix.data.batch import Example, MixBatch, collate
from wesep_mix.mixing.draw import Pool, draw_plan
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import render


class DynamicMixtures(Dataset):
    """An endless stream of fresh mixtures: number k depends on (seed, k) alone, not on workers or ranks."""

    def __init__(self, pool: Pool, num_spk: int, seed: int):
        self.pool, self.num_spk, self.seed = pool, num_spk, seed

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng([self.seed, index])
        plan = draw_plan(self.pool, self.num_spk, rng)
        return Example(plan, render(plan), rng.random(2))


class FixedMixtures(Dataset):
    """The mixtures of a plan file, in its order."""

    def __init__(self, plans: Sequence[Plan]):
        self.plans = plans

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, index: int) -> Example:
        chance = np.random.default_rng(index).random(2)
        return Example(self.plans[index], render(self.plans[index]), chance)


class EpochSampler(Sampler):
    """Numbers of the mixtures of an epoch, `size` for each rank, new ones every epoch; ranks take turns.

    The epoch is set from outside (Lightning calls `set_epoch`), so a resumed run goes on where it stopped. Rank and
    number of ranks are those of torch.distributed when the epoch begins; without it there is one rank.
    """

    def __init__(self, size: int):
        self.size, self.epoch = size, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        spread = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank, num_ranks = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if spread else (0, 1)
        first = self.epoch * self.size * num_ranks
        return iter(range(first + rank, first + self.size * num_ranks, num_ranks))


def dynamic_loader(
    dataset: Dataset, batch_size: int, steps_per_epoch: int, num_workers: int
) -> DataLoader[MixBatch]:
    """`steps_per_epoch` batches of `batch_size` an epoch, on each rank."""
    sampler = EpochSampler(batch_size * steps_per_epoch)
    return DataLoader(
        dataset, batch_size, sampler=sampler, num_workers=num_workers, collate_fn=collate, drop_last=True,
        persistent_workers=num_workers > 0,
    )


def fixed_loader(plans: Sequence[Plan], batch_size: int, num_workers: int = 0) -> DataLoader[MixBatch]:
    """The plans in order, the last batch may be smaller."""
    return DataLoader(FixedMixtures(plans), batch_size, num_workers=num_workers, collate_fn=collate)
