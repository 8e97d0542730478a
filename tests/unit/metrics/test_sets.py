import itertools

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.metrics.intervals import resampled
from wesep_mix.metrics.sets import (
    NONE,
    by_rank,
    count_confusion,
    match_set,
    pair_cosines,
    quotients,
)

AXES = np.eye(4)  # talkers along the axes: a head's cosine to each is its coordinate, a fourth one is nobody's


def heads(*rows):
    """Unit vectors with these first coordinates; what is missing to length 1 goes along the last axis."""
    found = np.zeros((len(rows), 4))
    for one, row in zip(found, rows, strict=True):
        one[: len(row)] = row
        one[-1] = np.sqrt(1 - (one**2).sum())
    return found


def matched(found, num_spk, active=None, tau=0.5):
    return match_set(found, np.ones(len(found)) if active is None else active, AXES[:num_spk], tau)


def told(one):
    """Heads of the talkers, covered talkers, duplicates and false heads, by number."""
    return one.head.tolist(), *(np.flatnonzero(each).tolist() for each in (one.covered, one.duplicate, one.false))


@pytest.mark.parametrize(
    ("found", "num_spk", "active", "wanted"),
    [
        # as many heads as talkers, each near to its own
        (heads((0.1, 0.9), (0.8, 0.2)), 2, None, ([1, 0], [0, 1], [], [])),
        # both at the first talker: the second gets one that is far from them, which repeats the first
        (heads((0.9, 0.0), (0.8, 0.1)), 2, None, ([0, 1], [0], [1], [])),
        # a third head repeats the first talker, a fourth is nobody's
        (heads((0.9, 0.1), (0.1, 0.7), (0.8, 0.1), (0.2, 0.3)), 2, None, ([0, 1], [0, 1], [2], [3])),
        # the same with the first head silent: the third stands for its talker
        (heads((0.9, 0.1), (0.1, 0.7), (0.8, 0.1), (0.2, 0.3)), 2, [0, 1, 1, 1], ([2, 1], [0, 1], [], [3])),
        # fewer heads than talkers: one is left out
        (heads((0.1, 0.2, 0.6), (0.7, 0.3, 0.3)), 3, None, ([1, NONE, 0], [0, 2], [], [])),
        # one head is active; its talker is the third
        (heads((0.1, 0.2, 0.6), (0.7, 0.3, 0.3)), 3, [1, 0], ([NONE, NONE, 0], [2], [], [])),
        # assigned, but not above the threshold
        (heads((0.45, 0.0), (0.1, 0.4)), 2, None, ([0, 1], [], [], [0, 1])),
        # the best sum leaves the second talker to a head below the threshold, so the one above it repeats nobody
        (heads((0.4, 0.6), (0.1, 0.45)), 2, None, ([0, 1], [], [], [0, 1])),
        # one talker and two heads near to them
        (heads((0.8,), (0.9,)), 1, None, ([1], [0], [0], [])),
        # no head at all
        (heads((0.8,), (0.9,)), 1, [0, 0], ([NONE], [], [], [])),
    ],
)
def test_sets_by_hand(found, num_spk, active, wanted):
    assert told(matched(found, num_spk, active)) == wanted


def test_lengths_of_vectors_play_no_part():
    found = heads((0.9, 0.1), (0.1, 0.7), (0.8, 0.1))
    one, other = matched(found, 2), match_set(found * [[3], [0.1], [7]], np.ones(3), 5 * AXES[:2], 0.5)
    assert told(one) == told(other)
    assert one.cos == pytest.approx([0.9, 0.7]) and other.cos == pytest.approx([0.9, 0.7])


def test_a_cosine_that_equals_the_threshold_is_not_above_it():
    found = np.array([[1.0, 1, 1, 1]])  # of length 2: its cosine to each axis is a half
    assert not matched(found, 1, tau=0.5).covered[0] and matched(found, 1, tau=0.49).covered[0]


def test_counts_by_hand():
    one = matched(heads((0.9, 0.1), (0.8, 0.3), (0.2, 0.3)), 3, [1, 1, 0])  # the third talker gets no head
    assert one.counts() == {
        "mixtures": 1,
        "exact": 0,
        "talkers": 3,
        "active": 2,
        "mean_size": 2.5,
        "found": 2,
        "covered": 1,
        "duplicates": 1,
        "false": 0,
        "cos": pytest.approx(0.9 + 0.3),
    }


@pytest.mark.parametrize("seed", range(12))
def test_the_assignment_is_the_best_of_all_and_every_active_head_is_one_of_three(seed):
    rng = np.random.default_rng(seed)
    num_heads, num_spk = rng.integers(1, 5, size=2)
    found, references = rng.standard_normal((num_heads, 3)), rng.standard_normal((num_spk, 3))
    active = rng.random(num_heads) < 0.7
    one = match_set(found, active, references, 0.4)
    cosines = found @ references.T / np.linalg.norm(found, axis=1)[:, None] / np.linalg.norm(references, axis=1)
    places, size = np.flatnonzero(active).tolist(), min(int(active.sum()), int(num_spk))
    best = max(
        sum(cosines[head, talker] for head, talker in zip(chosen, talkers, strict=True))
        for chosen in itertools.permutations(places, size)
        for talkers in itertools.combinations(range(num_spk), size)
    )
    assert np.nansum(one.cos) == pytest.approx(best)
    covers = {head for head, covered in zip(one.head.tolist(), one.covered, strict=True) if covered}
    kinds = [covers, set(np.flatnonzero(one.duplicate)), set(np.flatnonzero(one.false))]
    assert sum(map(len, kinds)) == len(set.union(*kinds)) and set.union(*kinds) == set(places)


def test_an_embedding_that_points_nowhere_is_refused():
    with pytest.raises(UserError, match="1 of 2 embeddings are zero or not finite, the first is number 1"):
        match_set(np.array([[1.0, 0], [0, 0]]), np.ones(2), np.eye(2), 0.5)


def test_pairs_of_assigned_heads_with_their_own_and_other_talkers():
    found = heads((0.9, 0.1), (0.1, 0.7), (0.8, 0.2))
    own, others = pair_cosines(found, np.ones(3), AXES[:2])
    assert own == pytest.approx([0.9, 0.7]) and others == pytest.approx([0.1, 0.1])  # none of the head that is left
    own, others = pair_cosines(found, [0, 1, 0], AXES[:3])
    assert own == pytest.approx([0.7]) and others == pytest.approx([0.1, 0])
    own, others = pair_cosines(found, np.ones(3), AXES[:1])
    assert own == pytest.approx([0.9]) and others.shape == (0,)


def test_values_in_the_order_of_a_rank():
    values = [np.array([0.1, 0.2, 0.3]), np.array([0.4, np.nan, 0.6])]
    ordered = by_rank(values, [np.array([2, 0, 1]), np.array([0, 1, 2])])
    np.testing.assert_array_equal(ordered, [[0.2, 0.3, 0.1], [0.4, np.nan, 0.6]])
    assert np.nanmean(ordered, axis=0) == pytest.approx([0.3, 0.3, 0.35])  # the mean cosine by rank


def test_confusion_of_counts_by_hand():
    assert count_confusion([1, 1, 3, 1], [1, 2, 2, 1], 2).tolist() == [[0, 0, 0], [0, 2, 1], [0, 0, 0], [0, 0, 1]]
    assert count_confusion([1], [1], 3).tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]


def test_measures_of_two_mixtures_are_quotients_of_sums():
    mixtures = [
        matched(heads((0.9, 0.1), (0.1, 0.7), (0.8, 0.1), (0.2, 0.3)), 2),  # 2 of 2; of 4 heads 1 duplicate, 1 false
        matched(heads((0.1, 0.2, 0.6), (0.4, 0.3, 0.3)), 3),  # 1 of 3; of 2 heads 1 false
    ]
    found = quotients([one.counts() for one in mixtures], resampled(2, np.random.default_rng(0)))
    values = {name: one["value"] for name, one in found.items()}
    assert values == pytest.approx(
        {
            "coverage": 3 / 5,
            "precision": 3 / 6,
            "f1": 2 * 3 / (6 + 5),
            "duplicates": 1 / 6,
            "false": 2 / 6,
            "found": 4 / 5,
            "cos": (0.9 + 0.7 + 0.6 + 0.4) / 4,
            "count": 0,
        }
    )
    recall, precision = values["coverage"], values["precision"]
    assert values["f1"] == pytest.approx(2 * recall * precision / (recall + precision))


def test_accuracies_need_the_counts_of_clusters_and_the_count_one_that_counts():
    counts = matched(heads((0.9, 0.1), (0.1, 0.4)), 3).counts()
    known = {name: one for name, one in counts.items() if name != "exact"} | {"right": 1, "right_covered": 1}
    found = quotients([known], np.ones((4, 1)))
    assert (found["acc"]["value"], found["acc_all"]["value"], found["acc_cov"]["value"]) == (1 / 2, 1 / 3, 1)
    assert "count" not in found
    nothing = quotients([known | {"covered": 0, "right_covered": 0}], np.ones((4, 1)))
    assert nothing["acc_cov"] is None and nothing["coverage"]["value"] == 0
