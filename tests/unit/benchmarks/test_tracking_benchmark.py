"""benchmarks/tracking.py on a minute of one talker."""

import pytest
from benchmark import cells, script

from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.plan import Source
from wesep_mix.mixing.session import Session, write_sessions

RATE = 16000


@pytest.fixture
def folder(tmp_path, buzz):
    write_audio(tmp_path / "ann.wav", buzz(120, 20.0)[: 20 * RATE], subtype="FLOAT")
    turn = Source("ann-1", "ann", "F", str(tmp_path / "ann.wav"), 0, 20 * RATE, 0, 0.5, -25.0)
    write_sessions(tmp_path / "test" / "session.jsonl", [Session("x", "talk", 20 * RATE, ("ann",), (turn,), (), 1.0)])
    return tmp_path / "test"


def test_it_tells_how_it_goes_on(folder, monkeypatch, capsys):
    benchmark = script("tracking")
    monkeypatch.setattr(benchmark, "EVERY_S", 30)
    assert benchmark.main(["--sessions", str(folder), "--minutes", "1"]) == 0
    _, *rows = cells(capsys.readouterr().out)
    assert len(rows) == 2 and rows[-1][0] == "1"
    assert float(rows[0][5]) > 0 and int(rows[0][7]) >= 0


def test_a_set_without_sessions_is_told(tmp_path, capsys):
    (tmp_path / "session.jsonl").write_text("")
    assert script("tracking").main(["--sessions", str(tmp_path)]) == 1
    assert "wanted sessions, found none" in capsys.readouterr().err
