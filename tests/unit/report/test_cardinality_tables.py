"""The document of students on numbers of talkers, from results written by hand."""

import json

import pytest
from PIL import Image

from wesep_mix.report.cardinalities import (
    cardinality_plot,
    cardinality_sections,
    confusion_tables,
    loudness_tables,
    number_tables,
    overlap_tables,
    student_table,
)


def share(value, half=0.1):
    return {"value": value, "low": value - half, "high": value + half}


def measured(coverage, *ranks, **others):
    by_loudness = [{"coverage": share(one), "cos": share(one / 2)} for one in ranks]
    return {"num": 10, "coverage": share(coverage), "cos": share(0.75), **others, "by_loudness": by_loudness}


@pytest.fixture
def result():
    plain = {
        "heads": 2,
        "presence": False,
        "tau": 0.5,
        "eer": 0.125,
        "dev": [1, 2],
        "talkers": {
            "1": measured(1.0, 1.0, f1=share(0.7)),
            "2": measured(0.9, 0.95, 0.85, f1=share(0.8), acc_cov=None),
        },
        "overlap": {"2": {"0.5-0.6": measured(0.8, 0.8, 0.8, acc_all=share(0.5)) | {"num": 7}}},
        "counted": None,
    }
    counting = {
        **plain,
        "heads": 3,
        "presence": True,
        "tau": 0.25,
        "talkers": {
            "1": measured(0.9, 0.9, count=share(0.8)),
            "2": measured(0.8, 0.9, 0.7, count=share(0.5)),
            "12": measured(0.2, *[0.2] * 3, count=share(0.2)),
        },
        "overlap": {"2": {"0.7-0.8": measured(0.6, 0.6, 0.6) | {"num": 3}}},
        "counted": {"1": [0, 8, 2, 0], "2": [0, 1, 2, 1], "12": [0, 0, 0, 10]},
    }
    return {"seed": 0, "students": {"{2}": plain, "{1..3}": counting}}


def lines(table):
    return [tuple(table.header), *map(tuple, table.rows)]


def by_number(result):
    return {name: student["talkers"] for name, student in result["students"].items()}


def test_students_and_their_thresholds(result):
    assert lines(student_table(result["students"])) == [
        ("student", "heads", "presence", "threshold", "EER %", "talkers of the dev sets"),
        ("{2}", "2", "no", "0.500", "12.5", "1, 2"),
        ("{1..3}", "3", "yes", "0.250", "12.5", "1, 2"),
    ]


def test_a_table_a_measure_and_a_column_a_number(result):
    coverage, f1, count, acc_cov, cos, nums = number_tables(by_number(result))
    assert lines(coverage) == [
        ("Coverage %", "1 talker", "2 talkers", "12 talkers"),
        ("{2}", "100.0 [90.0, 110.0]", "90.0 [80.0, 100.0]", "-"),
        ("{1..3}", "90.0 [80.0, 100.0]", "80.0 [70.0, 90.0]", "20.0 [10.0, 30.0]"),
    ]
    assert lines(f1)[1:] == [("{2}", "70.0 [60.0, 80.0]", "80.0 [70.0, 90.0]", "-")]  # the other one has none
    assert [row[0] for row in count.rows] == ["{1..3}"]
    assert lines(acc_cov) == [("Acc of covered %", "1 talker", "2 talkers", "12 talkers"), ("{2}", "-", "-", "-")]
    assert cos.rows[0][1] == "0.750 [0.650, 0.850]"
    assert lines(nums) == [("mixtures", "1 talker", "2 talkers", "12 talkers"), ("num", "10", "10", "10")]


def test_counts_are_shares_of_a_line(result):
    (table,) = confusion_tables(result["students"])
    assert lines(table) == [
        ("{1..3} counts", "1", "2", "3"),
        ("1 talker", "80.0", "20.0", "0.0"),
        ("2 talkers", "25.0", "50.0", "25.0"),
        ("12 talkers", "0.0", "0.0", "100.0"),
    ]


def test_ranks_of_loudness_where_there_are_two(result):
    coverage, cos = loudness_tables(by_number(result))
    assert lines(coverage)[:3] == [
        ("Coverage %", "loudest", "rank 2", "rank 3"),
        ("{2}, 2 talkers", "95.0 [85.0, 105.0]", "85.0 [75.0, 95.0]", "-"),
        ("{1..3}, 2 talkers", "90.0 [80.0, 100.0]", "70.0 [60.0, 80.0]", "-"),
    ]
    assert coverage.rows[2][0] == "{1..3}, 12 talkers" and cos.rows[0][1] == "0.475 [0.375, 0.575]"


def test_overlap_has_its_own_tables_and_numbers(result):
    coverage, acc_all, _, nums = overlap_tables({name: one["overlap"] for name, one in result["students"].items()})
    assert lines(coverage) == [
        ("Coverage %", "0.5-0.6", "0.7-0.8"),
        ("{2}, 2 talkers", "80.0 [70.0, 90.0]", "-"),
        ("{1..3}, 2 talkers", "-", "60.0 [50.0, 70.0]"),
    ]
    assert acc_all.rows[1] == ("{1..3}, 2 talkers", "-", "-")
    assert lines(nums) == [("mixtures", "0.5-0.6", "0.7-0.8"), ("2 talkers", "7", "3")]


def test_the_document_explains_what_it_shows_also_by_way_of_json(result):
    blocks = cardinality_sections(result)
    assert blocks == cardinality_sections(
        json.loads(json.dumps(result, sort_keys=True)) | {"students": result["students"]}
    )
    text = "\n\n".join(blocks)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["## Unseen numbers of talkers", "### How many are counted", "### By loudness", "### By overlap"]
    assert "| {2} | 100.0 [90.0, 110.0] | 90.0 [80.0, 100.0] | - |" in text
    assert "- Coverage: " in text and "- Count: " in text and "- Duplicates: " not in text  # nobody has these


def test_what_nobody_has_is_left_out(result):
    alone = {"seed": 0, "students": {"{2}": result["students"]["{2}"] | {"overlap": {}}}}
    alone["students"]["{2}"]["talkers"].pop("2")
    headings = [block for block in cardinality_sections(alone) if block.startswith("#")]
    assert headings == ["## Unseen numbers of talkers"]


def test_the_plot_has_confusions_below_where_students_count(result, tmp_path):
    cardinality_plot(result, tmp_path / "both.png")
    cardinality_plot({"students": {"{2}": result["students"]["{2}"]}}, tmp_path / "plain.png")
    with Image.open(tmp_path / "both.png") as both, Image.open(tmp_path / "plain.png") as plain:
        assert both.format == plain.format == "PNG" and both.height == 2 * plain.height
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both.png", "plain.png"]
