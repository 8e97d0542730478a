"""TABLE2.md and table2.json, on numbers that are known."""

import json

import pytest

from wesep_mix.base.config import from_dict
from wesep_mix.tables import table2_document as table2
from wesep_mix.tables.document import TableResults
from wesep_mix.tables.outcomes import Outcomes
from wesep_mix.tables.table2 import Table2Config

NUMBERS = {"si_sdr": 4.0, "pesq": 1.5, "stoi": 0.8, "sig": 3.0, "bak": 4.0, "ovrl": 2.5, "num": 200, "num_bad": 0}


@pytest.fixture
def table():
    extractor = {"num_spk": 2, "model": "extractor", "config": "pdccrn", "student": "student2"}
    rows = {
        "noisy": {"title": "noisy", "num_spk": 2, "model": "mixture", "paper": {"pesq": 1.18, "sig": 2.98}},
        "none": {"title": "without", **extractor, "settings": {"model.fusion": "none"}},
        "film": {"title": "film", **extractor, "paper": {"pesq": 1.54, "si_sdri": 9.6}},
        "wrong": {"title": "other", **extractor, "embedding": "wrong"},
        "net": {"title": "tasnet", "num_spk": 3, "model": "separator", "config": "conv_tasnet"},
    }
    pairs = [["film", "none"], ["net", "film"]]
    return from_dict(Table2Config, {"rows": rows, "seeds": [0, 1], "ahead": pairs}, "here")


def write(exp, table, seeds=(0, 1)):
    found = {
        seed: {
            "film": NUMBERS | {"si_sdri": 9.0 + seed, "params": 3_800_000},
            "noisy": NUMBERS | {"si_sdri": 0.0, "params": 0, "num_bad": 3},
            "none": NUMBERS | {"si_sdri": 1.0, "params": 3_700_000},
            "wrong": NUMBERS | {"si_sdri": -9.0, "params": 3_800_000},
        }
        for seed in seeds
    }
    mixtures = {"ab": "ab", "ac": "ac", "bc": "bc"}
    outcomes = {
        name: {
            seed: Outcomes.of(mixtures, [(mix, rows[name]["si_sdri"], 1) for mix in mixtures])
            for seed, rows in found.items()
        }
        for name in ("film", "none")
    }
    return table2.write_table(TableResults(exp, "mini", ["lr=1"], "abc", found, outcomes=outcomes), table)


def test_the_papers_numbers_stand_beside_ours(table, tmp_path):
    lines = write(tmp_path, table, seeds=[0]).splitlines()
    wanted = "row SI-SDR dB SI-SDRi dB paper PESQ paper STOI SIG paper BAK OVRL num params seeds"
    assert lines[0].split() == wanted.split()
    assert [line.split() for line in lines[1:4]] == [
        ["noisy", "4.00", "0.00", "-", "1.50", "1.18", "0.800", "3.00", "2.98", "4.00", "2.50", "200", "-", "1"],
        ["without", "4.00", "1.00", "-", "1.50", "-", "0.800", "3.00", "-", "4.00", "2.50", "200", "3.70", "M", "1"],
        ["film", "4.00", "9.00", "9.60", "1.50", "1.54", "0.800", "3.00", "-", "4.00", "2.50", "200", "3.80", "M", "1"],
    ]


def test_the_document_says_how_it_was_made(table, tmp_path):
    write(tmp_path / "mini_wide", table)
    text = (tmp_path / "mini_wide" / "TABLE2.md").read_text()
    for part in (
        "# Tables 2 and 4: mini",
        "bash run.sh --corpus mini --tables true --tag wide --set lr=1\n",
        "Seeds 0, 1; git revision abc, python 3.",
        ". Stage 9 writes this file",
        "| film | 4.00 ± 0.00 | 9.50 ± 0.71 | 9.60 |",
        "| noisy | 4.00 | 0.00 | - |",
        "with other settings: tasnet.",
        "- noisy: the mixtures of 2 as they are; without 3 utterances a seed, which could not be scored\n",
        '- without: `extractor/pdccrn.yaml` on mixtures of 2; given no embedding; `extractor.model.fusion="none"`\n',
        "- film: `extractor/pdccrn.yaml` on mixtures of 2; given embeddings of `student2` of Table 1\n",
        "- other: `extractor/pdccrn.yaml` on mixtures of 2; given embeddings of `student2` of Table 1, for "
        "each talker that of the next talker of the mixture\n",
        "mean over all mixtures and speakers",
        "DNSMOS",
    ):
        assert part in text, part


def test_a_separator_is_given_nothing(table):
    assert table2.row_note(table.rows["net"]) == "`separator/conv_tasnet.yaml` on mixtures of 3"


def test_the_file_for_programs_has_the_papers_numbers_and_the_statements(table, tmp_path):
    write(tmp_path, table)
    found = json.loads((tmp_path / "table2.json").read_text())
    assert found["rows"]["noisy"]["paper"] == {"pesq": 1.18, "sig": 2.98} and found["left_out"] == ["net"]
    assert found["rows"]["film"]["si_sdri"] == {"mean": 9.5, "std": 0.707107}
    assert found["by_seed"]["1"]["none"]["num"] == 200
    assert found["statements"] == [
        {
            "holds": True,
            "text": "'film' is ahead of 'without' in SI-SDRi: by +8.50 dB, 95 % interval +8.50 to +8.50 "
            "(3 mixtures of 3 speakers); holds.",
            "difference": {"value": 8.5, "low": 8.5, "high": 8.5},
        },
        {
            "holds": None,
            "text": "'tasnet' is ahead of 'film' in SI-SDRi: unknown, since a row has no results.",
            "difference": None,
        },
    ]
