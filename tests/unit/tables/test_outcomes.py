"""What the numbers of the paper's tables are made of, read from files."""

from types import SimpleNamespace

from wesep_mix.base.files import write_json
from wesep_mix.evaluation.scoring import summarise, write_scores
from wesep_mix.mixing.plan import write_plans
from wesep_mix.tables.outcomes import acc_outcomes, si_sdri_outcomes


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
