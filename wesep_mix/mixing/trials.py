"""The fixed list of verification trials of a test set, on which EER and minDCF of every row are computed.

A trial is a pair of embeddings; metrics.verification.unfair_groups says which pairs would be unfair. If there are few
fair pairs, all are taken. Otherwise they are drawn in a way that depends on the keys alone: every pair gets a number
made of its two keys, and the lowest numbers are in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wesep_mix.base.files import atomic_write
from wesep_mix.base.seeds import rng_for
from wesep_mix.metrics.verification import unfair_groups
from wesep_mix.mixing.plan import Plan, speaker_keys

MAX_TRIALS = 200_000  # pairs of the same speaker, and as many of different speakers
SEED = 0  # of the list: it stays the same whatever a training's seed is
CELLS = 2**21  # of the matrix of all pairs, looked at in one block

KeysOf = Callable[[Plan], Sequence[str]]


@dataclass(frozen=True)
class Trials:
    """Pairs of `keys` by their index, int [P, 2], and whether both are of one speaker, bool [P]."""

    keys: list[str]
    pairs: np.ndarray
    same: np.ndarray

    def among(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The trials whose keys are both among `keys`: pairs of indices into `keys` [P', 2], and same [P']."""
        places = {key: place for place, key in enumerate(keys)}
        known = np.array([places.get(key, -1) for key in self.keys])
        pairs = known[self.pairs]
        there = (pairs >= 0).all(axis=1)
        return pairs[there], self.same[there]


def fixed_trials(plans: Sequence[Plan], keys_of: KeysOf = speaker_keys, max_trials: int = MAX_TRIALS) -> Trials:
    """Make the list of trials; the order of the plans does not matter.

    Args:
        plans: the set's mixtures.
        keys_of: keys of the talkers' embeddings, `<mix>-<speaker>` as a rule.
        max_trials: of each sort (same speaker, different speakers); if there are more fair pairs, this many are drawn.

    Returns:
        The trials, sorted by key.
    """
    entries = sorted(
        (
            (key, source.spk, plan.id, source.utt)
            for plan in plans
            for key, source in zip(keys_of(plan), plan.sources, strict=True)
        ),
        key=lambda entry: entry[0].encode(),
    )
    keys, speakers, mixtures, utterances = (list(column) for column in zip(*entries, strict=True))
    apart = [_ids(names) for names in unfair_groups(speakers, mixtures, utterances)]
    numbers = np.array([rng_for(SEED, "trial", key).integers(2**64, dtype=np.uint64) for key in keys])
    found = [_lowest(_fair_pairs(_ids(speakers), apart, same), numbers, max_trials) for same in (True, False)]
    pairs = np.concatenate(found)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return Trials(keys, pairs[order], np.repeat([True, False], [len(found[0]), len(found[1])])[order])


def write_trials(path: Path, trials: Trials) -> None:
    """Write trials as Kaldi and WeSpeaker do: `key1 key2 target|nontarget` a line, sorted by key.

    Args:
        path: the file to write.
        trials: the trials.
    """
    words = ("nontarget", "target")
    with atomic_write(path) as file:
        for (first, second), same in zip(trials.pairs.tolist(), trials.same.tolist(), strict=True):
            file.write(f"{trials.keys[first]} {trials.keys[second]} {words[same]}\n")


def _fair_pairs(speakers: np.ndarray, apart: Sequence[np.ndarray], same: bool) -> Iterator[np.ndarray]:
    """Indices [P, 2], first below second, of all fair pairs of one sort, a block of first indices at a time."""
    step = max(1, CELLS // len(speakers))
    for start in range(0, len(speakers), step):
        columns = np.arange(start, len(speakers))
        rows = columns[:step, None]
        wanted = (rows < columns) & ((speakers[rows] == speakers[columns]) == same)
        for groups in apart:
            wanted &= groups[rows] != groups[columns]
        yield np.argwhere(wanted) + start


def _lowest(blocks: Iterator[np.ndarray], numbers: np.ndarray, count: int) -> np.ndarray:
    """The `count` pairs [P, 2] with the lowest numbers; all if there are fewer."""
    kept, ranks = np.zeros((0, 2), dtype=int), np.zeros(0, dtype=np.uint64)
    for pairs in blocks:
        kept = np.concatenate([kept, pairs])
        ranks = np.concatenate([ranks, _mix_numbers(numbers[pairs[:, 0]], numbers[pairs[:, 1]])])
        if len(kept) > count:
            low = np.argpartition(ranks, count)[:count]
            kept, ranks = kept[low], ranks[low]
    return kept


def _mix_numbers(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One well-mixed uint64 from two: the output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    mixed = first * np.uint64(0x9E3779B97F4A7C15) + second
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _ids(names: Sequence[str]) -> np.ndarray:
    return np.unique(np.asarray(names), return_inverse=True)[1]
