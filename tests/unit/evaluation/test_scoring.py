import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pesq
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json, write_json
from wesep_mix.evaluation import scoring
from wesep_mix.evaluation.scoring import (
    JOURNAL,
    METRICS,
    read_scored,
    read_scores,
    score_condition,
    summarise,
    targets_of,
    write_scores,
)
from wesep_mix.evaluation.settings import FILTERED, PERCEPTUAL, RATIOS, SHARES, ScoreConfig
from wesep_mix.evaluation.trials import score_trial
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.metrics.dnsmos import dnsmos
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
    summary = score_condition(plans, wavs, tmp_path, 12, ScoreConfig())
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


def test_an_estimate_that_is_another_talkers_is_told(plans, tmp_path):
    """Of four estimates one is the target's, one the mixture, one 0.9 dB better than it, one the other talker's."""
    (first, second), gain = plans[:2], 10 ** (0.9 / 20)
    ests = {}
    for plan in (first, second):
        rendered = render(plan)
        ests |= dict(zip(speaker_keys(plan), rendered.sources, strict=True))
    (a, b), (c, d), mix = speaker_keys(first), speaker_keys(second), render(second).mix
    ests[b] = ests[a]
    ests[d], ests[c] = mix, ests[c] + (mix - ests[c]) / gain
    for key, est in ests.items():
        write_audio(tmp_path / "wav" / f"{key}.wav", est, subtype="FLOAT")
    summary = score_condition([first, second], tmp_path / "wav", tmp_path, 0, ScoreConfig(), perceptual=False)
    rows = {f"{row['mix']}-{row['speaker']}": row for row in read_scores(tmp_path / "scores.csv")}
    assert 0 < rows[c]["si_sdri"] < 1 and rows[d]["si_sdri"] == pytest.approx(0, abs=1e-4)
    assert {key: row["extracted"] for key, row in rows.items()} == {a: 1, b: 0, c: 0, d: 0}
    assert (rows[a]["wrong_talker"], rows[b]["wrong_talker"]) == (0, 1)
    nearer = [si_sdr(mix, source) for source in render(second).sources]
    assert rows[d]["wrong_talker"] == float(nearer[0] > nearer[1])
    assert (summary["extracted"], summary["wrong_talker"]) == (
        0.25,
        np.mean([r["wrong_talker"] for r in rows.values()]),
    )


MIXTURES = [("m1", "a"), ("m1", "b"), ("m2", "a"), ("m2", "c"), ("m2", "d"), ("m3", "e")]


def test_one_target_of_each_mixture_whatever_the_order():
    rows = [{"mix": mix, "speaker": speaker} for mix, speaker in MIXTURES]
    assert targets_of(rows, "all", 0) == rows
    chosen = targets_of(rows, "one", 0)
    assert [row["mix"] for row in chosen] == ["m1", "m2", "m3"] and all(row in rows for row in chosen)
    assert targets_of(rows[::-1], "one", 0) == chosen[::-1]
    lost = chosen[1]
    without = targets_of([row for row in rows if row != lost], "one", 0)
    assert (without[0], without[2]) == (chosen[0], chosen[2]) and without[1]["mix"] == "m2" and without[1] != lost


def test_every_talker_is_as_often_the_target():
    rows = [{"mix": f"m{number}", "speaker": speaker} for number in range(600) for speaker in "abc"]
    for seed in (0, 1):
        speakers = [row["speaker"] for row in targets_of(rows, "one", seed)]
        assert all(160 < speakers.count(speaker) < 240 for speaker in "abc")
    assert targets_of(rows, "one", 0) != targets_of(rows, "one", 1)


def test_a_summary_is_of_the_wanted_targets_and_the_table_of_all(wavs, plans, tmp_path):
    of_all = score_condition(plans, wavs, tmp_path / "all", 1, ScoreConfig(seed=3), perceptual=False)
    of_one = score_condition(plans, wavs, tmp_path / "one", 1, ScoreConfig(seed=3, targets="one"), perceptual=False)
    assert (of_all["num"], of_all["targets"], of_one["num"], of_one["targets"]) == (6, "all", 3, "one")
    assert (tmp_path / "all" / "scores.csv").read_bytes() == (tmp_path / "one" / "scores.csv").read_bytes()
    rows, summary = read_scored(tmp_path / "one")
    assert len(rows) == 3 and summary == of_one
    assert of_one["si_sdr"] == pytest.approx(np.mean([row["si_sdr"] for row in rows]))
    assert read_scored(tmp_path / "all", "one") == (rows, of_one)
    assert read_scored(tmp_path / "one", "all")[1] == of_all


def test_a_table_of_an_older_revision_is_read_as_it_is(tmp_path):
    """It has neither shares nor ESTOI nor says of what targets it is."""
    rows = [
        {"mix": "m", "speaker": speaker, "si_sdr": 1.0, "si_sdri": 2.0, "pesq": 1.1, "stoi": 0.5} for speaker in "ab"
    ]
    write_scores(tmp_path / "scores.csv", rows)
    write_json(tmp_path / "summary.json", summarise(rows) | {"num_bad": 0, "params": 1})
    assert read_scored(tmp_path)[0] == rows and read_scored(tmp_path)[1]["targets"] == "all"
    assert read_scored(tmp_path, "one")[1]["num"] == 1


def test_dnsmos_comes_where_it_is_asked_for(plans, wavs, tmp_path):
    asked = score_condition(plans[:1], wavs, tmp_path / "asked", 0, ScoreConfig(dnsmos=True))
    plain = score_condition(plans[:1], wavs, tmp_path / "plain", 0, ScoreConfig())
    ratios = score_condition(plans[:1], wavs, tmp_path / "ratios", 0, ScoreConfig(dnsmos=True), perceptual=False)
    costly = (*PERCEPTUAL, *FILTERED, *(f"{metric}_std" for metric in (*PERCEPTUAL, *FILTERED)))
    assert ratios == {key: value for key, value in plain.items() if key not in costly}
    assert read_scored(tmp_path / "ratios")[0][0].keys() == {"mix", "speaker", *RATIOS, *SHARES}
    rated = ("sig", "bak", "ovrl", "p808")
    assert set(asked) - set(plain) == {*rated, *(f"{scale}_std" for scale in rated)}
    assert {name: asked[name] for name in plain} == plain
    rendered = render(plans[0])
    est = 0.9 * rendered.sources[1] + 0.1 * rendered.mix
    row = read_scores(tmp_path / "asked" / "scores.csv")[1]
    assert {scale: row[scale] for scale in rated} == pytest.approx(dnsmos([est])[0], abs=1e-4)
    all_of_it = ScoreConfig(dnsmos=True, dnsmos_personalised=True, sdr=False)
    score_condition(plans[:1], wavs, tmp_path / "all", 0, all_of_it)
    assert set(read_scores(tmp_path / "all" / "scores.csv")[0]) - set(row) == {"psig", "pbak", "povrl"}
    assert set(row) - set(read_scores(tmp_path / "all" / "scores.csv")[0]) == set(FILTERED)


def test_number_of_processes_changes_nothing(wavs, plans, tmp_path):
    for nj in (1, 2):
        score_condition(plans[:2], wavs, tmp_path / str(nj), 0, ScoreConfig(), nj=nj)
    for name in ("scores.csv", "summary.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_unprocessed_mixture_improves_nothing(plans, tmp_path):
    summary = score_condition(plans[:1], None, tmp_path, 0, ScoreConfig())
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
        (lambda path: write_audio(path, np.ones(18999) * 0.1), "a_b-b.wav: wanted 19000 samples .*, found 18999"),
        (lambda path: write_audio(path, np.ones(19001) * 0.1), "a_b-b.wav: wanted 19000 samples .*, found 19001"),
        (lambda path: write_audio(path, np.ones(3000) * 0.1), "a_b-b.wav: wanted 19000 samples .*, found 3000"),
        (lambda path: write_audio(path, np.zeros(19000)), "a_b-b: est is silent"),
        (lambda path: write_audio(path, np.ones(19000) * 0.1, 8000), "wanted 16000 Hz, found 8000"),
        (lambda path: path.write_bytes(b"RIFF"), "cannot be read"),
    ],
)
def test_a_bad_estimate_is_named_counted_and_fatal_above_max_bad(wavs, plans, tmp_path, spoil, said, capsys):
    spoil(wavs / "a_b-b.wav")
    with pytest.raises(UserError, match=f"{said}.*; mend it, or leave it out with --set score.max_bad=1$"):
        score_condition(plans[:1], wavs, tmp_path, 0, ScoreConfig())
    assert not (tmp_path / "scores.csv").exists()
    summary = score_condition(plans[:1], wavs, tmp_path, 0, ScoreConfig(max_bad=1))
    assert (summary["num"], summary["num_bad"]) == (1, 1)
    assert "a_b-b" in capsys.readouterr().err


def test_a_metric_without_a_value_is_an_empty_cell_and_counted(plans, wavs, tmp_path, monkeypatch, capsys):
    whole = score_condition(plans[:1], wavs, tmp_path / "whole", 0, ScoreConfig())
    assert whole["empty"] == {} and "no value" not in capsys.readouterr().err
    usual = pesq.pesq

    def refuse(rate, source, est, mode):  # the source of `a`, which begins at once
        if np.flatnonzero(source)[0] < 3000:
            raise pesq.NoUtterancesError(b"No utterances detected")
        return usual(rate, source, est, mode)

    monkeypatch.setattr(pesq, "pesq", refuse)
    summary = score_condition(plans[:1], wavs, tmp_path / "scores", 0, ScoreConfig())
    first, second = read_scores(tmp_path / "scores" / "scores.csv")
    assert np.isnan(first["pesq"]) and first["stoi"] > 0 and second["pesq"] > 1
    assert (tmp_path / "scores" / "scores.csv").read_text().splitlines()[1].split(",")[8] == ""
    assert (summary["num"], summary["num_bad"], summary["empty"]) == (2, 0, {"pesq": 1})
    assert (summary["pesq"], summary["pesq_std"]) == (second["pesq"], 0.0)
    said = "pesq has no value for 1 of 2 talkers, its mean is over the others; a_b-a: PESQ: No utterances detected"
    assert said in capsys.readouterr().err
    rows, read = read_scored(tmp_path / "scores")
    assert read == summary and len(rows) == 2
    of_one = read_scored(tmp_path / "scores", "one")[1]
    assert of_one["num"] == 1 and ("pesq" in of_one) != bool(of_one["empty"])


def test_a_mean_that_no_talker_has_is_not_there(plans, wavs, tmp_path, monkeypatch):
    def refuse(*_):
        raise pesq.NoUtterancesError(b"No utterances detected")

    monkeypatch.setattr(pesq, "pesq", refuse)
    summary = score_condition(plans[:1], wavs, tmp_path, 0, ScoreConfig())
    assert summary["empty"] == {"pesq": 2} and "pesq" not in summary and "pesq_std" not in summary
    assert read_scored(tmp_path)[1] == summary


def test_a_summary_that_counts_other_empty_cells_is_damaged(scored):
    summary = read_json(scored / "summary.json")
    write_json(scored / "summary.json", summary | {"empty": {"pesq": 1}})
    with pytest.raises(UserError, match="empty of its 6 rows is {}, in summary.json it is {'pesq': 1}; one of them is"):
        read_scored(scored)


def test_a_ratio_or_share_is_never_empty(scored):
    changed(scored / "scores.csv", 3, "")
    with pytest.raises(UserError, match="si_sdri of .*: wanted a number, found an empty cell"):
        read_scores(scored / "scores.csv")


def test_what_was_scored_before_a_stop_is_not_scored_again_unless_its_wav_has_changed(
    plans, wavs, tmp_path, monkeypatch
):
    settings = ScoreConfig(dnsmos=True)
    score_condition(plans[:2], wavs, tmp_path / "whole", 3, settings)
    spoiled = wavs / "c_d-d.wav"
    good = spoiled.read_bytes()
    spoiled.write_bytes(b"RIFF")
    with pytest.raises(UserError, match="c_d-d"):
        score_condition(plans[:2], wavs, tmp_path / "parts", 3, settings)
    assert len((tmp_path / "parts" / JOURNAL).read_text().splitlines()) == 3
    spoiled.write_bytes(good)
    other = read_audio(wavs / "c_d-c.wav")
    write_audio(wavs / "c_d-c.wav", other, subtype="FLOAT")  # anew, so it is not known to be the same
    done = []

    def noting(trial, measures):
        done.append(trial.key)
        return score_trial(trial, measures)

    monkeypatch.setattr(scoring, "score_trial", noting)
    score_condition(plans[:2], wavs, tmp_path / "parts", 3, settings)
    assert done == ["c_d-c", "c_d-d"] and not (tmp_path / "parts" / JOURNAL).exists()
    for name in ("scores.csv", "summary.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_a_missing_reference_is_named_and_counted(plans, wavs, tmp_path):
    first, second = plans[0].sources
    gone = replace(plans[0], sources=(first, replace(second, path=str(tmp_path / "gone.wav"))))
    with pytest.raises(UserError, match="a_b-a: .*gone.wav: cannot be read as audio .no such file"):
        score_condition([gone, plans[1]], wavs, tmp_path, 0, ScoreConfig())
    summary = score_condition([gone, plans[1]], wavs, tmp_path, 0, ScoreConfig(max_bad=2), perceptual=False)
    assert (summary["num"], summary["num_bad"]) == (2, 2)  # both talkers of the mixture, which cannot be rendered


def test_the_sign_of_nothing_is_not_written(tmp_path):
    write_scores(tmp_path / "scores.csv", [{"mix": "m", "speaker": "a", "si_sdr": -4e-7, "si_sdri": -5.1e-7}])
    assert (tmp_path / "scores.csv").read_text().splitlines()[1] == "m,a,0.000000,-0.000001"


def test_nothing_scored_is_an_error_whatever_may_be_bad(plans, tmp_path):
    with pytest.raises(UserError, match="nothing was scored, 2 estimates wanted"):
        score_condition(plans[:1], tmp_path / "wav", tmp_path, 0, ScoreConfig(max_bad=99))


def test_a_damaged_table_is_named(tmp_path):
    (tmp_path / "scores.csv").write_text("mix,speaker,si_sdr\na,b,1.0\n")
    with pytest.raises(UserError, match="scores.csv: not a table of scores"):
        read_scores(tmp_path / "scores.csv")


@pytest.fixture
def scored(plans, tmp_path):
    score_condition(plans, None, tmp_path / "scores", 5, ScoreConfig())
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
        (lambda path: changed(path, 8, "nan"), "scores.csv: pesq of .*: wanted a number, found nan"),
        (lambda path: changed(path, 9, "-inf"), "scores.csv: stoi of .*: wanted a number, found -inf"),
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
