"""The paper's tables on a tiny corpus: the commands that run.sh gives with --tables true, all kinds of rows."""

import contextlib
import io
import json
import re
import sys

import pytest
from places import ROOT
from tiny import commands, run_sh

from wesep_mix.bin import tables

ROWS = {
    "teacher": {"title": "one: teacher", "num_spk": 1, "model": "teacher", "paper": 96.49},
    "hard": {
        "title": "one: teacher, 1 s at 0 dB",
        "num_spk": 1,
        "model": "teacher",
        "embeddings": {"single.length_s": 1, "single.snr_db": 0},
    },
    "kmeans3": {"title": "three: k-means", "num_spk": 3, "model": "kmeans"},
    "labels2": {
        "title": "two: labels, frozen",
        "num_spk": 2,
        "model": "student",
        "student": {"supervision": "labels", "finetuned_layers": 0},
    },
    "labels2_on3": {
        "title": "three: trained on two",
        "num_spk": 3,
        "trained_on": 2,
        "model": "student",
        "student": {"supervision": "labels", "finetuned_layers": 0},
    },
    **{
        f"presence{n}": {
            "title": f"{n}: presence",
            "num_spk": n,
            "trained_on": 3,
            "model": "student",
            "student": {"model.presence": True, "min_talkers": 1},
        }
        for n in (1, 2, 3)
    },
}
OTHERS = ("wrong", "random", "oracle", "enrolment", "enrolment_noisy")  # embeddings in the test
EXTRACTOR = {"num_spk": 2, "model": "extractor", "config": "stft_tcn", "student": "labels2"}
SPEECH_ROWS = {
    "noisy": {"title": "two: noisy", "num_spk": 2, "model": "mixture", "paper": {"table2": {"pesq": 1.18}}},
    "none": {"title": "two: no embedding", **EXTRACTOR, "settings": {"model.fusion": "none"}},
    "film": {"title": "two: FiLM", **EXTRACTOR},
    **{name: {"title": f"two: FiLM, {name}", **EXTRACTOR, "embedding": name} for name in OTHERS},
    "tasnet": {"title": "three: Conv-TasNet", "num_spk": 3, "model": "separator", "config": "conv_tasnet"},
}
SETTINGS = {
    "table1.seeds": "[3]",
    "table1.teacher": "{}",  # which in the mini recipe makes trainings longer
    "table1.student": "{trainer.max_steps: 200, trainer.steps_per_epoch: 100, optim.lr: 2e-3}",
    "table1.shares": "[{row: labels2, of: teacher, wanted: 0.5}]",
    "table1.ahead": "[[presence3, kmeans3]]",
    "table1.counts": "{rows: [presence1, presence2, presence3], wanted: 0.9}",
    "table2.rows": json.dumps(SPEECH_ROWS),
    "table2.seeds": "[3]",
    "table2.ahead": "[[film, none]]",
    "separator.model": "{name: conv_tasnet, num_filters: 8, window: 32, bottleneck: 8, hidden: 8, num_blocks: 2, "
    "num_stacks: 1}",
    "separator.batch_size": "2",
    "separator.trainer.num_workers": "0",
}


def settings(**students):
    rows = {name: row | ({"student": students[name]} if name in students else {}) for name, row in ROWS.items()}
    return {"table1.rows": json.dumps(rows), **SETTINGS}


def calls(folder, **students):
    """{stage: options of what run.sh calls for the tables}."""
    given = [
        options
        for entry, options in commands(folder, "--tables", "true", settings=settings(**students))
        if entry == "wesep_mix.bin.tables"
    ]
    return {int(options[options.index("--stage_number") + 1]): options for options in given}


def table(options, *more):
    """What the call says itself; trainings are processes of their own."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert tables.main([*options, *more]) == 0
    return said.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which every stage has made its part of the tables, and what each said; trainings are jobs."""
    folder = tmp_path_factory.mktemp("tables")
    done = run_sh(folder, "--stop_stage", 1, "--tables", "true", settings=settings())
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WESEP_MIX_TRAIN_CMD", f"{sys.executable} {ROOT}/tools/run_local.py --mem 2G")
        patch.setenv("WESEP_MIX_JOBS", str(folder / "exp/mini/jobs"))
        return folder, {stage: table(options) for stage, options in sorted(calls(folder).items())}


def read(folder, name):
    exp = folder / "exp/mini"
    return json.loads((exp / f"{name}.json").read_text()), (exp / f"{name.upper()}.md").read_text()


def test_every_row_of_table_1_is_there(made):
    folder, said = made
    found, document = read(folder, "table1")
    assert list(found["by_seed"]) == ["3"] and set(found["rows"]) == set(ROWS) and found["left_out"] == []
    for row in ROWS.values():
        assert f"| {row['title']} |" in document and re.search(f"^{row['title']} ", said[8], flags=re.M)
    assert "96.5" in document
    assert [name for name in ROWS if "count_acc" in found["rows"][name]] == ["presence1", "presence2", "presence3"]
    assert found["rows"]["labels2_on3"]["num_missing"]["mean"] == found["rows"]["labels2_on3"]["num"]["mean"] / 2
    assert None not in [each["holds"] for each in found["statements"]]
    for name, row in found["by_seed"]["3"].items():
        talkers = json.loads((folder / f"exp/mini/table1/seed3/metrics/{name}/talkers.json").read_text())
        right = [one for each in talkers.values() for one in each.values()]
        assert (right.count(True) / len(right), row["num"]) == (
            pytest.approx(row["acc_all"]),
            len(right) - right.count(None),
        )
        assert row["acc"] == pytest.approx(right.count(True) / row["num"])
    acc = {name: found["rows"][name]["acc"]["mean"] for name in ("presence3", "kmeans3")}
    ahead = found["statements"][1]["difference"]
    assert ahead["value"] == pytest.approx(acc["presence3"] - acc["kmeans3"], abs=1e-5)
    assert ahead["low"] < ahead["value"] < ahead["high"]
    easy, hard = (found["rows"][name] for name in ("teacher", "hard"))
    assert hard["num"] == easy["num"] and hard["trainable"] == easy["trainable"] and hard["sep"] != easy["sep"]
    assert "tested on noisy single speech; `embeddings.single.length_s=1`; `embeddings.single.snr_db=0`" in document


def test_table_2_is_of_one_target_a_mixture_and_without_separators(made):
    folder, _ = made
    found, document = read(folder, "table2")
    of_all, _ = read(folder, "table4")
    assert set(found["rows"]) == set(SPEECH_ROWS) - {"tasnet"} and "one target a mixture" in document
    num_mixtures = len((folder / "data/mini/2mix/test/plan.jsonl").read_text().splitlines())
    assert {row["num"] for row in found["by_seed"]["3"].values()} == {num_mixtures}
    assert found["rows"]["film"]["si_sdri"] != of_all["rows"]["film"]["si_sdri"]
    for row in (found["rows"]["film"], of_all["rows"]["wrong"]):
        assert -1 <= row["voice_cos"]["mean"] <= 1 and 0 <= row["wrong_talker"]["mean"] <= 1
    assert "voice_cos" not in found["rows"]["noisy"] and "No row is to be ranked by it alone." in document


def test_every_row_of_table_4_is_there(made):
    folder, said = made
    found, document = read(folder, "table4")
    assert set(found["rows"]) == set(SPEECH_ROWS) and found["left_out"] == []
    for row in SPEECH_ROWS.values():
        assert f"| {row['title']} |" in document and re.search(f"^{row['title']} ", said[9], flags=re.M)
    rows = found["by_seed"]["3"]
    talkers = [
        sum(len(json.loads(line)["sources"]) for line in plans.read_text().splitlines())
        for plans in (folder / f"data/mini/{n}mix/test/plan.jsonl" for n in (2, 3))
    ]
    assert [rows[name]["num"] for name in SPEECH_ROWS] == [*talkers[:1] * (3 + len(OTHERS)), talkers[1]]
    (ahead,) = (each["difference"] for each in found["statements"])
    assert ahead["value"] == pytest.approx(rows["film"]["si_sdri"] - rows["none"]["si_sdri"], abs=1e-5)
    assert ahead["low"] < ahead["value"] < ahead["high"]
    assert rows["noisy"]["si_sdri"] == rows["noisy"]["params"] == 0 < rows["none"]["params"] < rows["film"]["params"]
    assert len({rows[name]["si_sdri"] for name in SPEECH_ROWS}) == len(SPEECH_ROWS)  # each has its own embeddings
    assert {rows[name]["params"] for name in OTHERS} == {rows["film"]["params"]}
    estimates = {path.parts[-5] for path in (folder / "exp/mini/table2").glob("seed3/*/test/*/wav/wav.scp")}
    assert estimates == {"none", "film", "tasnet"}


def test_what_rows_share_is_made_once(made):
    folder, said = made
    assert {stage: len(re.findall(r"done in \d+ s", said[stage])) for stage in (4, 6, 7, 8)} == {4: 7, 6: 9, 7: 9, 8: 8}
    models = {str(path.parent.relative_to(folder / "exp/mini")) for path in folder.rglob("model.pt")}
    assert models == {
        "table1/seed3/teacher/teacher",
        "table1/seed3/student/labels2",
        "table1/seed3/student/presence1",
        "table2/seed3/none/none",
        "table2/seed3/film/matched",
        "table2/seed3/tasnet/separated",
    }


def test_each_training_was_one_job_of_the_wrapper(made):
    folder, _ = made
    jobs = folder / "exp/mini/jobs"
    logs = {str(path.relative_to(jobs)): path.read_text() for path in jobs.rglob("*.log")}
    assert set(logs) == {
        "table1/seed3/teacher/teacher.log",
        "table1/seed3/student/labels2.log",
        "table1/seed3/student/presence1.log",
        "table2/seed3/none/none.log",
        "table2/seed3/film/matched.log",
        "table2/seed3/tasnet/separated.log",
    }
    assert all("done in" in log and "OMP_NUM_THREADS=1 " in log for log in logs.values())


def test_only_teachers_get_embeddings_of_single_speech(made):
    folder, _ = made
    assert {path.parts[-3] for path in folder.rglob("single_test/teacher.scp")} == {"teacher", "hard"}


def test_what_is_done_is_skipped_and_what_changed_is_redone(made, capfd):
    folder, _ = made
    new = {"supervision": "labels", "finetuned_layers": 0, "optim.lr": 1e-4}
    changed = calls(folder, labels2=new, labels2_on3=new)
    capfd.readouterr()
    assert tables.main(changed[3]) == 0
    said = capfd.readouterr().out
    assert len(re.findall("done already", said)) == 1 and "student/presence1; --force" in said
    assert "optim.lr changed (0.002 to 0.0001)" in said and len(re.findall(r"done in \d+ s", said)) == 1
    said = table(changed[9])
    assert f"left out none, film, {', '.join(OTHERS)}: " in said
    assert "embeddings/labels2 was made with other settings or inputs" in said
    assert set(read(folder, "table4")[0]["rows"]) == {"noisy", "tasnet"}
