"""Rows compared mixture by mixture: what is read from files, and differences against a second computation."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from wesep_mix.base.files import write_json
from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.scoring import summarise, write_scores
from wesep_mix.mixing.plan import write_plans
from wesep_mix.tables.outcomes import Outcomes, acc_outcomes, compare_rows, si_sdri_outcomes

PAIRS = {"".join(pair): pair for pair in itertools.combinations("abcdef", 2)}


def test_the_sums_of_a_row_of_table_1(tmp_path):
    write_json(
        tmp_path / "talkers.json",
        {"m1": {"a": True, "b": True, "c": None}, "m2": {"b": False, "c": True, "d": None}, "m3": {"a": None}},
    )
    found = acc_outcomes(SimpleNamespace(result=lambda name, seed: tmp_path / "metrics.json"), "row", 0)
    assert found.speakers == {"3/m1": ("a", "b", "c"), "3/m2": ("b", "c", "d"), "1/m3": ("a",)}
    assert found.over == {"3/m1": 2, "3/m2": 1, "1/m3": 0} and found.under == {"3/m1": 2, "3/m2": 2, "1/m3": 0}


def test_the_sums_of_a_row_of_table_2_have_all_speakers_whoever_was_scored(tmp_path, mixture_of):
    write_plans(tmp_path / "plan.jsonl", [mixture_of("a", "b", mix="m1"), mixture_of("a", "c", mix="m2")])
    scores = [("m1", "a", 3.0), ("m1", "b", 4.0), ("m2", "c", -1.0)]
    rows = [{"mix": mix, "speaker": spk, "si_sdr": 0.0, "si_sdri": value} for mix, spk, value in scores]
    write_scores(tmp_path / "scores.csv", rows)
    write_json(tmp_path / "summary.json", summarise(rows) | {"targets": "all", "seed": 0})
    layout = SimpleNamespace(
        result=lambda name, seed: tmp_path / "summary.json",
        plans=lambda name: tmp_path / "plan.jsonl",
        table=SimpleNamespace(rows={"row": SimpleNamespace(tables=("table2", "table4"))}),
    )
    found = si_sdri_outcomes(layout, "row", 0)
    assert found["table4"].speakers == found["table2"].speakers == {"2/m1": ("a", "b"), "2/m2": ("a", "c")}
    assert found["table4"].over == {"2/m1": 7, "2/m2": -1} and found["table4"].under == {"2/m1": 2, "2/m2": 1}
    assert found["table2"].over["2/m1"] in (3, 4) and found["table2"].under == {"2/m1": 1, "2/m2": 1}


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
