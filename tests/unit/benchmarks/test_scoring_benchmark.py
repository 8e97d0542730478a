"""benchmarks/scoring.py on made speech: its pairs, its agreement with other packages, its arithmetic."""

from types import SimpleNamespace

import numpy as np
import pytest
from benchmark import cells, script

from wesep_mix.base.files import read_table
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.metrics.dnsmos import dnsmos


@pytest.fixture(scope="module")
def module():
    return script("scoring")


@pytest.fixture(scope="module")
def made(module, tmp_path_factory, buzz):
    """Four pairs of two mixtures, and their folder."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for number, pitch in enumerate((110, 150, 190, 230)):
        samples = 4 * buzz(pitch, 5.5) + 0.01 * rng.standard_normal(88000)
        write_audio(folder / "speech" / f"{number}.wav", samples.clip(-1, 1))
    write_audio(folder / "speech" / "short.wav", 0.1 * np.ones(16000))
    return module.made_pairs(folder / "speech", 4, folder), folder


def test_every_pair_has_its_files_and_lists_of_both_layouts(module, made):
    pairs, folder = made
    est, source, mix = pairs[3]
    np.testing.assert_allclose(mix, pairs[2][1] + source, atol=1e-6)
    np.testing.assert_allclose(read_audio(folder / "est" / "1-2.wav"), est, atol=1e-6)
    assert np.corrcoef(est, source)[0, 1] > np.corrcoef(mix, source)[0, 1]
    ref, found = (read_table(paths[0]) for paths in module._lists(folder, 6, "one"))
    assert list(ref) == list(found) and "s2/m0002.wav" in ref and ref["s2/m0002.wav"] == str(folder / "ref" / "0-2.wav")
    refs, ests = module._lists(folder, 6, "two")
    assert [len(read_table(path)) for path in (*refs, *ests)] == [3] * 4


def test_scores_agree_with_those_of_other_packages(module, made, monkeypatch):
    pairs, folder = made

    def said(pairs, *_):
        rated = np.array([list(one.values()) for one in dnsmos([est for est, _, _ in pairs], personalised=True)])
        return np.stack([rated[:, [4, 5, 6, 3]], rated[:, :4] + 1e-4]), [1.0, 1.0]

    monkeypatch.setattr(module, "speechmos", said)
    rows = cells(module.agreement(pairs, folder, None).markdown())
    assert [row[1] for row in rows[1:]] == ["4"] * 8 and all(float(row[3]) < 1e-3 for row in rows[1:])
    assert {row[0]: row[3] for row in rows}["DNSMOS, speechmos"] == "1e-04"


def test_pairs_a_second_are_without_the_start(module, monkeypatch):
    """WeSep: 2 s to start and 0.2 a pair, 0.1 of it CPU; ours: 5 s and 0.05, 0.08 of CPU."""
    begun = []

    def seconds(run):
        begun.append(run.args[-1])
        start, each = (2, [0.2, 0.1]) if run.func is not module._ours else (5, [0.05, 0.08])
        return start + run.args[-1] * np.array(each)

    monkeypatch.setattr(module, "_seconds", seconds)
    args = SimpleNamespace(wesep="there", rounds=2, num_timed=40)
    rows = cells(module.throughput("folder", args).markdown())
    assert rows[1] == ["one-source", "5.0", "20.0", "4.0 (4.0 to 4.0)", "100", "80", "1.25"]
    assert rows[2][0] == "two-source" and begun == [8, 40] * 8


def test_where_the_time_goes(module, made):
    rows = cells(module.time_table(*made).markdown())
    assert [row[0] for row in rows[1:]] == [
        "reading three files",
        "SI-SDR of estimate and mixture",
        "SDR of estimate and mixture",
        "PESQ",
        "STOI and ESTOI",
        "DNSMOS P.835",
        "DNSMOS P.808",
    ]
    assert all(float(row[1]) >= 0 for row in rows[1:])


def test_too_little_speech_is_told(module, made, capsys):
    assert module.main([str(made[1] / "speech"), "--num", "6"]) == 1
    assert "wanted an even number of files of 5 s, 6, found 4" in capsys.readouterr().err
