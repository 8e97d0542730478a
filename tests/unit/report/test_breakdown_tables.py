import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.report.breakdown import breakdown_tables, extraction_breakdown

KNOWN = {
    "m1": {"sexes": "FM", "snr_db": "5", "overlap": "0.5-0.6"},
    "m2": {"sexes": "FF", "snr_db": "10", "overlap": "0.5-0.6"},
}


def test_a_breakdown_by_hand():
    rows = [{"mix": mix, "si_sdri": value} for mix, value in (("m1", 1.0), ("m1", 3.0), ("m2", -4.0))]
    assert extraction_breakdown({"net": rows}, KNOWN) == {
        "net": {
            "sexes": {"FM": {"si_sdri": 2.0, "num": 2}, "FF": {"si_sdri": -4.0, "num": 1}},
            "snr_db": {"5": {"si_sdri": 2.0, "num": 2}, "10": {"si_sdri": -4.0, "num": 1}},
            "overlap": {"0.5-0.6": {"si_sdri": 0.0, "num": 3}},
        }
    }


def test_a_mixture_without_properties_is_named():
    with pytest.raises(UserError, match="net/wrong: mixture m3 is scored, .* redo it with --stage 8"):
        extraction_breakdown({"net/wrong": [{"mix": "m3", "si_sdri": 1.0}]}, KNOWN)


def groups(**values):
    return {condition: values if condition == "snr_db" else {} for condition in ("sexes", "snr_db", "overlap")}


def test_tables_run_by_number_and_leave_controls_and_empty_measures_out():
    student = groups(**{"10": {"acc": 0.5, "cos": 0.25, "num": 4}, "5": {"acc": 1, "cos": 0.75, "num": 2}})
    results = {
        "embeddings_by": {"student": student, "teacher/clean": groups(**{"5": {"acc": 0.875, "num": 3}})},
        "extraction_by": {"net": groups(**{"5": {"si_sdri": -2.345, "num": 2}}), "net/wrong": student},
    }
    table = breakdown_tables(results)[1]
    assert (table.header, *table.rows) == (
        ("SNR dB", "5", "10"),
        ("teacher/clean: Acc %", "87.5", "-"),
        ("student: Acc %", "100.0", "50.0"),
        ("student: Cos", "0.750", "0.250"),
        ("net: SI-SDRi dB", "-2.35", "-"),
        ("num", "3", "4"),
    )


def test_nothing_there_no_tables():
    assert breakdown_tables({"embeddings_by": {}, "extraction_by": {}}) == []
