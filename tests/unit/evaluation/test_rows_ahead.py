"""Rows compared mixture by mixture: differences against a second computation."""

import itertools

import numpy as np
import pytest

from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.outcomes import Outcomes, compare_rows

PAIRS = {"".join(pair): pair for pair in itertools.combinations("abcdef", 2)}


def row(rng, mixtures, shift=0.0):
    return Outcomes.of(mixtures, [(mix, shift + rng.normal(), 1) for mix, names in mixtures.items() for _ in names])


def test_a_difference_is_that_of_a_second_computation():
    """Every draw of speakers laid out, mixture by mixture and seed by seed."""
    rng = np.random.default_rng(0)
    first, second = ([row(rng, PAIRS, shift) for _ in range(2)] for shift in (0.5, 0.0))
    found = compare_rows(first, second)
    counts = rng_for(0, "ahead").multinomial(6, [1 / 6] * 6, size=1000)
    drawn = []
    for count in counts:
        copies = [name for name, number in zip("abcdef", count, strict=True) for _ in range(number)]
        there = ["2/" + "".join(pair) for pair in itertools.combinations(copies, 2) if pair[0] != pair[1]]
        if there:
            means = [
                np.mean([sum(one.over[mix] for mix in there) / (2 * len(there)) for one in rows])
                for rows in (first, second)
            ]
            drawn.append(means[0] - means[1])
    assert (found.difference["low"], found.difference["high"]) == pytest.approx(
        tuple(np.quantile(drawn, [0.025, 0.975]))
    )
    whole = [np.mean([sum(one.over.values()) / 30 for one in rows]) for rows in (first, second)]
    assert found.difference["value"] == pytest.approx(whole[0] - whole[1])
    assert (found.mixtures, found.speakers, found.paired) == ((15, 15), 6, True)


def test_pairing_narrows_the_interval_and_other_mixtures_do_not():
    rng = np.random.default_rng(0)
    hard = {mix: rng.normal(scale=5) for mix in PAIRS}
    easy = Outcomes.of(PAIRS, [(mix, value + 1, 1) for mix, value in hard.items()])
    same = compare_rows([easy], [Outcomes.of(PAIRS, [(mix, value, 1) for mix, value in hard.items()])])
    assert same.difference == pytest.approx({"value": 1, "low": 1, "high": 1})
    triples = {"".join(names): names for names in itertools.combinations("abcdeg", 3)}
    values = rng.choice(list(hard.values()), len(triples))
    other = compare_rows([easy], [Outcomes.of(triples, [(m, v, 1) for m, v in zip(triples, values, strict=True)])])
    assert other.difference["high"] - other.difference["low"] > 2
    assert (other.mixtures, other.speakers, other.paired) == ((15, 20), 7, False)


def test_rows_whose_speakers_never_change_cannot_be_compared():
    rng = np.random.default_rng(0)
    always = {"m1": "ab", "m2": "ba"}
    assert compare_rows([row(rng, always)], [row(rng, always)]) is None
    assert compare_rows([row(rng, PAIRS)], [row(rng, always)]) is None
