import dataclasses
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.data.datasets import (
    DynamicMixtures,
    EpochSampler,
    FixedMixtures,
    Share,
    StaticMixtures,
    Turn,
    dev_plans,
    dynamic_loader,
    fixed_loader,
    loader_in_order,
    training_mixtures,
)
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.draw import at_speed, draw_plan
from wesep_mix.mixing.plan import read_plans
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.mixing.render import render
from wesep_mix.preparation.activity import silent_stretches
from wesep_mix.preparation.lists import NoiseEntry


def same(first, second) -> bool:
    return (
        first.plans == second.plans
        and torch.equal(first.mix, second.mix)
        and torch.equal(first.sources, second.sources)
        and torch.equal(first.chance, second.chance)
    )


def turns(*pairs) -> list[Turn]:
    return [Turn(epoch, index, 100 * epoch + index) for epoch, index in pairs]


def test_a_fresh_mixture_depends_on_seed_epoch_and_index_alone(pool):
    forward, backward = DynamicMixtures(pool, 2, seed=3), DynamicMixtures(pool, 2, seed=3)
    places = [(epoch, index) for epoch in range(2) for index in range(3)]
    first = [forward[turn] for turn in turns(*places)]
    again = [backward[Turn(*place, number=0)] for place in reversed(places)][::-1]
    for one, other in zip(first, again, strict=True):
        assert one.plan == other.plan and np.array_equal(one.chance, other.chance)
        assert np.array_equal(one.audio.mix, other.audio.mix)
    assert len({(example.plan, tuple(example.chance)) for example in first}) == 6
    others = DynamicMixtures(pool, 2, seed=4), DynamicMixtures(pool, 2, seed=3, stream=1)
    assert all(other[Turn(0, 0, 0)].plan != first[0].plan for other in others)


def test_the_audio_is_the_plans(pool, plans):
    turn = Turn(2, 5, 11)
    for example in (DynamicMixtures(pool, 2, 0)[turn], StaticMixtures(plans, 0)[turn], FixedMixtures(plans)[1]):
        assert np.array_equal(example.audio.mix, render(example.plan).mix)
        assert example.chance.shape == (2,) and 0 <= example.chance.min() <= example.chance.max() < 1


def test_speeds_are_drawn_for_every_talker_beside_the_mixtures(pool):
    speeds = (0.9, 1.0, 1.1)
    plain, changed = (DynamicMixtures(pool, 2, 3, speeds=these) for these in ((1.0,), speeds))
    drawn = []
    for turn in turns(*((0, place) for place in range(40))):
        one, other = plain[turn], changed[turn]
        assert np.array_equal(one.chance, other.chance) and len(other.audio.mix) == len(one.audio.mix)
        for source, faster in zip(one.plan.sources, other.plan.sources, strict=True):
            assert faster == at_speed(source, faster.speed)
            drawn.append(faster.speed)
        assert np.array_equal(changed[turn].audio.mix, other.audio.mix)
    assert set(drawn) == set(speeds) and 12 <= drawn.count(1.0)  # and those at 1 whose file is too short


def test_number_of_talkers(pool):
    assert [len(DynamicMixtures(pool, count, 0)[Turn(0, 0, 0)].plan.sources) for count in (1, 2, 3)] == [1, 2, 3]


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
    assert seen == [Turn(number // 6, number % 6, number) for number in range(18)] and len(sampler) == 6
    sampler.set_epoch(1)
    assert list(sampler) == seen[6:12]


@pytest.mark.parametrize("num_ranks", [1, 2, 3])
@pytest.mark.parametrize("epoch", [0, 5])
def test_ranks_share_an_epoch_without_overlap(num_ranks, epoch):
    shares = []
    for rank in range(num_ranks):
        sampler = EpochSampler(12, Share(rank, num_ranks))
        sampler.set_epoch(epoch)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler) == 12 // num_ranks
    assert sorted(sum(shares, [])) == [Turn(epoch, index, 12 * epoch + index) for index in range(12)]


def test_a_share_goes_on_behind_what_was_taken_in_that_epoch_alone():
    sampler = EpochSampler(12, Share(1, 3))
    sampler.skip = (2, 3)
    sampler.set_epoch(2)
    assert [turn.index for turn in sampler] == [10] and len(sampler) == 4
    sampler.set_epoch(3)
    assert [turn.index for turn in sampler] == [1, 4, 7, 10]


@pytest.mark.parametrize("num_ranks, accumulate", [(1, 1), (2, 1), (1, 3), (2, 3), (3, 2)])
def test_a_step_has_the_same_mixtures_in_any_number_of_processes_and_batches(pool, num_ranks, accumulate):
    stream = DynamicMixtures(pool, 2, 0)
    steps = [set(), set()]
    for rank in range(num_ranks):
        loader = dynamic_loader(stream, 6, 2, 0, Share(rank, num_ranks), accumulate)
        batches = list(loader)
        assert len(batches) == 2 * accumulate and {len(b.plans) for b in batches} == {6 // num_ranks // accumulate}
        for number, batch in enumerate(batches):
            steps[number // accumulate] |= {plan.id for plan in batch.plans}
    wanted = [{stream[Turn(0, index, index)].plan.id for index in range(6 * step, 6 * step + 6)} for step in (0, 1)]
    assert steps == wanted


def test_a_batch_that_cannot_be_shared_is_refused(pool):
    with pytest.raises(UserError, match="^batch_size 6: wanted a multiple of 4, 2 processes times 2 batches a step"):
        dynamic_loader(DynamicMixtures(pool, 2, 0), 6, 2, 0, Share(0, 2), 2)


def test_dev_sets_are_shared_too_and_all_processes_have_some(plans):
    shares = [loader_in_order(FixedMixtures(plans), 1, 0, Share(rank, 3)) for rank in range(3)]
    assert [[p.id for batch in share for p in batch.plans] for share in shares] == [
        [plan.id for plan in plans[rank::3]] for rank in range(3)
    ]
    with pytest.raises(UserError, match=f"^dev set: wanted an example for each of 9 processes, found {len(plans)}$"):
        loader_in_order(FixedMixtures(plans), 1, 0, Share(0, 9))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_fixed_plans_come_in_order_and_the_last_batch_may_be_smaller(plans, num_workers):
    batches = list(fixed_loader(plans, 3, num_workers))
    assert [plan for batch in batches for plan in batch.plans] == plans
    assert [len(batch.plans) for batch in batches] == [3, 1]
    again = list(fixed_loader(plans, 3))
    assert all(same(*pair) for pair in zip(batches, again, strict=True))


# numbers of talkers


def test_a_stream_of_one_number_of_talkers_draws_nothing_else(pool):
    for epoch, index in ((0, 0), (2, 7)):
        rng = np.random.default_rng([3, epoch, index])
        example = DynamicMixtures(pool, 2, seed=3)[Turn(epoch, index, 0)]
        assert example.plan == draw_plan(pool, 2, rng) and np.array_equal(example.chance, rng.random(2))


def test_numbers_of_talkers_are_drawn_evenly_and_by_the_item_alone(pool):
    stream = DynamicMixtures(pool, 3, seed=3, min_talkers=1)
    counts = [len(stream[Turn(0, index, index)].plan.sources) for index in range(150)]
    assert sorted(Counter(counts)) == [1, 2, 3] and min(Counter(counts).values()) > 30
    again = DynamicMixtures(pool, 3, seed=3, min_talkers=1)
    assert [len(again[Turn(0, index, 5)].plan.sources) for index in reversed(range(20))] == counts[:20][::-1]
    assert {len(DynamicMixtures(pool, 3, 3, min_talkers=2)[Turn(0, k, k)].plan.sources) for k in range(20)} == {2, 3}


def test_numbers_of_talkers_may_be_drawn_in_proportion_to_the_number(pool):
    stream = DynamicMixtures(pool, 3, seed=3, min_talkers=1, talkers="by_number")
    counts = Counter(len(stream[Turn(0, index, index)].plan.sources) for index in range(300))
    assert 30 < counts[1] < 70 and 75 < counts[2] < 125 and 120 < counts[3] < 180  # 50, 100 and 150 expected


@pytest.mark.parametrize("num_workers", [0, 2])
def test_mixtures_of_different_numbers_of_talkers_make_batches(prepared, num_workers):
    stream = training_mixtures(PreparedSet(prepared / "2mix" / "train"), 3, 0, min_talkers=1)
    (batch,) = dynamic_loader(stream, 12, 1, num_workers)
    assert batch.num_spk.tolist() == [len(plan.sources) for plan in batch.plans]
    assert set(batch.num_spk.tolist()) == {1, 2, 3} and batch.sources.shape[:2] == (12, 3)


def test_static_plans_have_their_number_of_talkers(prepared):
    with pytest.raises(UserError, match="wanted dynamic with min_talkers 1, found static"):
        training_mixtures(PreparedSet(prepared / "2mix" / "train"), 2, 0, "static", min_talkers=1)


def test_dev_plans_are_the_fixed_ones_or_as_many_of_other_numbers_of_talkers(prepared):
    folder = prepared / "2mix" / "dev"
    fixed = read_plans(folder / "plan.jsonl")
    assert dev_plans(PreparedSet(folder), 2) == fixed
    drawn = dev_plans(PreparedSet(folder), 2, min_talkers=1)
    assert len(drawn) == len(fixed) and drawn == dev_plans(PreparedSet(folder), 2, min_talkers=1)
    train = dev_plans(PreparedSet(prepared / "2mix" / "train"), 2, min_talkers=1)
    assert {len(plan.sources) for plan in [*drawn, *train]} == {1, 2}
    assert {source.spk for plan in drawn for source in plan.sources} <= {"eva", "fay"}
    starts = {entry.utt: entry.crops[0].start for speaker in load_pool(folder).speech.values() for entry in speaker}
    assert all(source.start == starts[source.utt] for plan in drawn for source in plan.sources)  # with most speech


# what must not matter


@pytest.fixture(scope="module", params=["dynamic", "static"])
def first_100(request, prepared):
    """A stream of mixtures, and its first 100 items, each asked for alone."""
    stream = training_mixtures(PreparedSet(prepared / "2mix" / "train"), 2, 7, request.param)
    return stream, [stream[Turn(0, index, index)] for index in range(100)]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than this machine has cores
@pytest.mark.parametrize("num_workers, num_ranks, batch_size", [(1, 1, 10), (4, 1, 5), (2, 4, 5), (0, 3, 2)])
def test_the_first_100_items_are_the_same_for_any_workers_ranks_and_batches(
    first_100, num_workers, num_ranks, batch_size
):
    """The ranks' items, dealt back in turn."""
    stream, alone = first_100
    shares = []
    for rank in range(num_ranks):
        share, whole = Share(rank, num_ranks), batch_size * num_ranks
        loader = dynamic_loader(stream, whole, -(-100 // whole), num_workers, share)
        shares.append(
            [
                (plan, mix.numpy().tobytes().rstrip(b"\0"), tuple(chance.tolist()))
                for batch in loader
                for plan, mix, chance in zip(batch.plans, batch.mix, batch.chance, strict=True)
            ]
        )
    dealt = [item for turn in zip(*shares, strict=True) for item in turn][:100]
    assert len(dealt) == 100
    for (plan, mix, chance), example in zip(dealt, alone, strict=True):
        assert plan == example.plan and mix == example.audio.mix.tobytes().rstrip(b"\0")
        assert chance == pytest.approx(tuple(example.chance), abs=1e-6)


def test_later_epochs_do_not_depend_on_the_number_of_ranks(pool):
    seen = []
    for num_ranks in (1, 2):
        found = {}
        for rank in range(num_ranks):
            sampler = EpochSampler(6, Share(rank, num_ranks))
            sampler.set_epoch(3)
            found |= {turn.index: DynamicMixtures(pool, 2, 0)[turn].plan for turn in sampler}
        seen.append([found[index] for index in range(6)])
    assert seen[0] == seen[1]


@pytest.mark.parametrize("size", [1, 3, 10])
def test_static_plans_all_come_before_any_comes_again_in_orders_of_their_own(plans, size):
    """Whatever makes an epoch: here four plans and epochs of 1, 3 and 10."""
    stream, sampler, seen = StaticMixtures(plans, seed=1), EpochSampler(size), []
    for epoch in range(40):
        sampler.set_epoch(epoch)
        seen += [stream[turn].plan.id for turn in sampler][: 40 - len(seen)]
    rounds = [seen[first : first + 4] for first in range(0, 40, 4)]
    assert len(rounds) == 10 and all(sorted(ids) == sorted(plan.id for plan in plans) for ids in rounds)
    assert len({tuple(ids) for ids in rounds}) > 3
    other = [StaticMixtures(plans, seed=2)[Turn(0, number, number)].plan.id for number in range(40)]
    assert other != seen


def test_static_plans_are_those_of_the_file_and_choices_differ_between_rounds(prepared, plans):
    stream = training_mixtures(PreparedSet(prepared / "2mix" / "train"), 2, 0, "static")
    examples = [stream[turn] for turn in islice(iter(EpochSampler(8)), 8)]
    assert {example.plan for example in examples} == set(plans)
    assert len({tuple(example.chance) for example in examples}) == 8


def test_another_word_for_the_plans_is_refused(prepared):
    with pytest.raises(UserError, match="plans: wanted dynamic or static, found fixed"):
        training_mixtures(PreparedSet(prepared / "2mix" / "train"), 2, 0, "fixed")


def test_training_reaches_every_snr_with_noise_that_is_mostly_silent(pool, tmp_path):
    samples = np.random.default_rng(0).uniform(-0.2, 0.2, 64000).astype(np.float32)
    samples[:48000] = 0
    write_audio(tmp_path / "n.wav", samples, subtype="FLOAT")
    silent = NoiseEntry("n", str(tmp_path / "n.wav"), len(samples), "", silent_stretches(samples))
    mixtures = DynamicMixtures(dataclasses.replace(pool, noises=[silent]), 2, seed=0)
    for index in range(60):
        example = mixtures[Turn(0, index, index)]
        speech, noise = (
            float(np.square(part, dtype=np.float64).sum())
            for part in (example.audio.sources.sum(axis=0), example.audio.noise)
        )
        assert 10 * np.log10(speech / noise) == pytest.approx(example.plan.noise.snr_db, abs=0.01)


def test_old_lists_that_do_not_know_of_silence_say_what_to_redo(pool, tmp_path):
    write_audio(tmp_path / "n.wav", np.zeros(64000), subtype="FLOAT")
    silent = NoiseEntry("n", str(tmp_path / "n.wav"), 64000)
    with pytest.raises(UserError, match="n.wav: wanted an SNR of .* is silent here.* redo stage 1 with --force true"):
        DynamicMixtures(dataclasses.replace(pool, noises=[silent]), 2, seed=0)[Turn(0, 0, 0)]
