"""Which models the rows of Table 1 need, and which of them they share."""

import json
import re
from pathlib import Path

import pytest
import yaml

from wesep_mix.bin import check_config, table1
from wesep_mix.config import from_dict, load_config
from wesep_mix.errors import UserError
from wesep_mix.table1 import Plan, Table1Config

ROWS = """
ecapa: {title: e, num_spk: 1, model: teacher, teacher: {model: {name: asp, frontend: {name: logmel}}}}
plain: {title: p, num_spk: 2, model: student}
teacher: {title: t, num_spk: 1, model: teacher}
kmeans3: {title: k, num_spk: 3, model: kmeans}
labels: {title: l, num_spk: 2, model: student, student: {supervision: labels, optim.lr: 1e-5}}
on3: {title: o, num_spk: 3, trained_on: 2, model: student}
three: {title: th, num_spk: 3, model: student}
alone: {title: a, num_spk: 1, trained_on: 3, model: student}
other: {title: ot, num_spk: 2, model: student, teacher: {optim.lr: 1}}
"""
MINI = Path(__file__).resolve().parents[2] / "egs" / "mini"


def table(rows=ROWS, **more):
    return from_dict(Table1Config, {"rows": yaml.safe_load(rows), "seeds": [0, 4], **more}, "table1.yaml")


@pytest.fixture
def plan(tmp_path):
    """With all prepared sets there."""
    for name in ("single", "2mix", "3mix"):
        (tmp_path / "data" / name / "test").mkdir(parents=True)
        (tmp_path / "data" / name / "test" / "plan.jsonl").touch()
    data = tmp_path / "data"
    return Plan(table(), Path("conf"), data, data / "single", tmp_path / "exp", ["batch_size=3"])


def outs(plan, stage, names=None):
    jobs = plan.jobs(stage, names or list(plan.table.rows), [0])
    return {f"{job.out.parent.name}/{job.out.name}": job for job in jobs}


def test_rows_with_the_same_settings_share_models_and_bear_the_teachers_own_row(plan):
    assert list(outs(plan, 2)) == ["teacher/ecapa", "teacher/teacher", "teacher/other"]
    assert list(outs(plan, 3)) == ["student/plain", "student/labels", "student/three", "student/other"]
    assert plan.student("on3", 0) == plan.student("plain", 0) != plan.student("plain", 4)
    assert plan.student("alone", 0) == plan.student("three", 0)
    assert list(outs(plan, 4)) == [f"embeddings/{name}" for name in plan.table.rows if name != "kmeans3"]
    assert len(plan.jobs(3, list(plan.table.rows), [0, 4])) == 8


def test_names_do_not_depend_on_which_rows_are_asked_for(plan):
    assert list(outs(plan, 3, ["on3"])) == ["student/plain"] and list(outs(plan, 2, ["on3"])) == ["teacher/teacher"]
    assert outs(plan, 3, ["kmeans3", "teacher"]) == {} and list(outs(plan, 2, ["kmeans3"])) == ["teacher/teacher"]


def test_a_call_has_the_runs_settings_then_the_rows_then_the_seed(plan):
    (job,) = plan.jobs(3, ["labels"], [4])
    data, exp = plan.data, plan.exp / "seed4"
    assert job.entry == "train_student"
    assert list(job.options) == [
        "--config=conf/student.yaml", f"--out={exp}/student/labels", f"--data={data}/2mix",
        f"--teacher={exp}/teacher/teacher/model.pt", "--num_spk=2", "--set=batch_size=3",
        '--set=student.supervision="labels"', '--set=student.optim.lr="1e-5"', "--set=student.seed=4"]


def test_embeddings_are_of_the_set_that_the_row_is_tested_on(plan):
    made = outs(plan, 4)
    for name, folder in (("plain", "2mix"), ("on3", "3mix"), ("alone", "single"), ("teacher", "single")):
        assert f"--data={plan.data / folder}" in made[f"embeddings/{name}"].options
    assert f"--student={plan.student('three', 0)}/model.pt" in made["embeddings/alone"].options
    assert not any("--student" in option for option in made["embeddings/teacher"].options)


def test_data_that_is_not_there_leaves_rows_out(plan):
    (plan.data / "3mix" / "test" / "plan.jsonl").unlink()
    assert [name for name in plan.table.rows if plan.missing(name)] == ["kmeans3", "on3", "three", "alone"]
    assert plan.missing("three") == [plan.data / "3mix"]


@pytest.mark.parametrize("rows, said", [
    ("a: {title: a, num_spk: 2, model: teach}", "a: model: wanted one of teacher, kmeans, student, found teach"),
    ("a: {title: a, num_spk: 2, model: teacher}", "a teacher is tested on 1 talker, kmeans on 2 or more, found 2"),
    ("a: {title: a, num_spk: 1, model: kmeans}", "a teacher is tested on 1 talker, kmeans on 2 or more, found 1"),
    ("a: {title: a, num_spk: 0, model: student}", "wanted 1 or more talkers, found 0"),
    ("a: {title: a, num_spk: 1, model: teacher, student: {seed: 1}}", "model teacher: it trains no student"),
    ("a: {title: a, num_spk: 2, model: student, studend: {}}", "studend: unknown key, did you mean student?"),
    ("a b: {title: a, num_spk: 2, model: student}", "rows: a b: a row's name"),
    ("a: {num_spk: 2, model: student}", "a: title is missing"),
])
def test_a_wrong_row_is_named(rows, said):
    with pytest.raises(UserError, match="table1.yaml") as caught:
        table(rows)
    assert said in str(caught.value)


@pytest.mark.parametrize("more, said", [
    ({"seeds": []}, "wanted rows, and seeds from 0 on, each once"),
    ({"seeds": [1, 1]}, "each once; found seeds [1, 1]"),
    ({"ahead": [["plain"]]}, "ahead: wanted pairs of rows, found ['plain']"),
    ({"ahead": [["plain", "plane"]]}, "no row plane in rows; there are: ecapa, plain"),
    ({"shares": [{"row": "x", "of": "plain", "wanted": 1}]}, "no row x in rows"),
    ({"counts": {"rows": ["y"], "wanted": 1}}, "no row y in rows"),
])
def test_a_wrong_statement_is_named(more, said):
    with pytest.raises(UserError) as caught:
        table(**more)
    assert said in str(caught.value)


@pytest.mark.parametrize("setting, said", [
    ("teacher={optim.lrr: 1}", "row x: .*teacher.yaml: optim: lrr: unknown key, did you mean lr?"),
    ("student={model.nme: 1}", "row x: .*student.yaml: model: nme: unknown key"),
    ("student={supervision: letters}", "row x: .*supervision: wanted teacher or labels, found letters"),
])
def test_a_rows_settings_are_checked_before_any_work(setting, said, capsys):
    row = f"table1.rows={{x: {{title: x, num_spk: 2, model: student, {setting.replace('=', ': ')}}}}}"
    settings = [f"--set={each}" for each in (row, "table1.shares=[]", "table1.ahead=[]", "table1.counts=")]
    command = [f"--egs={MINI}", "--extractor=stft_tcn", *settings]
    assert check_config.main([*command, "--tables=true"]) == 1
    assert re.search(f"error: .*table1.yaml: {said}", capsys.readouterr().err)
    assert check_config.main(command) == 1  # no tables, so no such key
    assert "table1.rows" in capsys.readouterr().err


def run(folder, stage, *more):
    data = folder / "data"
    return table1.main([f"--stage_number={stage}", f"--egs={MINI}", f"--data={data}", f"--single={data / 'single'}",
                        f"--exp={folder / 'exp'}", *more])


@pytest.mark.parametrize("option, said", [
    ("--rows=teacher,nobody", "--rows: no nobody; there are: ecapa, teacher, "),
    ("--seeds=0,3", "--seeds: no 3; there are: 0, 1, 2"),
])
def test_only_rows_and_seeds_that_there_are(tmp_path, option, said, capsys):
    assert run(tmp_path, 2, option) == 1
    assert said in capsys.readouterr().err


def test_nothing_prepared_leaves_all_rows_out_and_says_so(tmp_path, capsys):
    assert run(tmp_path, 2) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == (f"stage 2 (table 1): row ecapa left out, there is no {tmp_path}/data/single; "
                       "stage 1 makes it with --tables true")
    assert len(said) == len(load_config(Table1Config, MINI / "conf" / "table1.yaml").rows)


def test_stage_8_writes_the_table_of_what_there_is(tmp_path, capsys):
    assert run(tmp_path, 8) == 0
    assert "teacher left out" in capsys.readouterr().out
    found = json.loads((tmp_path / "exp" / "table1.json").read_text())
    assert found["rows"] == {} and "teacher" in found["left_out"] and (tmp_path / "exp" / "TABLE1.md").is_file()


def test_a_corpus_without_a_table_says_so(capsys):
    assert check_config.main([f"--egs={MINI.parent / 'libri3mix'}", "--extractor=dpccn", "--tables=true"]) == 1
    assert "libri3mix/conf/table1.yaml: no such config file" in capsys.readouterr().err


def test_every_row_of_a_statement_with_counts_has_presence():
    table_ = load_config(Table1Config, MINI / "conf" / "table1.yaml")
    assert all(table_.rows[name].student.get("model.presence") for name in table_.counts.rows)
