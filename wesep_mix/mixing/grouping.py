"""Which utterances are mixed: LibriMix's rules, for any number of speakers.

LibriMix (arXiv 2005.11262; scripts/create_librimix_metadata.py) draws groups of different speakers from the utterances
that are not used yet: for training sets until all are used, for dev and test again and again, until there are 3000
different mixtures. Here, too, a round groups all utterances, and there are as many rounds as it takes. What differs: a
round makes as many groups as possible (LibriMix's ends after 200 draws in vain), and rounds end when they bring nothing
new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from wesep_mix.base.seeds import rng_for
from wesep_mix.preparation.lists import SpeechEntry

Group = tuple[SpeechEntry, ...]
VAIN_ROUNDS = 200  # in a row, after which no new group is expected


def draw_groups(
    speech: Mapping[str, Sequence[SpeechEntry]], num_spk: int, count: int, seed: int, name: str
) -> list[Group]:
    """Draw groups of utterances of different speakers.

    Every utterance is used once before any is used twice, unless its speaker has too many to be in different groups.
    The same utterances in another order are the same group. A larger `count` only adds groups at the end.

    Args:
        speech: {speaker: utterances}.
        num_spk: utterances in a group.
        count: how many groups are wanted.
        seed: of the corpus.
        name: the set's name, a part of the seed.

    Returns:
        `count` different groups, or as many as there are.
    """
    entries = [sorted(speech[spk], key=lambda entry: entry.utt) for spk in sorted(speech)]
    unused: list[list[int]] = [[] for _ in entries]  # of each speaker, the utterances that the last round left over
    groups: dict[tuple[str, ...], Group] = {}
    sizes = [len(own) for own in entries]
    most = _max_groups(sizes, num_spk)
    turn = vain = 0
    while most and vain < VAIN_ROUNDS:
        before, rng = len(groups), rng_for(seed, "groups", name, num_spk, turn)
        num_groups = int(rng.integers(1, most + 1)) if vain else most  # fewer groups may find what a full round misses
        for places in _round(unused, sizes, num_spk, num_groups, rng):
            group = tuple(entries[spk][place] for spk, place in places)
            groups.setdefault(tuple(sorted(entry.utt for entry in group)), group)
            if len(groups) == count:
                return list(groups.values())
        turn, vain = turn + 1, vain + 1 if len(groups) == before else 0
    return list(groups.values())


def _round(
    unused: list[list[int]], sizes: Sequence[int], num_spk: int, num_groups: int, rng: np.random.Generator
) -> Iterator[list[tuple[int, int]]]:
    """Group utterances, each used at most once, those in `unused` first; a group is (speaker, utterance) pairs.

    unused: for each speaker the utterances left over by earlier rounds; afterwards those that this round leaves over.
    """
    speakers, over = np.arange(len(sizes)), [len(own) for own in unused]
    deck = rng.permutation(np.repeat(speakers, np.subtract(sizes, over)))
    first = np.repeat(speakers, over)
    for spk, size in enumerate(sizes):
        others = np.setdiff1d(np.arange(size), unused[spk])
        unused[spk] = [*rng.permutation(others).tolist(), *unused[spk]]  # taken from the end
    for group in _speaker_groups([*deck.tolist(), *first.tolist()], sizes, num_spk, num_groups, rng):
        yield [(spk, unused[spk].pop()) for spk in group]


def _speaker_groups(
    deck: list[int], sizes: Sequence[int], num_spk: int, num_groups: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Make `num_groups` groups of different speakers, speaker s in at most `sizes[s]` of them.

    Speakers are taken from the end of `deck`, which holds each as often as its size. A speaker with as many utterances
    left as there are groups left has to be in all of them; this rule alone makes the number of groups possible.
    """
    left = [min(size, num_groups) for size in sizes]  # utterances that can still be used
    passed_over = [size - can for size, can in zip(sizes, left, strict=True)]  # cards on the deck to be skipped
    having: list[set[int]] = [set() for _ in range(num_groups + 1)]  # speakers, by number of utterances left
    for spk, size in enumerate(left):
        having[size].add(spk)

    def use_up(spk: int) -> None:
        having[left[spk]].remove(spk)
        left[spk] -= 1
        having[left[spk]].add(spk)

    for groups_left in range(num_groups, 0, -1):
        needed = sorted(having[groups_left])
        for spk in needed:
            passed_over[spk] += 1
        group = needed if len(needed) <= num_spk else rng.permutation(needed).tolist()[:num_spk]
        group, held = list(group), []
        while len(group) < num_spk:
            spk = deck.pop()
            if passed_over[spk]:
                passed_over[spk] -= 1
            elif spk in group:
                held.append(spk)
            else:
                group.append(spk)
        deck.extend(reversed(held))
        for spk in {*group, *needed}:
            use_up(spk)
        yield rng.permutation(group).tolist() if needed else group


def _max_groups(sizes: Sequence[int], num_spk: int) -> int:
    """The largest number of groups for which no speaker is needed twice in a group."""
    bound = sum(sizes) // num_spk
    while (reachable := int(np.minimum(sizes, bound).sum()) // num_spk) < bound:
        bound = reachable
    return bound
