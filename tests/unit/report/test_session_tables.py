"""Tables of speech, spaces and drift over sessions, by hand."""

import pytest

from wesep_mix.report import sessions


def talker(session, origin, si_sdri, regime="talk", leak_db=-10.0, wrong=1, num=4):
    return {
        "session": session,
        "regime": regime,
        "origin": origin,
        "si_sdri": si_sdri,
        "leak_db": leak_db,
        "wrong": wrong,
        "num": num,
    }


SPEECH = [
    {
        "talkers": [
            talker("a", "own", 1.0),
            talker("a", "own", 3.0),
            talker("b", "own", 6.0, leak_db=None, wrong=0),
            talker("a", "heard", None, num=0, wrong=0),
            talker("c", "own", 9.0, regime="crowd"),
        ],
        "der": [
            {"regime": "talk", "der": {"miss": 1.0, "false_alarm": 1.0, "confusion": 0.0, "total": 10.0}},
            {"regime": "talk", "der": {"miss": 0.0, "false_alarm": 0.0, "confusion": 3.0, "total": 40.0}},
        ],
        "drift": [
            {"session": "a", "regime": "talk", "before": 0.9, "after": 0.7},
            {"session": "a", "regime": "talk", "before": 0.7, "after": None},
        ],
    }
]


def test_a_session_is_the_mean_of_its_talkers_in_every_seed():
    rows = [talker("a", "own", 1.0), talker("b", "own", 5.0), talker("a", "own", 3.0), talker("b", "own", None)]
    assert sessions.by_session(rows, "si_sdri").tolist() == [2.0, 5.0]


def test_speech_is_told_by_origin_and_regime():
    numbers = sessions.speech_numbers(SPEECH, ["talk", "crowd"])
    own = numbers["own"]["talk"]
    assert own["si_sdri"]["value"] == 4.0 and own["leak_db"]["value"] == -10.0
    assert (own["wrong"], own["silent"], own["talkers"]) == (2 / 12, 0.0, 3)
    heard = numbers["heard"]["talk"]
    assert heard["si_sdri"]["value"] is None and heard["wrong"] is None and heard["silent"] == 1.0
    table = sessions.speech_table(numbers)
    assert table.header[1:5] == ["talk: SI-SDRi dB", "leakage dB", "wrong talker %", "silent %"]
    assert table.rows[0] == ["own", "4.00 (2.00-6.00)", "-10.0", "16.7", "0.0", "9.00", "-10.0", "25.0", "0.0"]
    assert table.rows[-1][:5] == ["heard", "-", "-10.0", "-", "100.0"]


def test_diarisation_by_extraction_is_pooled_by_seconds():
    found = sessions.der_by_extraction(SPEECH, ["talk", "crowd"])
    assert found == {"talk": pytest.approx(0.1), "crowd": None}


def test_drift_and_spaces_are_told_by_regime():
    found = sessions.drift_numbers(SPEECH)
    assert found["talk"]["before"]["value"] == pytest.approx(0.8) and found["talk"]["after"]["value"] == 0.7
    assert sessions.drift_table(found).rows == [["talk", "80.0", "70.0"]]
    row = {"session": "a", "regime": "talk", "acc": 1.0, "nmi": 0.5, "eer": None, "cos": 0.25}
    spaces = sessions.space_numbers([{"student": [row, row | {"session": "b", "acc": 0.5}]}])
    assert sessions.space_table(spaces).rows == [
        ["student, talk", "75.0 (50.0-100.0)", "50.0 (50.0-50.0)", "-", "25.0 (25.0-25.0)"]
    ]
