"""The paper's tables by their entry point: what is left out and why, what is written, which settings are refused."""

import dataclasses
import importlib
import json
import re

import pytest
from places import ROOT

from wesep_mix.base.config import load_config
from wesep_mix.base.files import write_json
from wesep_mix.base.stage import STATE_FILE
from wesep_mix.bin import check_config, tables
from wesep_mix.evaluation.scoring import summarise, write_scores
from wesep_mix.tables.table1 import Table1Config, Table1Layout

MINI = ROOT / "egs" / "mini"
ROWS = (
    "{one: {title: one talker, num_spk: 1, model: teacher}, two: {title: two talkers, num_spk: 2, model: student}, "
    "three: {title: three talkers, num_spk: 3, model: kmeans}}"
)
SETTINGS = [
    f"table1.rows={ROWS}",
    "table1.seeds=[0, 1]",
    "table1.shares=[]",
    "table1.ahead=[]",
    "table1.counts=",
    "table2.rows={noisy: {title: noisy, num_spk: 2, model: mixture}, net: {title: net, num_spk: 2, model: "
    "extractor, config: stft_tcn, student: two}}",
    "table2.ahead=[]",
]
NUMBERS = {"acc": 0.5, "sep": 0.5, "nmi": 0.5, "sil": 0.1, "ari": 0.4, "eer": 0.25, "num": 8, "trainable": 7}


@pytest.fixture
def run(tmp_path, capsys):
    """Function: number of a stage, more options -> status, lines on stdout, stderr."""

    def call(stage, *more, settings=()):
        data = tmp_path / "data"
        status = tables.main(
            [
                f"--stage_number={stage}",
                f"--egs={MINI}",
                f"--data={data}",
                f"--single={data}/single",
                f"--exp={tmp_path}/exp",
                *(f"--set={setting}" for setting in (*SETTINGS, *settings)),
                *more,
            ]
        )
        out, err = capsys.readouterr()
        return status, out.splitlines(), err

    return call


@pytest.fixture
def prepared_sets(tmp_path):
    """Those of one and two talkers."""
    for name in ("single", "2mix"):
        (tmp_path / "data" / name / "test").mkdir(parents=True)
        (tmp_path / "data" / name / "test" / "plan.jsonl").touch()
        write_json(tmp_path / "data" / name / STATE_FILE, {"done": True, "fingerprint": name})
    return tmp_path / "data"


@pytest.fixture
def layout(prepared_sets, tmp_path):
    """All of Table 1 is done for seed 0."""
    table = load_config(Table1Config, MINI / "conf" / "table1.yaml", SETTINGS)
    made = Table1Layout(
        table, MINI / "conf", prepared_sets, prepared_sets / "single", tmp_path / "exp" / "table1", SETTINGS
    )
    for name in ("one", "two"):
        finish(made, name, 0)
    return made


def finish(layout, name, seed):
    for job in layout.jobs(name, seed):
        (part,) = importlib.import_module(f"wesep_mix.bin.{job.entry}").parts(list(job.options))
        part.begin(False)
        job.product.touch()
        part.end()
    part = layout.metrics(name, seed)
    part.begin(False)
    write_json(layout.result(name, seed), NUMBERS | {"acc": 0.5 + seed / 10})
    part.end()


def table_of(folder, name="table1"):
    return json.loads((folder / "exp" / f"{name}.json").read_text())


@pytest.mark.parametrize(
    "option, said",
    [
        ("--rows=two,nobody", "--rows: no nobody; there are: one, two, three"),
        ("--seeds=0,3", "--seeds: no 3; there are: 0, 1"),
    ],
)
def test_only_rows_and_seeds_that_there_are(run, option, said):
    status, _, err = run(2, option)
    assert status == 1 and said in err


@pytest.mark.parametrize("stage", [2, 3, 4, 8, 5, 9])
def test_nothing_prepared_is_an_error_that_says_what_is_wanted(run, tmp_path, stage):
    status, out, err = run(stage)
    assert status == 1 and err.count("\n") == 1 and "no row is left of" in err
    assert all(f"there is no {tmp_path}/data/" in line and "stage 1 makes it with" in line for line in out)
    assert not (tmp_path / "exp").exists()


def test_a_missing_set_leaves_its_rows_out(run, layout):
    status, out, _ = run(8)
    assert status == 0
    assert out[0] == (
        f"stage 8 (table 1): left out three: there is no {layout.data}/3mix; stage 1 makes it with --tables true"
    )


def test_the_table_is_written_of_what_there_is(run, layout, tmp_path):
    status, out, _ = run(8)
    assert status == 0
    assert out[1] == (
        f"stage 8 (table 1): left out one, two: {layout.exp}/seed1/teacher/one is not there, or not "
        "finished; stage 2 makes it, run with --tables true --stage 2 --stop_stage 2 first"
    )
    assert table_of(tmp_path)["seeds"] == [0] and table_of(tmp_path)["left_out"] == ["three"]
    finish(layout, "one", 1)
    assert run(8, "--rows=one")[0] == 0  # the table is of all rows whatever this call was asked for
    assert [sorted(rows) for rows in table_of(tmp_path)["by_seed"].values()] == [["one", "two"], ["one"]]
    assert "With fewer seeds than 0, 1: two talkers (0)." in (tmp_path / "exp" / "TABLE1.md").read_text()


@pytest.mark.parametrize(
    "option, status",
    [("--rows=three", 1), ("--rows=one,three", 1), ("--seeds=1", 1), ("--seeds=0,1", 1), ("--seeds=0", 0)],
)
def test_a_row_that_was_named_and_is_left_out_fails_the_call(run, layout, option, status):
    assert run(8, option)[0] == status  # --seeds does not name rows whose sets are not prepared


def test_a_row_of_other_settings_is_named_and_not_in_the_table(run, layout, tmp_path):
    assert run(8)[0] == 0 and set(table_of(tmp_path)["rows"]) == {"one", "two"}
    changed = [f"table1.rows={ROWS.replace('model: student', 'model: student, student: {optim.lr: 1}')}"]
    status, out, _ = run(8, settings=changed)
    assert status == 0
    assert out[0].startswith(
        f"stage 8 (table 1): left out two: {layout.exp}/seed0/student/two was made with other "
        "settings or inputs; stage 3 makes it, "
    )
    assert set(table_of(tmp_path)["rows"]) == {"one"}


def test_a_row_that_was_measured_without_its_talkers_is_measured_again(run, layout, tmp_path):
    part = layout.metrics("two", 0)
    older = dataclasses.replace(part, settings={"model": "student", "seed": 0})
    older.begin(False)
    write_json(layout.result("two", 0), NUMBERS)
    older.end()
    assert not layout.is_measured("two", 0) and part.is_other()
    assert run(8, "--rows=one", "--seeds=0")[0] == 0 and set(table_of(tmp_path)["rows"]) == {"one"}


def test_a_stage_does_not_build_on_models_of_other_settings(run, layout):
    status, out, err = run(3, settings=["teacher.optim.lr=1"])
    assert status == 1 and "no row is left" in err
    assert "seed0/teacher/one was made with other settings or inputs; stage 2 makes it" in out[0]


def test_seeds_that_the_config_does_not_name_are_told(run, layout, tmp_path):
    finish(layout, "one", 1)
    finish(layout, "two", 1)
    assert run(8, settings=["table1.seeds=[1]"])[0] == 0
    assert table_of(tmp_path)["seeds"] == [1]
    assert (
        "Not in this table: seeds 0, which have results but are not in table1.seeds."
        in (tmp_path / "exp" / "TABLE1.md").read_text()
    )


def test_extractors_without_students_leave_the_mixture_alone(run, prepared_sets, tmp_path):
    status, out, err = run(5)
    assert status == 1 and "left out net: " in out[0] and "stage 2 makes it" in out[0] and "no row is left" in err
    assert run(9)[0] == 1
    scored = tmp_path / "exp" / "table2" / "mixture" / "noisy" / "test" / "mixture" / "scores"
    options = [
        f"--config={MINI}/conf/score.yaml",
        f"--data={prepared_sets}/2mix/test",
        "--condition=mixture",
        f"--extractor={scored.parents[2]}",
    ]
    (part,) = importlib.import_module("wesep_mix.bin.score").parts(options)
    part.begin(False)
    rows = [{"mix": "m", "speaker": "a", "si_sdr": 1.0, "si_sdri": 0.0, "pesq": 1.0, "stoi": 1.0}]
    write_scores(scored / "scores.csv", rows)
    write_json(scored / "summary.json", summarise(rows) | {"params": 0})
    part.end()
    assert run(9)[0] == 0
    for name in ("table2", "table4"):
        assert set(table_of(tmp_path, name)["rows"]) == {"noisy"}


ROW = "{{x: {{title: x, num_spk: 2, model: {}}}}}"


@pytest.mark.parametrize(
    "table, row, said",
    [
        (1, "student, teacher: {optim.lrr: 1}", "row x: .*teacher.yaml: optim: lrr: unknown key, did you mean lr?"),
        (1, "student, student: {model.nme: 1}", "row x: .*student.yaml: model: nme: unknown key"),
        (
            1,
            "student, student: {supervision: letters}",
            "row x: .*supervision: wanted teacher, contrastive, self or labels, found 'letters'",
        ),
        (
            2,
            "separator, config: conv_tasnet, settings: {optim.lrr: 1}",
            "row x: .*conv_tasnet.yaml: optim: lrr: unknown",
        ),
        (2, "separator, config: nobody", "row x: .*conf/separator/nobody.yaml: no such config file"),
        (2, "extractor, config: dpccn, student: nobody", "row x: student: wanted a row of table1.yaml"),
    ],
)
def test_a_rows_settings_are_checked_before_any_work(table, row, said, capsys):
    command = [f"--egs={MINI}", "--extractor=stft_tcn", *(f"--set={setting}" for setting in SETTINGS[2:])]
    command.append(f"--set=table{table}.rows={ROW.format(row)}")
    command += ["--set=table2.rows={y: {title: y, num_spk: 2, model: mixture}}"] if table == 1 else []
    assert check_config.main([*command, "--tables=true"]) == 1
    assert re.search(f"error: .*table{table}.yaml: {said}", capsys.readouterr().err)


def test_seeds_without_students_are_named(run, capsys):
    assert check_config.main([f"--egs={MINI}", "--extractor=stft_tcn", "--tables=true", "--set=table1.seeds=[1]"]) == 1
    said = "table2.seeds: wanted some of table1.seeds [1], whose students are used; found [0]"
    assert said in capsys.readouterr().err
    assert said in run(5, settings=["table1.seeds=[1]"])[2]


def test_settings_of_a_table_need_the_tables(capsys):
    assert check_config.main([f"--egs={MINI}", "--extractor=stft_tcn", "--set=table2.seeds=[0]"]) == 1
    assert "unknown key in every config of this recipe; table2.yaml is read only with --tables true" in (
        capsys.readouterr().err
    )


def test_a_corpus_without_a_table_says_so(capsys):
    assert check_config.main([f"--egs={MINI.parent / 'libri3mix'}", "--extractor=dpccn", "--tables=true"]) == 1
    assert "libri3mix/conf/table1.yaml: no such config file" in capsys.readouterr().err
