"""The baselines' rules on hand-made directions: axes x, y, z, and vectors between them."""

import numpy as np
import pytest

from wesep_mix.memory import incremental, leader, stitch
from wesep_mix.memory.observing import NOBODY

X, Y, Z = np.eye(3)
SURE = (0.9, 0.89, 0.88)


def towards(cosine, one=X, other=Y):
    """A unit vector with this cosine to `one`, towards `other`."""
    return cosine * one + np.sqrt(1 - cosine**2) * other


def between(x, y):
    """A unit vector with these cosines to X and Y, and what is left to Z."""
    return np.array([x, y, np.sqrt(1 - x * x - y * y)])


@pytest.fixture
def say():
    """Function: labels that a memory gives to heads, in the next second; without presence all are sure."""

    def labels(memory, *heads, sure=SURE):
        found = np.array(heads).reshape(len(heads), 3)
        return memory.observe(found, np.array(sure[: len(heads)]), 1.0 + memory.num_windows).labels

    return labels


def test_the_leader_takes_the_nearest_mean_from_tau_on_and_moves_it(say):
    memory = leader.Model(leader.Config(tau=0.6))
    assert say(memory, X, Y) == (0, 1)
    assert say(memory, towards(0.61, X, Z)) == (0,)
    assert memory.means()[0] == pytest.approx(np.array([1.61, 0, np.sqrt(1 - 0.61**2)]) / np.sqrt(2 + 2 * 0.61))
    assert say(memory, Z) == (2,)  # its cosine to the first is 0.44
    assert memory.num_talkers == 3 and sorted(memory.means()) == [0, 1, 2]


def test_the_leaders_mean_is_the_mean_of_all_that_it_took(say):
    memory, rng = leader.Model(leader.Config(tau=0.1)), np.random.default_rng(0)
    heads = X + 0.3 * rng.standard_normal((20, 3))
    heads /= np.linalg.norm(heads, axis=1, keepdims=True)
    assert {say(memory, head) for head in heads} == {(0,)}
    assert memory.means()[0] == pytest.approx(heads.mean(0) / np.linalg.norm(heads.mean(0)))


def test_the_leader_pairs_heads_and_slots_as_a_whole(say):
    """The first head is nearest to slot 0, but the second fits slot 0 alone, and so the sum is larger crosswise."""
    memory = leader.Model(leader.Config(tau=0.3))
    say(memory, X, Y)
    assert say(memory, between(0.65, 0.6), between(0.9, 0.05)) == (1, 0)


def test_a_margin_is_over_the_next_best_slot(say):
    memory = leader.Model(leader.Config(tau=0.3))
    say(memory, X, Y)
    answer = memory.observe(np.array([between(0.8, 0.5), Z]), [0.9, 0.8], 9.0)
    assert answer.labels == (0, 2) and answer.margins == pytest.approx([0.3, np.inf])
    assert [(event.kind, event.slot, event.time_s) for event in answer.events] == [("new", 2, 9.0)]


def test_stitching_knows_the_window_before_and_no_other(say):
    memory = stitch.Model(stitch.Config(tau=0.5))
    assert say(memory, X, Y) == (0, 1)
    assert say(memory, Y, Z) == (1, 2)
    assert sorted(memory.means()) == [1, 2]
    assert say(memory, X, Z) == (3, 2)  # X was silent for a window
    assert say(memory) == () and memory.means() == {}
    assert say(memory, X) == (4,) and memory.num_talkers == 5


def test_stitching_goes_from_head_to_head_and_keeps_no_mean(say):
    """A voice that turns by 40 degrees a window keeps its slot all around; a mean would lose it."""
    turned = [np.array([np.cos(angle), np.sin(angle), 0]) for angle in np.deg2rad(40) * np.arange(10)]
    memory, mean = stitch.Model(stitch.Config(tau=0.7)), leader.Model(leader.Config(tau=0.7))
    assert {say(memory, head) for head in turned} == {(0,)}
    assert memory.means()[0] == pytest.approx(turned[-1])
    assert len({say(mean, head) for head in turned}) > 1


def diart(**settings):
    return incremental.Model(incremental.Config(**settings))


def test_a_head_that_is_not_far_moves_its_centre_which_is_a_sum(say):
    memory = diart(delta_new=0.5)
    assert say(memory, X) == (0,)
    assert say(memory, towards(0.51)) == (0,)
    assert memory.slots[0].total == pytest.approx(X + towards(0.51))
    assert say(memory, towards(0.1)) == (0,)  # far from the first head, but not from the sum
    assert say(memory, -X) == (1,)


def test_a_distance_of_delta_new_is_too_far(say):
    memory = diart(delta_new=1.0)
    say(memory, X)
    assert say(memory, Y) == (1,)


def test_a_short_head_without_a_centre_takes_the_nearest_free_one_and_does_not_move_it(say):
    memory = diart(tau_active=0.5, rho_update=0.8, delta_new=0.5)
    say(memory, X, Y)
    before = [slot.total.copy() for slot in memory.slots.values()]
    assert say(memory, between(0.3, 0.1), sure=[0.6]) == (0,)  # far from both
    assert say(memory, X, between(0.3, 0.1), sure=[0.7, 0.6]) == (0, 1)  # the nearest has somebody
    assert say(memory, X, Y, Z, sure=[0.7, 0.69, 0.6]) == (0, 1, NOBODY)
    assert all(np.array_equal(slot.total, total) for slot, total in zip(memory.slots.values(), before, strict=True))
    assert say(memory, between(0.3, 0.1), sure=[0.9]) == (2,)  # one that is long enough


def test_in_the_first_window_short_heads_open_centres_too_and_later_not(say):
    memory = diart(tau_active=0.5, rho_update=0.8)
    assert say(memory, X, Y, Z, sure=[0.9, 0.6, 0.4]) == (0, 1, NOBODY)
    late = diart(tau_active=0.5, rho_update=0.8)
    say(late)
    assert say(late, X, sure=[0.6]) == (NOBODY,)


def test_those_who_stay_are_paired_anew_where_a_pair_is_parted(say):
    """Together they are best as (first, Y) and (second, X); the first is too far, and the second is nearer to Y."""
    memory = diart()
    say(memory, X, Y)
    first, second = between(-0.6, -0.1), between(0.5, 0.8)
    assert -0.1 + 0.5 > -0.6 + 0.8
    assert say(memory, first, second) == (2, 1)


def test_where_room_is_short_the_most_present_has_it(say):
    memory = diart(max_speakers=2)
    say(memory, X)
    assert say(memory, -X, Y, sure=[0.8, 0.9]) == (0, 1)  # the other has to take what is free, however far
    assert memory.num_talkers == 2 and memory.slots[0].total.tolist() == X.tolist()
    full = diart(max_speakers=2)
    assert say(full, X, Y, Z) == (0, 1, NOBODY)
