import dataclasses

import numpy as np
import pytest
import torch

from wesep_mix.data.batch import Example, collate, take
from wesep_mix.mixing.draw import draw_plan
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import render


@pytest.fixture(scope="module")
def examples(plans):
    """Two mixtures of different lengths; in the first one the second talker is cut short."""
    short = min(plans, key=lambda plan: plan.num_samples)
    long = max(plans, key=lambda plan: plan.num_samples)
    assert short.num_samples < long.num_samples
    first, second = long.sources
    sources = (first, dataclasses.replace(second, num_samples=3000))
    plan = dataclasses.replace(long, sources=sources, num_samples=8000)
    return [Example(plan, render(plan), np.array([0.25, 0.5])), Example(short, render(short), np.array([0.0, 0.75]))]


def test_shorter_mixtures_are_filled_up_with_zeros(examples):
    batch = collate(examples)
    longest = examples[1].plan.num_samples
    assert longest > examples[0].plan.num_samples
    assert batch.mix.shape == (2, longest) and batch.sources.shape == (2, 2, longest)
    for row, example in enumerate(examples):
        size = example.plan.num_samples
        assert int(batch.num_samples[row]) == size
        assert np.array_equal(batch.mix[row, :size].numpy(), example.audio.mix)
        assert np.array_equal(batch.sources[row, :, :size].numpy(), example.audio.sources)
        assert not batch.mix[row, size:].any() and not batch.sources[row, :, size:].any()


def test_types_places_and_plans(examples):
    batch = collate(examples)
    assert batch.mix.dtype == batch.sources.dtype == batch.chance.dtype == torch.float32
    assert batch.num_samples.dtype == batch.offsets.dtype == batch.sizes.dtype == torch.int64
    assert batch.offsets.tolist() == [[source.offset for source in e.plan.sources] for e in examples]
    assert batch.sizes.tolist() == [[8000, 3000], [8000, 8000]]
    assert batch.chance.tolist() == [[0.25, 0.5], [0.0, 0.75]]
    assert batch.plans == [example.plan for example in examples]


def test_chance_stays_below_one(examples):
    """Rounded up to 1.0 it would choose a talker that is not there."""
    almost = [dataclasses.replace(example, chance=np.full(2, 1 - 2.0**-53)) for example in examples]
    chance = collate(almost).chance
    for count in (1, 2, 3, 5, 80_001):
        assert (chance * count).long().max() == count - 1


def test_crops_are_the_sources_without_the_silence_around(examples):
    batch = collate(examples)
    crops = batch.crops()
    assert crops.shape == (2, 2, 8000)
    for row, example in enumerate(examples):
        for place, source in enumerate(example.plan.sources):
            heard = example.audio.sources[place, source.offset :][: source.num_samples]
            assert np.abs(heard).max() > 0
            assert np.array_equal(crops[row, place, : source.num_samples].numpy(), heard)
            assert not crops[row, place, source.num_samples :].any()


@pytest.fixture(scope="module")
def mixed(examples, pool):
    """One talker, then three, then two."""
    rng = np.random.default_rng(0)
    plans = [draw_plan(pool, count, rng) for count in (1, 3)]
    return [*(Example(plan, render(plan), np.zeros(2)) for plan in plans), examples[1]]


def test_where_there_is_no_talker_there_are_zeros(mixed):
    batch = collate(mixed)
    assert batch.num_spk.tolist() == [1, 3, 2] and batch.num_spk.dtype == torch.int64
    assert batch.talkers().tolist() == [[True, False, False], [True] * 3, [True, True, False]]
    for row, example in enumerate(mixed):
        count = len(example.plan.sources)
        assert batch.offsets[row, :count].tolist() == [source.offset for source in example.plan.sources]
        assert batch.sizes[row, :count].tolist() == [source.num_samples for source in example.plan.sources]
        size = example.plan.num_samples
        assert np.array_equal(batch.sources[row, :count, :size].numpy(), example.audio.sources)
        assert not any(part[row, count:].any() for part in (batch.offsets, batch.sizes, batch.sources))


def test_clean_crops_are_those_of_the_talkers_there_are_and_find_back(mixed):
    batch = collate(mixed)
    crops, sizes = batch.clean()
    sources = [(example, place) for example in mixed for place in range(len(example.plan.sources))]
    assert len(crops) == len(sizes) == len(sources) == 6
    for crop, size, (example, place) in zip(crops, sizes.tolist(), sources, strict=True):
        source = example.plan.sources[place]
        assert size == source.num_samples
        assert np.array_equal(crop[:size].numpy(), example.audio.sources[place, source.offset :][:size])
    numbers = batch.by_talker(torch.arange(1, 7))
    assert numbers.tolist() == [[1, 0, 0], [2, 3, 4], [5, 6, 0]]
    vectors = batch.by_talker(torch.arange(12.0).reshape(6, 2))
    assert vectors.shape == (3, 3, 2) and vectors[1, 2].tolist() == [6, 7] and not vectors[0, 1:].any()


def test_take_starts_where_each_signal_says():
    signals = torch.arange(40.0).reshape(2, 2, 10)
    taken = take(signals, torch.tensor([[0, 3], [7, 5]]), 3)
    assert taken.tolist() == [[[0, 1, 2], [13, 14, 15]], [[27, 28, 29], [35, 36, 37]]]


def test_take_of_a_batch_of_signals():
    signals = torch.randn(3, 100)
    assert torch.equal(take(signals, torch.tensor([0, 10, 99]), 1)[:, 0], signals[[0, 1, 2], [0, 10, 99]])


def test_a_batch_moves_as_a_whole(examples):
    batch = collate(examples)
    moved = batch.to(torch.device("meta"))
    tensors = [value for value in vars(moved).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 7 and all(tensor.device.type == "meta" for tensor in tensors)
    assert moved.plans is batch.plans and all(isinstance(plan, Plan) for plan in moved.plans)
