import os
import re
from pathlib import Path

import numpy as np
import pytest

from wesep_mix.base.files import read_json, write_json
from wesep_mix.bin import report
from wesep_mix.report import build
from wesep_mix.report.markdown import command, portable, tag_of
from wesep_mix.report.plots import pair_cosines
from wesep_mix.report.tables import Table, millions, ordered_rows


def run(experiment, *more):
    return report.main(["--corpus", "mini", "--num_spk", "2", "--exp", str(experiment), *more])


def test_writes_both_places_and_prints_the_tables(experiment, capsys):
    assert run(experiment, "--set", "optim.lr=5e-4") == 0
    said = capsys.readouterr().out
    assert re.search(r"^net/wrong +0\.50 ± 0\.00 +-5\.75 ± 0\.17", said, re.MULTILINE)
    assert re.search(r"^student +66\.7 +0\.200 .* 10\.0 +0\.700 +0\.812 +66\.7 +6 +-$", said, re.MULTILINE)
    assert re.search(r"^teacher +66\.7 +0\.200 .* 10\.0 +0\.700 +- +- +6 +-$", said, re.MULTILINE)
    for folder in (experiment, experiment / "2mix"):
        text = (folder / "RESULTS.md").read_text()
        assert "bash run.sh --corpus mini --num_spk 2 --extractor net --tag trial --set optim.lr=5e-4" in text
        assert "Seed 7, git revision" in text
        assert text.index("## Extraction") < text.index("## By sexes, SNR, overlap and voices") < text.index("## Plots")
        assert "| overlap | 0.5-0.6 |" in text and "| student: Cos | 0.800 |" in text
        assert "| net: SI-SDRi dB | 5.25 |" in text and "| net/wrong: " not in text
        assert "without a head" not in text
        links = re.findall(r"\]\(([^)]+)\)", text)
        assert [Path(link).stem for link in links] == ["si_sdri", "scores", "cosines", "map"]
        files = [(folder / link).with_suffix(ending) for link in links for ending in (".png", ".pdf", ".svg")]
        assert all(file.stat().st_size > 1000 for file in files) and not any(map(os.path.isabs, links))
        assert (folder / "tables.tex").read_text().count(r"\begin{table}") == 2
    assert (experiment / "results.json").read_bytes() == (experiment / "2mix" / "results.json").read_bytes()


def test_columns_that_no_row_has_are_not_there(experiment, no_plots, capsys):
    path = experiment / "2mix" / "clustering" / "metrics.json"
    rows = {
        name: {key: value for key, value in row.items() if key != "count_acc"} for name, row in read_json(path).items()
    }
    rows["student"]["num_missing"] = 2
    write_json(path, rows)
    run(experiment)
    assert "Count %" not in capsys.readouterr().out
    assert (
        "Talkers without a head have no embedding and are in no number but Acc of all, as wrong ones, and Count: "
        "`student` 2." in (experiment / "RESULTS.md").read_text()
    )


@pytest.fixture
def no_plots(monkeypatch):
    monkeypatch.setattr(build, "draw_plots", lambda mixtures: {})


def test_same_content_every_time_and_no_absolute_path(experiment, no_plots):
    run(experiment)
    first = [(experiment / name).read_bytes() for name in ("results.json", "RESULTS.md")]
    run(experiment)
    assert first == [(experiment / name).read_bytes() for name in ("results.json", "RESULTS.md")]
    assert all(str(experiment).encode() not in content for content in first)


def test_seed_can_be_given(experiment, no_plots):
    run(experiment, "--seed", "3")
    assert "Seed 3," in (experiment / "RESULTS.md").read_text()


def test_nothing_to_report_is_one_line_and_a_status(tmp_path, capsys):
    assert run(tmp_path) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_without_embeddings_only_the_other_plots(experiment):
    (experiment / "2mix" / "embeddings" / "test" / "matched.ark").unlink()
    (experiment / "2mix" / "embeddings" / "test" / "teacher.scp").unlink()
    assert [path.name for path in build.draw_plots(experiment / "2mix").values()] == ["si_sdri.png", "scores.png"]


@pytest.mark.parametrize(("name", "tag"), [("mini", ""), ("mini_a_b", "a_b"), ("minimal", "")])
def test_tag_from_the_folder(name, tag):
    assert tag_of(Path("exp") / name, "mini") == tag


def test_paths_of_this_machine_are_told_from_the_project(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    assert portable(f"corpus.corpus.speech_dir={tmp_path / 'data'}") == "corpus.corpus.speech_dir=../data"
    assert portable("optim.lr=5e-4") == "optim.lr=5e-4"


def test_a_command_is_quoted_for_the_shell():
    assert command(Path("exp/mini_big"), "mini", ("--num_spk", "2"), ["a={b: c}", "lr=1"]) == (
        "bash run.sh --corpus mini --num_spk 2 --tag big --set 'a={b: c}' --set lr=1"
    )


def test_rows_run_from_reference_to_controls():
    names = [
        "b",
        "a/enrolment_noisy",
        "a/oracle",
        "a/none",
        "a/enrolment",
        "mixture",
        "a",
        "a/new",
        "a/wrong",
        "a/random",
    ]
    controls = ["a/none", "a/wrong", "a/random", "a/oracle", "a/enrolment", "a/enrolment_noisy"]
    assert ordered_rows(names) == ["mixture", "a", *controls, "a/new", "b"]
    assert ordered_rows(["student", "kmeans/teacher", "kmeans", "teacher/clean", "teacher"]) == [
        "teacher",
        "teacher/clean",
        "kmeans",
        "kmeans/teacher",
        "student",
    ]


def test_tables_in_both_forms():
    table = Table(("name", "x"), [("long name", "1.5"), ("b", "-10.25")])
    assert table.markdown() == "| name | x |\n| --- | ---: |\n| long name | 1.5 |\n| b | -10.25 |"
    assert table.text() == "name            x\nlong name     1.5\nb          -10.25"
    assert (millions(1_234_567), millions(0)) == ("1.23 M", "-")


def test_pair_cosines_by_hand():
    same, different = pair_cosines(np.array([[1.0, 0], [3, 0], [0, 2]]), ["a", "a", "b"])
    assert same.tolist() == [1.0] and different.tolist() == [0.0, 0.0]
