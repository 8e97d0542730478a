import json
import subprocess
import sys

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json, write_json
from wesep_mix.evaluation.scoring import METRICS, read_scored, read_scores, score_condition, summarise
from wesep_mix.evaluation.settings import ScoreConfig
from wesep_mix.io.audio import write_audio
from wesep_mix.metrics.dnsmos import SCALES, dnsmos
from wesep_mix.metrics.si_sdr import si_sdr
from wesep_mix.mixing.plan import speaker_keys
from wesep_mix.mixing.render import render


@pytest.fixture
def wavs(tmp_path, plans):
    """Estimates: each source with a tenth of everything else."""
    for plan in plans:
        rendered = render(plan)
        for key, source in zip(speaker_keys(plan), rendered.sources, strict=True):
            write_audio(tmp_path / "wav" / f"{key}.wav", 0.9 * source + 0.1 * rendered.mix, subtype="FLOAT")
    return tmp_path / "wav"


def test_table_and_summary(wavs, plans, tmp_path):
    summary = score_condition(plans, wavs, tmp_path, params=12)
    rows = read_scores(tmp_path / "scores.csv")
    assert [(row["mix"], row["speaker"]) for row in rows] == [
        ("a_b", "a"),
        ("a_b", "b"),
        ("b_e", "b"),
        ("b_e", "e"),
        ("c_d", "c"),
        ("c_d", "d"),
    ]
    assert (summary["num"], summary["num_bad"], summary["params"]) == (6, 0, 12)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    rendered = render(plans[0])
    est = 0.9 * rendered.sources[1] + 0.1 * rendered.mix
    assert rows[1]["si_sdr"] == pytest.approx(si_sdr(est, rendered.sources[1]), abs=1e-4)
    gained = si_sdr(est, rendered.sources[1]) - si_sdr(rendered.mix, rendered.sources[1])
    assert rows[1]["si_sdri"] == pytest.approx(gained, abs=1e-4) and gained > 10


def test_dnsmos_comes_where_it_is_asked_for(plans, wavs, tmp_path):
    asked = score_condition(plans[:1], wavs, tmp_path / "asked", params=0, dnsmos=True)
    plain = score_condition(plans[:1], wavs, tmp_path / "plain", params=0)
    ratios = score_condition(plans[:1], wavs, tmp_path / "ratios", params=0, perceptual=False, dnsmos=True)
    assert ratios == {key: value for key, value in plain.items() if not key.startswith(("pesq", "stoi"))}
    assert read_scored(tmp_path / "ratios")[0][0].keys() == {"mix", "speaker", "si_sdr", "si_sdri"}
    assert set(asked) - set(plain) == {"sig", "bak", "ovrl", "sig_std", "bak_std", "ovrl_std"}
    assert {name: asked[name] for name in plain} == plain
    rendered = render(plans[0])
    est = 0.9 * rendered.sources[1] + 0.1 * rendered.mix
    row = read_scores(tmp_path / "asked" / "scores.csv")[1]
    assert {scale: row[scale] for scale in SCALES} == pytest.approx(dnsmos(est), abs=1e-4)


def test_number_of_processes_changes_nothing(wavs, plans, tmp_path):
    for nj in (1, 2):
        score_condition(plans[:2], wavs, tmp_path / str(nj), params=0, nj=nj)
    for name in ("scores.csv", "summary.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_unprocessed_mixture_improves_nothing(plans, tmp_path):
    summary = score_condition(plans[:1], None, tmp_path, params=0)
    assert summary["si_sdri"] == summary["si_sdri_std"] == 0.0
    assert summary["num"] == 2


def test_mean_and_population_deviation():
    rows = [dict.fromkeys(METRICS, value) for value in (1.0, 2.0, 6.0)]
    summary = summarise(rows)
    assert (summary["num"], summary["pesq"]) == (3, 3.0)
    assert summary["pesq_std"] == pytest.approx(np.sqrt(14 / 3))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "a_b-b: .*no such file"),
        (lambda path: write_audio(path, np.ones(100) * 0.1), "wanted 19000 samples .*, found 100"),
        (lambda path: write_audio(path, np.zeros(19000)), "a_b-b: est is silent"),
        (lambda path: write_audio(path, np.ones(19000) * 0.1, 8000), "wanted 16000 Hz, found 8000"),
        (lambda path: path.write_bytes(b"RIFF"), "cannot be read"),
    ],
)
def test_a_bad_estimate_is_named_counted_and_fatal_above_max_bad(wavs, plans, tmp_path, spoil, said, capsys):
    spoil(wavs / "a_b-b.wav")
    with pytest.raises(UserError, match=f"{said}.*; mend it, or leave it out with --set score.max_bad=1$"):
        score_condition(plans[:1], wavs, tmp_path, params=0)
    assert not (tmp_path / "scores.csv").exists()
    summary = score_condition(plans[:1], wavs, tmp_path, params=0, max_bad=1)
    assert (summary["num"], summary["num_bad"]) == (1, 1)
    assert "a_b-b" in capsys.readouterr().err


def test_nothing_scored_is_an_error_whatever_may_be_bad(plans, tmp_path):
    with pytest.raises(UserError, match="nothing was scored, 2 estimates wanted"):
        score_condition(plans[:1], tmp_path / "wav", tmp_path, params=0, max_bad=99)


def test_a_damaged_table_is_named(tmp_path):
    (tmp_path / "scores.csv").write_text("mix,speaker,si_sdr\na,b,1.0\n")
    with pytest.raises(UserError, match="scores.csv: not a table of scores"):
        read_scores(tmp_path / "scores.csv")


@pytest.fixture
def scored(plans, tmp_path):
    score_condition(plans, None, tmp_path / "scores", params=5)
    return tmp_path / "scores"


def test_a_table_and_its_summary_are_read_together(scored):
    rows, summary = read_scored(scored)
    assert rows == read_scores(scored / "scores.csv") and summary == read_json(scored / "summary.json")


def changed(path, place, text):
    """Write `text` for the column `place` of the last row."""
    lines = path.read_text().splitlines()
    cells = lines[-1].split(",")
    cells[place] = text
    path.write_text("\n".join([*lines[:-1], ",".join(cells)]) + "\n")


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda path: path.write_text("".join(path.read_text().splitlines(True)[:-1])), "in summary.json it is"),
        (lambda path: path.write_text(path.read_text().splitlines()[0]), "scores.csv: wanted scores, found none"),
        (lambda path: path.write_text(""), "scores.csv: wanted scores, found none"),
        (lambda path: changed(path, 4, "nan"), "scores.csv: pesq of .*: wanted a number, found nan"),
        (lambda path: changed(path, 5, "-inf"), "scores.csv: stoi of .*: wanted a number, found -inf"),
        (lambda path: changed(path, 2, "7.5"), "scores.csv: si_sdr of its . rows is .*, in summary.json it is"),
        (lambda path: write_json(path.with_name("summary.json"), {"num": 1}), "in summary.json it is 1"),
        (lambda path: write_json(path.with_name("summary.json"), []), "summary.json: wanted a mapping, found none"),
        (
            lambda path: path.with_name("summary.json").write_text(
                path.with_name("summary.json").read_text().replace('"pesq": ', '"pesq": NaN, "x": ')
            ),
            "it is nan",
        ),
    ],
)
def test_a_table_that_is_not_that_of_its_summary_is_an_error(scored, spoil, said):
    spoil(scored / "scores.csv")
    with pytest.raises(UserError, match=f"{said}.*redo the stage|{said}.*damaged, redo"):
        read_scored(scored)


def test_workers_and_finished_stages_do_not_import_torch():
    modules = "wesep_mix.evaluation.scoring, wesep_mix.bin.score, wesep_mix.bin.analyse, wesep_mix.bin.report"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        ("matched", True),
        ("mixture", True),
        ("separated", True),
        ("none", False),
        ("wrong", False),
        ("oracle", False),
        ("enrolment", False),
        ("enrolment_noisy", False),
    ],
)
def test_controls_may_do_without_the_metrics_that_take_the_time(condition, asked):
    assert ScoreConfig(perceptual_controls=False).is_perceptual(condition) is asked
    assert ScoreConfig().is_perceptual(condition)
