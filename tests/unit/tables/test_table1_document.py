"""TABLE1.md, table1.json and the statements, on numbers that are known."""

import itertools
import json

import pytest

from wesep_mix.base.config import from_dict
from wesep_mix.evaluation.outcomes import Outcomes
from wesep_mix.tables import table1_document as table1
from wesep_mix.tables.document import TableResults
from wesep_mix.tables.statements import ACC, ahead_statement, share_statement
from wesep_mix.tables.table1 import Table1Config

BASE = {
    "acc_all": 0.25,
    "sep": 0.5,
    "nmi": 0.5,
    "sil": 0.1,
    "ari": 0.4,
    "eer": 0.25,
    "min_dcf": 0.75,
    "num": 200,
    "trainable": 0,
}


@pytest.fixture
def table():
    student = {"num_spk": 2, "model": "student"}
    rows = {
        "teacher": {"title": "one: the teacher", "num_spk": 1, "model": "teacher", "paper": 96.49},
        "good": {"title": "two: good", **student, "paper": 75.52},
        "bad": {"title": "two: bad", **student, "student": {"supervision": "labels"}},
        "gone": {"title": "three: gone", "num_spk": 3, "model": "kmeans"},
        "few": {"title": "three: few heads", "num_spk": 3, "trained_on": 2, "model": "student"},
    }
    return from_dict(
        Table1Config,
        {
            "rows": rows,
            "seeds": [0, 1, 2],
            "shares": [{"row": "good", "of": "teacher", "wanted": 0.75}],
            "ahead": [["good", "bad"], ["bad", "good"], ["good", "gone"]],
            "counts": {"rows": ["good", "few"], "wanted": 0.9},
        },
        "table1.yaml",
    )


def runs(good=(0.7, 0.7, 0.7), bad=(0.3, 0.4, 0.5)):
    return {
        seed: {
            "bad": BASE | {"acc": bad[seed], "cos": 0.5},
            "teacher": BASE | {"acc": 0.9, "trainable": 2_000_000},
            "good": BASE | {"acc": acc, "count_acc": 0.8},
            "few": BASE | {"acc": 0.1, "num_missing": 100, "count_acc": 0.9},
        }
        for seed, acc in enumerate(good)
    }


def sums(acc, num_spk=2):
    """Of five speakers, all in mixtures with each other, in each of which a row has the same share right."""
    mixtures = {"".join(names): names for names in itertools.combinations("abcde", num_spk)}
    return Outcomes.of(mixtures, [(mix, acc, 1) for mix in mixtures for _ in range(num_spk)])


def outcomes_of(found):
    names = {name for rows in found.values() for name in rows}
    return {name: {seed: sums(rows[name]["acc"]) for seed, rows in found.items() if name in rows} for name in names}


def write(exp, table, found, settings=(), others=()):
    results = TableResults(exp, "mini", settings, "abc", found, others, outcomes_of(found))
    return table1.write_table(results, table)


def test_means_and_deviations_of_every_row_in_the_configs_order(table, tmp_path):
    text = write(tmp_path / "exp" / "mini_wide", table, runs(), ["optim.lr=1"])
    lines = text.splitlines()
    assert (
        lines[0].split()
        == ("row Acc % paper Acc of all % Sep NMI Sil ARI EER % minDCF Cos Count % num trainable seeds").split()
    )
    assert lines[1].startswith("one: the teacher   90.0 ± 0.0   96.5    25.0 ± 0.0  0.500 ± 0.000")
    assert lines[1].endswith("200     2.00 M      3")
    assert "40.0 ± 10.0      -" in lines[3] and lines[3].split()[-4:] == ["-", "200", "-", "3"]
    assert lines[4].startswith("three: few heads") and "200 of 300" in lines[4]
    assert "75.0 ± 0.0 ± " not in text and len(lines) == 11


def test_the_document_says_how_it_was_made_and_what_is_not_there(table, tmp_path):
    write(tmp_path / "mini_wide", table, runs(), ["optim.lr=1", "a={b: c}"], [7])
    text = (tmp_path / "mini_wide" / "TABLE1.md").read_text()
    for part in (
        "bash run.sh --corpus mini --tables true --tag wide --set optim.lr=1 --set 'a={b: c}'\n",
        "Seeds 0, 1, 2; git revision abc, python 3.",
        ", torch 2.",
        "data or results are missing, or were made with other settings: three: gone.",
        "Not in this table: seeds 7, which have results but are not in table1.seeds.",
        "| two: good | 70.0 ± 0.0 | 75.5 |",
        "mean ± standard deviation (of the sample)",
        '- two: bad: a student trained on mixtures of 2; tested on mixtures of 2; `student.supervision="labels"`\n',
        "- three: few heads: a student trained on mixtures of 2; tested on mixtures of 3\n",
    ):
        assert part in text


def test_the_file_for_programs_has_seeds_and_averages(table, tmp_path):
    write(tmp_path, table, {0: runs()[0], 1: {}, 2: runs()[2]})
    found = json.loads((tmp_path / "table1.json").read_text())
    assert found["seeds"] == [0, 2] and found["left_out"] == ["gone"] and found["git"] == "abc"
    assert found["rows"]["bad"]["acc"] == {"mean": 0.4, "std": 0.141421} and found["rows"]["bad"]["num_seeds"] == 2
    assert found["rows"]["few"]["trained_on"] == 2 and found["rows"]["teacher"]["trained_on"] is None
    assert found["by_seed"]["2"]["bad"]["acc"] == 0.5
    assert [each["holds"] for each in found["statements"]] == [True, True, False, None, False]
    assert found["statements"][1]["difference"] == pytest.approx({"value": 0.3, "low": 0.3, "high": 0.3})
    assert found["statements"][0]["difference"] is None


def test_the_breakdown_has_means_and_deviations_too(table, tmp_path):
    found = {
        seed: {
            "good": BASE
            | {
                "acc": 0.5,
                "sexes/FM/acc": 0.25 * (1 + seed),
                "sexes/FM/cos": 0.5,
                "snr_db/10/acc": 1.0,
                "snr_db/5/acc": 0.5,
                "snr_db/5/count_acc": 0.5,
            },
            "bad": BASE | {"acc": 0.5, "snr_db/5/acc": 0.125},
            "teacher": BASE | {"acc": 0.5},
            "few": BASE | {"acc": 0.5, "sexes/FMM/acc": 0.5},
        }
        for seed in (0, 1)
    }
    write(tmp_path, table, found)
    by = (tmp_path / "TABLE1.md").read_text().partition("## By sexes, SNR and overlap\n\n")[2]
    assert by == (
        """| row | sexes FM | SNR dB 5 | SNR dB 10 |
| --- | ---: | ---: | ---: |
| two: good: Acc % | 37.5 ± 17.7 | 50.0 ± 0.0 | 100.0 ± 0.0 |
| two: good: Count % | - | 50.0 ± 0.0 | - |
| two: bad: Acc % | - | 12.5 ± 0.0 | - |

| row | sexes FMM |
| --- | ---: |
| three: few heads: Acc % | 50.0 ± 0.0 |
"""
    )


def share_of(table, found):
    return share_statement(table.shares[0], table.rows, found)


def ahead_of(table, found, outcomes=None, pair=("good", "bad")):
    return ahead_statement(pair, table.rows, found, outcomes or outcomes_of(found), ("acc", ACC))


def test_a_share_is_said_beside_the_papers(table):
    said = share_of(table, runs())
    assert said.text == (
        "Acc of 'two: good' divided by Acc of 'one: the teacher' is 0.75 or more: it is 0.78 (0.78 in the paper); "
        "holds."
    )
    assert said.holds
    said = share_of(table, runs(good=(0.6, 0.7, 0.6)))
    assert not said.holds and said.text.endswith("; does not hold.")


@pytest.mark.parametrize(
    "good, bad, holds, said",
    [
        ((0.7, 0.7, 0.7), (0.3, 0.4, 0.5), True, "by +30.0 points, 95 % interval +30.0 to +30.0"),
        ((0.4, 0.4, 0.4), (0.3, 0.4, 0.5), False, "by +0.0 points, 95 % interval +0.0 to +0.0"),
        ((0.3, 0.3, 0.3), (0.3, 0.4, 0.5), False, "by -10.0 points, 95 % interval -10.0 to -10.0"),
    ],
)
def test_ahead_where_the_interval_is_above_0(table, good, bad, holds, said):
    found = ahead_of(table, runs(good, bad))
    assert found.holds is holds
    verdict = "holds" if holds else "does not hold"
    assert found.text == (f"'two: good' is ahead of 'two: bad' in Acc: {said} (10 mixtures of 5 speakers); {verdict}.")


def test_one_seed_decides_too_and_shows_no_deviation(table, tmp_path):
    text = write(tmp_path, table, {0: runs()[0]})
    assert "±" not in text and "70.0" in text
    assert ahead_of(table, {0: runs()[0]}).holds


def test_rows_of_other_mixtures_are_said_not_to_be_paired(table):
    found = runs()
    outcomes = outcomes_of(found) | {"few": {seed: sums(0.1, 3) for seed in found}}
    said = ahead_of(table, found, outcomes, ("good", "few"))
    assert said.holds and said.text.endswith(
        "by +60.0 points, 95 % interval +60.0 to +60.0 (not paired: 10 and 10 other mixtures of 5 speakers); holds."
    )


def test_mixtures_of_the_same_speakers_tell_nothing(table):
    found = runs()
    outcomes = outcomes_of(found) | {"bad": {seed: Outcomes.of({"m": "ab", "n": "ba"}, []) for seed in found}}
    said = ahead_of(table, found, outcomes)
    assert said.holds is None and said.text.endswith(
        "in Acc: unknown, since the mixtures of a row all have the same speakers."
    )


def without(name, *seeds):
    """The runs, but for a row that some seeds lack."""
    return {
        seed: {other: row for other, row in rows.items() if other != name or seed not in seeds}
        for seed, rows in runs().items()
    }


def test_rows_are_compared_over_the_seeds_that_both_have(table):
    said = ahead_of(table, without("bad", 0))
    assert said.text.endswith(
        "in Acc (over seeds 1, 2, which all of them have): by +25.0 points, 95 % interval +25.0 to +25.0 "
        "(10 mixtures of 5 speakers); holds."
    )
    said = share_of(table, without("good", 1, 2))
    assert "(over seeds 0, which all of them have): it is 0.78" in said.text and said.holds
    only = without("bad", 0) | {2: {}, 1: {"bad": runs()[1]["bad"]}}
    said = ahead_of(table, only)
    assert said.text.endswith("in Acc: unknown, since the rows have different seeds: 0 and 1.") and said.holds is None
    assert ahead_of(table, runs(), pair=("good", "gone")).text.endswith("unknown, since a row has no results.")


def test_rows_with_fewer_seeds_than_the_config_are_named(table, tmp_path):
    text = write(tmp_path, table, without("bad", 0, 2))
    assert "With fewer seeds than 0, 1, 2: two: bad (1)." in text
    assert "With fewer seeds" not in write(tmp_path, table, runs())
