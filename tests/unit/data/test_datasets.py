import numpy as np
import pytest
import torch

from wesep_mix.data.datasets import DynamicMixtures, EpochSampler, FixedMixtures, dynamic_loader, fixed_loader
from wesep_mix.mixing.render import render


def same(first, second) -> bool:
    return (first.plans == second.plans and torch.equal(first.mix, second.mix)
            and torch.equal(first.sources, second.sources) and torch.equal(first.chance, second.chance))


def test_a_fresh_mixture_depends_on_seed_and_number_alone(pool):
    forward, backward = DynamicMixtures(pool, 2, seed=3), DynamicMixtures(pool, 2, seed=3)
    first = [forward[index] for index in range(6)]
    again = [backward[index] for index in reversed(range(6))][::-1]
    for one, other in zip(first, again, strict=True):
        assert one.plan == other.plan and np.array_equal(one.chance, other.chance)
        assert np.array_equal(one.audio.mix, other.audio.mix)
    assert len({(example.plan, tuple(example.chance)) for example in first}) == 6
    assert DynamicMixtures(pool, 2, seed=4)[0].plan != first[0].plan


def test_the_audio_is_the_plans(pool, plans):
    for example in (DynamicMixtures(pool, 2, 0)[11], FixedMixtures(plans)[1]):
        assert np.array_equal(example.audio.mix, render(example.plan).mix)
        assert example.chance.shape == (2,) and 0 <= example.chance.min() <= example.chance.max() < 1


def test_number_of_talkers(pool):
    assert [len(DynamicMixtures(pool, count, 0)[0].plan.sources) for count in (1, 2, 3)] == [1, 2, 3]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_training_stream_does_not_depend_on_the_number_of_workers(pool, num_workers):
    def stream(workers):
        loader = dynamic_loader(DynamicMixtures(pool, 2, 0), 2, 4, workers)
        batches = []
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)
            batches += list(loader)
        return batches

    alone, shared = stream(0), stream(num_workers)
    assert len(alone) == 8 and all(same(*pair) for pair in zip(alone, shared, strict=True))
    assert not same(alone[0], alone[4])


def test_every_epoch_has_numbers_of_its_own():
    sampler = EpochSampler(6)
    seen = []
    for epoch in (0, 1, 2):
        sampler.set_epoch(epoch)
        seen += list(sampler)
    assert seen == list(range(18)) and len(sampler) == 6
    sampler.set_epoch(1)
    assert list(sampler) == list(range(6, 12))


@pytest.fixture
def as_rank(monkeypatch):
    """Function: makes this process pass for one of several ranks."""

    def pretend(rank, num_ranks):
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: num_ranks)

    return pretend


@pytest.mark.parametrize("num_ranks", [1, 2, 3])
@pytest.mark.parametrize("epoch", [0, 5])
def test_ranks_share_an_epoch_without_overlap(as_rank, num_ranks, epoch):
    sampler, shares = EpochSampler(4), []
    sampler.set_epoch(epoch)
    for rank in range(num_ranks):
        as_rank(rank, num_ranks)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler) == 4
    size = 4 * num_ranks
    assert sorted(sum(shares, [])) == list(range(size * epoch, size * epoch + size))


def test_an_epoch_has_as_many_batches_as_asked_on_every_rank(pool, as_rank):
    batches = []
    for rank in range(2):
        as_rank(rank, 2)
        batches.append([batch.plans for batch in dynamic_loader(DynamicMixtures(pool, 2, 0), 3, 2, 0)])
    assert [[len(plans) for plans in share] for share in batches] == [[3, 3], [3, 3]]
    assert not any(plan in batches[1][0] + batches[1][1] for plan in batches[0][0] + batches[0][1])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_fixed_plans_come_in_order_and_the_last_batch_may_be_smaller(plans, num_workers):
    batches = list(fixed_loader(plans, 3, num_workers))
    assert [plan for batch in batches for plan in batch.plans] == plans
    assert [len(batch.plans) for batch in batches] == [3, 1]
    again = list(fixed_loader(plans, 3))
    assert all(same(*pair) for pair in zip(batches, again, strict=True))
