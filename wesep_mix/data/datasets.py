"""Mixtures of a prepared set (such as data/CORPUS/2mix/train) for training and evaluation, rendered when asked for.

Three datasets: an endless stream of fresh mixtures, an endless stream of fixed plans, and fixed plans once in order.
The streams are asked by `Turn`; loaders make batches of each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset, Sampler

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.data.batch import Example
from wesep_mix.data.loading import Loader
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.io.audio import Read, read_audio
from wesep_mix.mixing.draw import Pool, at_speed, draw_plan
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import render


class Turn(NamedTuple):
    """Which item of a training stream is asked for: `index` counts within the epoch, `number` from the start."""

    epoch: int
    index: int
    number: int


class DynamicMixtures(Dataset):
    """An endless stream of fresh mixtures; each depends on (seed, stream, epoch, index) alone, not on workers or ranks.

    min_talkers: also draw the number of talkers, from this to `num_spk`; None: always `num_spk`.
    talkers: `even`, all of these numbers equally likely; `by_number`, in proportion to the number.
    speeds: each talker is as fast as one of these says, all equally likely.
    stream: trainings with different streams hear different mixtures, so that an extractor does not hear those that its
    student has learnt.
    """

    def __init__(
        self,
        pool: Pool,
        num_spk: int,
        seed: int,
        min_talkers: int | None = None,
        stream: int = 0,
        talkers: str = "even",
        speeds: Sequence[float] = (1.0,),
    ):
        self.pool, self.num_spk, self.seed = pool, num_spk, seed
        self.min_talkers, self.stream, self.talkers, self.speeds = min_talkers, stream, talkers, speeds

    def __getitem__(self, turn: Turn) -> Example:
        of_stream = (self.stream,) if self.stream else ()
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, turn.epoch, turn.index], spawn_key=of_stream))
        plan = draw_plan(self.pool, _num_talkers(self.num_spk, self.min_talkers, self.talkers, rng), rng)
        if tuple(self.speeds) != (1.0,):
            plan = _at_speeds(plan, self.speeds, rng_for(self.seed, "speed", *of_stream, turn.epoch, turn.index))
        return Example(plan, render(plan), rng.random(2))


def _at_speeds(plan: Plan, speeds: Sequence[float], rng: np.random.Generator) -> Plan:
    drawn = rng.choice(speeds, size=len(plan.sources)).tolist()
    return dataclasses.replace(plan, sources=tuple(map(at_speed, plan.sources, drawn)))


class StaticMixtures(Dataset):
    """An endless stream of fixed plans, over and over, each round in a new order.

    Every plan comes once before any comes again, however many make an epoch of the training.
    """

    def __init__(self, plans: Sequence[Plan], seed: int):
        self.plans, self.seed = plans, seed
        self._round, self._order = -1, np.zeros(0, dtype=int)

    def __getitem__(self, turn: Turn) -> Example:
        chance = np.random.default_rng([self.seed, turn.epoch, turn.index]).random(2)
        plan = self.plans[self._place(turn.number)]
        return Example(plan, render(plan), chance)

    def _place(self, number: int) -> int:
        this_round, place = divmod(number, len(self.plans))
        if this_round != self._round:
            self._round = this_round
            self._order = rng_for(self.seed, "round", this_round).permutation(len(self.plans))
        return int(self._order[place])


class FixedMixtures(Dataset):
    """The mixtures of a plan file, in its order."""

    def __init__(self, plans: Sequence[Plan], read: Read = read_audio):
        self.plans, self.read = plans, read

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, index: int) -> Example:
        chance = np.random.default_rng(index).random(2)
        return Example(self.plans[index], render(self.plans[index], self.read), chance)


class Share(NamedTuple):
    """Which of several processes this one is; it takes every `of`-th item, from number `rank` on."""

    rank: int = 0
    of: int = 1


ALL = Share()


class EpochSampler(Sampler[Turn]):
    """This process's share of the turns of an epoch, new ones every epoch.

    The epoch is set from outside (Lightning calls `set_epoch`), so that a resumed run goes on where it stopped. All
    shares together are the same turns for any number of processes, and so is each batch of all processes together.

    Args:
        size: turns of an epoch, of all processes together.
        share: of this process.

    Attributes:
        skip: turns of this share that the epoch with this number begins behind: (epoch, number). They were taken before
            the training was stopped.
    """

    def __init__(self, size: int, share: Share = ALL):
        self.size, self.share, self.epoch, self.skip = size, share, 0, (0, 0)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // self.share.of

    def __iter__(self) -> Iterator[Turn]:
        epoch, (skipped_in, num_skipped) = self.epoch, self.skip
        first = self.share.rank + (num_skipped * self.share.of if epoch == skipped_in else 0)
        return (Turn(epoch, index, epoch * self.size + index) for index in range(first, self.size, self.share.of))


def training_mixtures(
    prepared: PreparedSet,
    num_spk: int,
    seed: int,
    plans: str = "dynamic",
    min_talkers: int | None = None,
    stream: int = 0,
    talkers: str = "even",
    speeds: Sequence[float] = (1.0,),
) -> Dataset:
    """Make the training stream of a prepared set.

    Args:
        prepared: the set.
        num_spk: talkers in a mixture, at most.
        seed: of the stream.
        plans: `dynamic`, fresh mixtures for ever; `static`, the set's fixed plans, in a new order each round.
        min_talkers: least number of talkers in a dynamic mixture; None: always `num_spk`.
        stream: dynamic mixtures of another stream are others.
        talkers: how the number is drawn, `even` or `by_number`.
        speeds: of talkers in dynamic mixtures, drawn anew for each.

    Returns:
        A dataset that is asked by `Turn`.

    Raises:
        UserError: another word for `plans`, static plans with `min_talkers`, or damaged lists or plans.
    """
    if plans == "dynamic":
        return DynamicMixtures(prepared.pool, num_spk, seed, min_talkers, stream, talkers, speeds)
    if plans == "static" and min_talkers is not None:
        raise UserError(
            f"plans: static ones have their number of talkers, wanted dynamic with min_talkers "
            f"{min_talkers}, found static"
        )
    if plans == "static":
        return StaticMixtures(prepared.plans, seed)
    raise UserError(f"plans: wanted dynamic or static, found {plans}")


def dev_plans(prepared: PreparedSet, num_spk: int, min_talkers: int | None = None, talkers: str = "even") -> list[Plan]:
    """The plans on which a training is validated.

    Args:
        prepared: the set.
        num_spk: talkers in a mixture, at most.
        min_talkers: None: the set's fixed plans; else as many plans with this to `num_spk` talkers, drawn from the same
            lists and the same every time.
        talkers: how the number is drawn, `even` or `by_number`.

    Returns:
        The plans.
    """
    if min_talkers is None:
        return prepared.plans
    drawn = []
    for place in range(len(prepared.plans)):
        rng = rng_for(0, "dev", place)
        drawn.append(draw_plan(prepared.pool, _num_talkers(num_spk, min_talkers, talkers, rng), rng, best_crop=True))
    return drawn


def _num_talkers(num_spk: int, min_talkers: int | None, talkers: str, rng: np.random.Generator) -> int:
    if min_talkers is None:
        return num_spk
    if talkers == "even":
        return int(rng.integers(min_talkers, num_spk + 1))
    numbers = np.arange(min_talkers, num_spk + 1)
    return int(rng.choice(numbers, p=numbers / numbers.sum()))


def dynamic_loader(
    dataset: Dataset,
    batch_size: int,
    steps_per_epoch: int,
    num_workers: int,
    share: Share = ALL,
    accumulate: int = 1,
) -> Loader:
    """Load a stream in epochs.

    Args:
        dataset: a stream that is asked by `Turn`.
        batch_size: mixtures of an optimiser step, of all processes together.
        steps_per_epoch: optimiser steps of an epoch.
        num_workers: worker processes, 0 for none.
        share: of this process.
        accumulate: batches whose gradients are summed for a step.

    Returns:
        A loader of batches; each has `batch_size` / processes / `accumulate` mixtures.

    Raises:
        UserError: `batch_size` cannot be divided so.
    """
    size, rest = divmod(batch_size, share.of * accumulate)
    if rest:
        raise UserError(
            f"batch_size {batch_size}: wanted a multiple of {share.of * accumulate}, {share.of} processes times "
            f"{accumulate} batches a step (trainer.accumulate)"
        )
    sampler = EpochSampler(batch_size * steps_per_epoch, share)
    return Loader(dataset, size, num_workers, sampler=sampler, drop_last=True, persistent_workers=num_workers > 0)


def fixed_loader(plans: Sequence[Plan], batch_size: int, num_workers: int = 0, read: Read = read_audio) -> Loader:
    """Load fixed plans in order; the last batch may be smaller.

    Args:
        plans: the plans.
        batch_size: mixtures in a batch.
        num_workers: worker processes, 0 for none.
        read: `read_audio`, or another way to the same samples (for a test).

    Returns:
        A loader of batches.
    """
    return loader_in_order(FixedMixtures(plans, read), batch_size, num_workers)


def loader_in_order(dataset: Dataset, batch_size: int, num_workers: int = 0, share: Share = ALL) -> Loader:
    """Load a dataset of fixed size in order; the last batch may be smaller.

    Args:
        dataset: examples by index.
        batch_size: mixtures in a batch.
        num_workers: worker processes, 0 for none.
        share: of this process.

    Returns:
        A loader of batches.

    Raises:
        UserError: there are more processes than examples.
    """
    if len(dataset) < share.of:
        raise UserError(f"dev set: wanted an example for each of {share.of} processes, found {len(dataset)}")
    return Loader(dataset, batch_size, num_workers, sampler=range(share.rank, len(dataset), share.of))
