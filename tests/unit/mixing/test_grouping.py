from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from wesep_mix.mixing.grouping import _max_groups, draw_groups
from wesep_mix.preparation.lists import SpeechEntry


def speech_of(*sizes: int) -> dict[str, list[SpeechEntry]]:
    """Speakers of so many utterances each."""
    names = [f"spk{place:02d}" for place in range(len(sizes))]
    return {
        spk: [SpeechEntry(f"{spk}-{k}", spk, "F", "", ()) for k in range(size)]
        for spk, size in zip(names, sizes, strict=True)
    }


def draw(sizes, num_spk, count, seed=0, name="train"):
    return draw_groups(speech_of(*sizes), num_spk, count, seed, name)


def uses(groups):
    return Counter(entry.utt for group in groups for entry in group)


def best(sizes, num_spk):
    """Most groups, by always taking those who have most left."""
    left, groups = sorted(sizes, reverse=True), 0
    while left[num_spk - 1] > 0:
        left = sorted([*(size - 1 for size in left[:num_spk]), *left[num_spk:]], reverse=True)
        groups += 1
    return groups


@pytest.mark.parametrize("num_spk", [1, 2, 3, 4, 5])
def test_speakers_of_a_group_are_different(num_spk):
    groups = draw([8] * 16, num_spk, 100)
    assert len(groups) == 100
    assert all(len({entry.spk for entry in group}) == len(group) == num_spk for group in groups)


@pytest.mark.parametrize(
    "sizes, num_spk",
    [
        ([8] * 16, 2),
        ([8] * 16, 3),
        ([5, 3, 2], 2),
        ([6, 3, 3], 2),
        ([9, 1, 1], 2),
        ([7, 7, 1], 3),
        ([4, 4, 4, 1], 3),
        ([3, 3, 3, 3, 3, 2], 5),
        ([20, 20, 1, 1], 2),
        ([5], 1),
    ],
)
def test_a_round_makes_as_many_groups_as_can_be_and_uses_no_utterance_twice(sizes, num_spk):
    for seed in range(20):
        groups = draw(sizes, num_spk, best(sizes, num_spk), seed)
        assert len(groups) == best(sizes, num_spk) == _max_groups(sizes, num_spk)
        assert max(uses(groups).values()) == 1


def test_every_utterance_is_used_once_before_any_is_used_twice():
    """64 pairs use all of 128 utterances; of 43 triples' 129 places one is a second use."""
    assert set(uses(draw([8] * 16, 2, 64)).values()) == {1} and len(uses(draw([8] * 16, 2, 64))) == 128
    for seed in range(10):
        used = uses(draw([8] * 16, 3, 43, seed))
        assert len(used) == 128 and sorted(used.values())[-2:] == [1, 2]


def test_what_a_round_leaves_over_comes_first_in_the_next():
    """The first speaker has more utterances than there are partners."""
    for seed in range(10):
        first, second = (draw([6, 2, 1], 2, count, seed) for count in (3, 6))
        assert second[:3] == first
        assert sum(utt.startswith("spk00") for utt in uses(second)) == 6


@pytest.mark.parametrize(
    "sizes, num_spk, wanted",
    [
        ([2, 2], 2, 4),
        ([3, 2, 1], 2, 11),
        ([2, 2, 2], 3, 8),
        ([4, 3], 1, 7),
    ],
)
def test_all_mixtures_of_a_small_set_come_once_and_then_it_ends(sizes, num_spk, wanted):
    groups = draw(sizes, num_spk, 10**9)
    assert len(groups) == len({frozenset(entry.utt for entry in group) for group in groups}) == wanted


def test_too_few_speakers_make_no_group():
    assert draw([9, 9], 3, 5) == []


def test_it_depends_on_seed_and_set_and_not_on_order():
    speech = speech_of(8, 8, 8, 8)
    turned = {spk: speech[spk][::-1] for spk in reversed(speech)}
    groups = draw_groups(speech, 2, 10, 0, "train")
    assert groups == draw_groups(turned, 2, 10, 0, "train")
    assert groups != draw_groups(speech, 2, 10, 1, "train") and groups != draw_groups(speech, 2, 10, 0, "dev")


def test_more_groups_begin_with_the_fewer():
    assert draw([8] * 6, 2, 100)[:30] == draw([8] * 6, 2, 30)


def test_partners_are_drawn_by_chance():
    """Over many draws each pair of speakers comes as often as any, and in both orders."""
    pairs = Counter((a.spk, b.spk) for seed in range(300) for a, b in draw([3] * 5, 2, 7, seed))
    shares = np.array([pairs[pair] for pair in pairs]) / pairs.total()
    assert set(pairs) == {pair for a, b in combinations(speech_of(*[3] * 5), 2) for pair in ((a, b), (b, a))}
    assert shares.min() > 0.03 and shares.max() < 0.07
