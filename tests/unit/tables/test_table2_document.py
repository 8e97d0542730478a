"""TABLE2.md, TABLE4.md and the .json beside each, on numbers that are known."""

import json

import pytest

from wesep_mix.base.config import from_dict
from wesep_mix.evaluation.outcomes import Outcomes
from wesep_mix.tables import table2_document as table2
from wesep_mix.tables.document import TableResults
from wesep_mix.tables.table2 import Table2Config

NUMBERS = {"si_sdr": 4.0, "pesq": 1.5, "stoi": 0.8, "sig": 3.0, "bak": 4.0, "ovrl": 2.5, "num": 200, "num_bad": 0}
FILM_2, FILM_4, NET = {"pesq": 1.54, "si_sdri": 9.6}, {"pesq": 1.56, "si_sdri": 9.87}, {"si_sdri": 10.21}


@pytest.fixture
def table():
    extractor = {"num_spk": 2, "model": "extractor", "config": "pdccrn", "student": "student2"}
    rows = {
        "noisy": {"title": "noisy", "num_spk": 2, "model": "mixture", "paper": {"table2": {"pesq": 1.18, "sig": 2.98}}},
        "none": {"title": "without", **extractor, "settings": {"model.fusion": "none"}},
        "film": {"title": "film", **extractor, "paper": {"table2": FILM_2, "table4": FILM_4}},
        "wrong": {"title": "other", **extractor, "embedding": "wrong"},
        "net": {
            "title": "tasnet",
            "num_spk": 3,
            "model": "separator",
            "config": "conv_tasnet",
            "paper": {"table4": NET},
        },
    }
    pairs = [["film", "none"], ["net", "film"]]
    return from_dict(Table2Config, {"rows": rows, "seeds": [0, 1], "ahead": pairs}, "here")


def write(exp, table, seeds=(0, 1), net=False):
    """Of one target a mixture the numbers as they stand here, of all talkers an SI-SDRi that is 0.5 dB lower."""

    def row(si_sdri, **more):
        one = NUMBERS | {"si_sdri": si_sdri, "num": 100, **more}
        return {"table2": one, "table4": one | {"si_sdri": si_sdri - 0.5, "num": 200}}

    found = {
        seed: {
            "film": row(9.0 + seed, params=3_800_000),
            "noisy": row(0.0, params=0, num_bad=3),
            "none": row(1.0, params=3_700_000),
            "wrong": row(-9.0, params=3_800_000, si_sdr=-8.0, pesq=1.6),
            **({"net": {"table4": row(7.0, params=1)["table4"]}} if net else {}),
        }
        for seed in seeds
    }
    mixtures = {"ab": "ab", "ac": "ac", "bc": "bc"}
    outcomes = {
        name: {
            seed: {
                paper: Outcomes.of(mixtures, [(mix, numbers["si_sdri"], 1) for mix in mixtures])
                for paper, numbers in rows[name].items()
            }
            for seed, rows in found.items()
            if name in rows
        }
        for name in ("film", "none", "net")
    }
    return table2.write_tables(TableResults(exp, "mini", ["lr=1"], "abc", found, outcomes=outcomes), table)


def test_the_papers_numbers_stand_beside_ours(table, tmp_path):
    lines = write(tmp_path, table, seeds=[0]).splitlines()
    wanted = "row SI-SDR dB SI-SDRi dB paper PESQ paper STOI SIG paper BAK OVRL num params seeds"
    assert lines[0] == "Table 2, one target a mixture" and lines[1].split() == wanted.split()
    assert [line.split() for line in lines[2:5]] == [
        ["noisy", "4.00", "0.00", "-", "1.50", "1.18", "0.800", "3.00", "2.98", "4.00", "2.50", "100", "-", "1"],
        ["without", "4.00", "1.00", "-", "1.50", "-", "0.800", "3.00", "-", "4.00", "2.50", "100", "3.70", "M", "1"],
        ["film", "4.00", "9.00", "9.60", "1.50", "1.54", "0.800", "3.00", "-", "4.00", "2.50", "100", "3.80", "M", "1"],
    ]


def test_table_4_is_of_all_talkers_and_has_the_separators(table, tmp_path):
    lines = write(tmp_path, table, seeds=[0], net=True).splitlines()
    first = lines.index("Table 4, all talkers of each mixture")
    assert not [line for line in lines[:first] if line.startswith("tasnet")]
    wanted = "row SI-SDR dB SI-SDRi dB paper PESQ paper STOI SIG BAK OVRL num params seeds"
    assert lines[first + 1].split() == wanted.split()
    rows = {line.split()[0]: line.split() for line in lines[first + 2 : first + 7]}
    assert rows["film"][1:6] == ["4.00", "8.50", "9.87", "1.50", "1.56"] and rows["film"][-4] == "200"
    assert rows["tasnet"][2:4] == ["6.50", "10.21"] and rows["noisy"][2:6] == ["-0.50", "-", "1.50", "-"]


def test_the_document_says_how_it_was_made(table, tmp_path):
    write(tmp_path / "mini_wide", table)
    text = (tmp_path / "mini_wide" / "TABLE2.md").read_text()
    for part in (
        "# Table 2, one target a mixture: mini",
        "bash run.sh --corpus mini --tables true --tag wide --set lr=1\n",
        "Seeds 0, 1; git revision abc, python 3.",
        ". Stage 9 writes this file",
        "| film | 4.00 ± 0.00 | 9.50 ± 0.71 | 9.60 |",
        "| noisy | 4.00 | 0.00 | - |",
        "- noisy: the mixtures of 2 as they are; without 3 utterances a seed, which could not be scored\n",
        '- without: `extractor/pdccrn.yaml` on mixtures of 2; given no embedding; `extractor.model.fusion="none"`\n',
        "- film: `extractor/pdccrn.yaml` on mixtures of 2; given embeddings of `student2` of Table 1\n",
        "- other: `extractor/pdccrn.yaml` on mixtures of 2; given embeddings of `student2` of Table 1, for "
        "each talker that of the next talker of the mixture\n",
        "mean over one target of each test mixture, drawn at random as in training; the targets, drawn by `seed`",
        "- num: mixtures, each with one target.",
        "(arXiv 2604.03219, Table 2) were",
        "DNSMOS",
    ):
        assert part in text, part


def test_each_document_says_what_it_is_of(table, tmp_path):
    write(tmp_path / "mini", table)
    text = (tmp_path / "mini" / "TABLE4.md").read_text()
    for part in (
        "# Table 4, all talkers of each mixture: mini",
        "and `table4.json` with the same numbers",
        "| film | 4.00 ± 0.00 | 9.00 ± 0.71 | 9.87 |",
        "with other settings: tasnet.",
        "mean over all talkers of all test mixtures; each talker counts once",
        "- num: talkers of all mixtures.",
        "(arXiv 2604.03219, Table 4) were",
    ):
        assert part in text, part


def test_what_pesq_and_stoi_cannot_tell_stands_below_each(table, tmp_path):
    write(tmp_path, table)
    for name in ("TABLE2.md", "TABLE4.md"):
        text = (tmp_path / name).read_text()
        # wrong is rated above the three others, and its SI-SDR is below theirs
        assert "is 1.50 to 1.60 over 4 rows" in text and "puts 3 of 6 pairs of them in the other order" in text
        assert "it puts 'other' (1.60 at -8.00 dB) above 'film' (1.50 at 4.00 dB): there it measures nothing." in text
        assert "STOI hardly moves: by +0.000 to +0.000 from the unprocessed mixtures over 2 rows" in text


def test_a_separator_is_given_nothing(table):
    assert table2.row_note(table.rows["net"]) == "`separator/conv_tasnet.yaml` on mixtures of 3"


def test_the_file_for_programs_has_the_papers_numbers_and_the_statements(table, tmp_path):
    write(tmp_path, table)
    found, of_all = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("table2", "table4"))
    assert found["rows"]["noisy"]["paper"] == {"pesq": 1.18, "sig": 2.98} and found["left_out"] == []
    assert (found["title"], of_all["title"]) == (
        "Table 2, one target a mixture",
        "Table 4, all talkers of each mixture",
    )
    assert of_all["rows"]["noisy"]["paper"] == {} and of_all["left_out"] == ["net"]
    assert of_all["rows"]["film"]["paper"] == FILM_4 and of_all["rows"]["film"]["si_sdri"]["mean"] == 9.0
    assert found["rows"]["film"]["si_sdri"] == {"mean": 9.5, "std": 0.707107}
    assert found["by_seed"]["1"]["none"]["num"] == 100
    assert found["statements"] == [
        {
            "holds": True,
            "text": "'film' is ahead of 'without' in SI-SDRi: by +8.50 dB, 95 % interval +8.50 to +8.50 "
            "(3 mixtures of 3 speakers); holds.",
            "difference": {"value": 8.5, "low": 8.5, "high": 8.5},
        },
    ]
    assert [each["holds"] for each in of_all["statements"]] == [True, None]
    assert of_all["statements"][1]["text"] == (
        "'tasnet' is ahead of 'film' in SI-SDRi: unknown, since a row has no results."
    )
