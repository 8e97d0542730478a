"""Which models the rows of Table 1 need, and which of them they share."""

from pathlib import Path

import pytest
import yaml
from places import ROOT

from wesep_mix.base.config import from_dict, load_config
from wesep_mix.base.errors import UserError
from wesep_mix.tables.table1 import Table1Config, Table1Layout, row_overrides

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
hard: {title: h, num_spk: 1, model: teacher, embeddings: {single.length_s: 2, single.snr_db: 0}}
"""
MINI = ROOT / "egs" / "mini"


def table(rows=ROWS, **more):
    return from_dict(Table1Config, {"rows": yaml.safe_load(rows), "seeds": [0, 4], **more}, "table1.yaml")


@pytest.fixture
def layout(tmp_path):
    """With all prepared sets there."""
    for name in ("single", "2mix", "3mix"):
        (tmp_path / "data" / name / "test").mkdir(parents=True)
        (tmp_path / "data" / name / "test" / "plan.jsonl").touch()
    data = tmp_path / "data"
    return Table1Layout(table(), Path("conf"), data, data / "single", tmp_path / "exp", ["batch_size=3"])


def outs(layout, stage, names=None):
    jobs = [job for name in names or layout.table.rows for job in layout.jobs(name, 0) if job.stage == stage]
    return {f"{job.out.parent.name}/{job.out.name}": job for job in jobs}


def test_rows_with_the_same_settings_share_models_and_bear_the_teachers_own_row(layout):
    assert list(outs(layout, 2)) == ["teacher/ecapa", "teacher/teacher", "teacher/other"]
    assert list(outs(layout, 3)) == ["student/plain", "student/labels", "student/three", "student/other"]
    assert layout.student("on3", 0) == layout.student("plain", 0) != layout.student("plain", 4)
    assert layout.student("alone", 0) == layout.student("three", 0)
    assert list(outs(layout, 4)) == [f"embeddings/{name}" for name in layout.table.rows if name != "kmeans3"]


def test_names_do_not_depend_on_which_rows_are_asked_for(layout):
    assert list(outs(layout, 3, ["on3"])) == ["student/plain"]
    assert list(outs(layout, 2, ["on3"])) == ["teacher/teacher"] == list(outs(layout, 2, ["kmeans3"]))
    assert outs(layout, 3, ["kmeans3", "teacher"]) == {}


def test_a_call_has_the_runs_settings_then_the_rows_then_the_seed(layout):
    job = next(job for job in layout.jobs("labels", 4) if job.stage == 3)
    data, exp = layout.data, layout.exp / "seed4"
    assert (job.entry, job.product) == ("train_student", exp / "student" / "labels" / "model.pt")
    assert list(job.options) == [
        "--config=conf/student.yaml",
        f"--out={exp}/student/labels",
        f"--data={data}/2mix",
        f"--teacher={exp}/teacher/teacher/model.pt",
        "--num_spk=2",
        "--set=batch_size=3",
        '--set=student.supervision="labels"',
        '--set=student.optim.lr="1e-5"',
        "--set=student.seed=4",
    ]


def test_embeddings_are_of_the_set_that_the_row_is_tested_on_and_of_nothing_else(layout):
    made = outs(layout, 4)
    for name, folder in (("plain", "2mix"), ("on3", "3mix"), ("alone", "single"), ("teacher", "single")):
        options = made[f"embeddings/{name}"].options
        assert f"--data={layout.data / folder}" in options
        given = {option.split("=")[0] for option in options}
        assert given & {"--single", "--student"} == {"--single" if name == "teacher" else "--student"}
    assert f"--student={layout.student('three', 0)}/model.pt" in made["embeddings/alone"].options


def test_a_harder_test_is_another_test_of_the_same_teacher(layout):
    assert layout.teacher("hard", 0) == layout.teacher("teacher", 0)
    easy, hard = (layout.jobs(name, 0)[-1] for name in ("teacher", "hard"))
    assert hard.out == layout.exp / "seed0" / "embeddings" / "hard"
    added = [option for option in hard.options if option not in easy.options]
    assert added == [f"--out={hard.out}", "--set=embeddings.single.length_s=2", "--set=embeddings.single.snr_db=0"]
    assert row_overrides(layout.table.rows["hard"]) == ["embeddings.single.length_s=2", "embeddings.single.snr_db=0"]


def test_a_rows_metrics_are_of_its_test_set_and_of_all_that_its_calls_make(layout):
    needs = {str(need.path.relative_to(layout.exp.parent)): need.stage for need in layout.metrics("on3", 4).needs}
    assert needs == {
        "data/3mix/test/plan.jsonl": 1,
        "exp/seed4/teacher/teacher/model.pt": 2,
        "exp/seed4/student/plain/model.pt": 3,
        "exp/seed4/embeddings/on3": 4,
    }
    assert layout.result("on3", 4) == layout.exp / "seed4" / "metrics" / "on3" / "metrics.json"


def test_data_that_is_not_there_leaves_rows_out(layout):
    (layout.data / "3mix" / "test" / "plan.jsonl").unlink()
    assert [name for name in layout.table.rows if layout.missing(name)] == ["kmeans3", "on3", "three", "alone"]
    assert layout.missing("three") == [layout.data / "3mix"]


@pytest.mark.parametrize(
    "rows, said",
    [
        ("a: {title: a, num_spk: 2, model: teach}", "a: model: wanted teacher, kmeans or student, found 'teach'"),
        ("a: {title: a, num_spk: 2, model: teacher}", "a teacher is tested on 1 talker, kmeans on 2 or more, found 2"),
        ("a: {title: a, num_spk: 1, model: kmeans}", "a teacher is tested on 1 talker, kmeans on 2 or more, found 1"),
        ("a: {title: a, num_spk: 0, model: student}", "wanted 1 or more talkers, found 0"),
        ("a: {title: a, num_spk: 1, model: teacher, student: {seed: 1}}", "model teacher: it trains no student"),
        ("a: {title: a, num_spk: 2, model: student, embeddings: {batch_size: 1}}", "model student: embeddings is a"),
        ("a: {title: a, num_spk: 2, model: student, studend: {}}", "studend: unknown key, did you mean student?"),
        ("a b: {title: a, num_spk: 2, model: student}", "rows: a b: a row's name"),
        ("a: {num_spk: 2, model: student}", "a: title is missing"),
    ],
)
def test_a_wrong_row_is_named(rows, said):
    with pytest.raises(UserError, match="table1.yaml") as caught:
        table(rows)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "more, said",
    [
        ({"seeds": []}, "seeds: wanted one or more, found []"),
        ({"seeds": [0, -1]}, "seeds[1]: wanted 0 or more, found -1"),
        ({"rows": "{}"}, "rows: wanted one or more, found {}"),
        ({"seeds": [1, 1]}, "each once; found seeds [1, 1]"),
        ({"ahead": [["plain"]]}, "ahead[0]: wanted a list of 2, found ['plain']"),
        ({"ahead": [["plain", "plane"]]}, "no row plane in rows; there are: ecapa, plain"),
        ({"shares": [{"row": "x", "of": "plain", "wanted": 1}]}, "no row x in rows"),
        ({"counts": {"rows": ["y"], "wanted": 1}}, "no row y in rows"),
    ],
)
def test_a_wrong_statement_is_named(more, said):
    with pytest.raises(UserError) as caught:
        table(**more)
    assert said in str(caught.value)


def test_settings_of_all_rows_lie_under_a_rows_own():
    table = from_dict(
        Table1Config,
        {
            "teacher": {"trainer.max_steps": 900},
            "student": {"trainer.max_steps": 2000, "batch_size": 3},
            "rows": {
                "one": {"title": "a", "num_spk": 1, "model": "teacher"},
                "two": {"title": "b", "num_spk": 2, "model": "student", "student": {"trainer.max_steps": 4000}},
            },
        },
        "table1.yaml",
    )
    assert row_overrides(table.rows["one"]) == ["teacher.trainer.max_steps=900"]
    assert row_overrides(table.rows["two"]) == [
        "teacher.trainer.max_steps=900",
        "student.trainer.max_steps=4000",
        "student.batch_size=3",
    ]


def test_every_row_of_a_statement_with_counts_has_presence():
    table_ = load_config(Table1Config, MINI / "conf" / "table1.yaml")
    assert all(table_.rows[name].student.get("model.presence") for name in table_.counts.rows)
