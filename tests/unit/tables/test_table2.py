"""What the rows of Tables 2 and 4 train, extract and score, and which students they take from Table 1."""

from pathlib import Path

import pytest
import yaml

from wesep_mix.base.config import from_dict
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_json
from wesep_mix.evaluation import scoring
from wesep_mix.tables.table1 import Table1Config, Table1Layout
from wesep_mix.tables.table2 import Table2Config, Table2Layout, load_tables, talker_numbers

TABLE_1 = """
rows:
  teacher: {title: t, num_spk: 1, model: teacher}
  labels: {title: l, num_spk: 2, model: student, student: {supervision: labels}}
  plain: {title: p, num_spk: 2, model: student}
  three_on2: {title: o, num_spk: 2, trained_on: 3, model: student}
seeds: [0, 4]
"""
TABLE_2 = """
rows:
  noisy: {title: n, num_spk: 2, model: mixture, paper: {table2: {pesq: 1.18}}}
  none: {title: o, num_spk: 2, model: extractor, config: pdccrn, student: plain, settings: {model.fusion: none}}
  film: {title: f, num_spk: 2, model: extractor, config: pdccrn, student: plain}
  wrong: {title: w, num_spk: 2, model: extractor, config: pdccrn, student: plain, embedding: wrong}
  heard: {title: h, num_spk: 2, model: extractor, config: pdccrn, student: plain, embedding: enrolment_noisy}
  tasnet: {title: c, num_spk: 5, model: separator, config: conv_tasnet, settings: {optim.lr: 1}}
seeds: [4]
"""


@pytest.fixture
def layout(tmp_path):
    first, second = (
        from_dict(config, yaml.safe_load(text), "here")
        for config, text in ((Table1Config, TABLE_1), (Table2Config, TABLE_2))
    )
    data = tmp_path / "data"
    table1 = Table1Layout(first, Path("conf"), data, data / "single", tmp_path / "table1", ["batch_size=3"])
    return Table2Layout(second, table1, tmp_path / "table2")


def calls(layout, name):
    """[entry, out] of every call of stages 5 to 7, and all their options."""
    jobs = [job for job in layout.jobs(name, 4) if job.stage > 4]
    return [[job.entry, str(job.out.relative_to(layout.exp))] for job in jobs], [job.options for job in jobs]


def test_an_extractor_is_trained_run_and_scored_on_the_students_embeddings(layout):
    made, (train, extract, score) = calls(layout, "film")
    assert made == [
        ["train_extractor", "seed4/film/matched"],
        ["extract_speech", "seed4/film/test/matched/wav"],
        ["score", "seed4/film/test/matched/scores"],
    ]
    first, folder, data = layout.table1.exp / "seed4", layout.exp / "seed4" / "film", layout.table1.data / "2mix"
    assert list(train) == [
        "--config=conf/extractor/pdccrn.yaml",
        f"--out={folder}",
        f"--data={data}",
        "--num_spk=2",
        f"--teacher={first}/teacher/teacher/model.pt",
        f"--student={first}/student/plain/model.pt",
        "--condition=matched",
        "--embeddings_config=conf/embeddings.yaml",
        "--set=batch_size=3",
        "--set=extractor.seed=4",
    ]
    assert {
        "--config=conf/extract.yaml",
        "--score_config=conf/score.yaml",
        f"--embeddings={first}/embeddings/plain/test",
        f"--extractor={folder}",
        f"--data={data}/test",
        "--condition=matched",
    } <= set(extract)
    assert {
        "--config=conf/score.yaml",
        f"--extractor={folder}",
        "--condition=matched",
        f"--teacher={first}/teacher/teacher/model.pt",
        f"--embeddings={first}/embeddings/plain/test",
    } <= set(score)
    assert [job.stage for job in layout.jobs("film", 4)] == [2, 3, 4, 5, 6, 7]


def test_a_network_without_embedding_is_a_condition_of_its_own(layout):
    made, (train, extract, score) = calls(layout, "none")
    assert [out for _, out in made] == ["seed4/none/none", "seed4/none/test/none/wav", "seed4/none/test/none/scores"]
    assert "--condition=none" in train and "--condition=none" in extract and "--condition=none" in score
    assert '--set=extractor.model.fusion="none"' in train


def test_a_control_is_the_same_network_on_other_embeddings(layout):
    made, (train, extract, score) = calls(layout, "wrong")
    assert made == [
        ["train_extractor", "seed4/film/matched"],
        ["extract_speech", "seed4/film/test/wrong/wav"],
        ["score", "seed4/film/test/wrong/scores"],
    ]
    assert train == calls(layout, "film")[1][0]
    assert "--condition=wrong" in extract and f"--extractor={layout.exp}/seed4/film" in extract
    assert "--condition=wrong" in score


def test_enrolments_are_embedded_before_they_are_extracted_with(layout):
    made, (train, embed, extract, score) = calls(layout, "heard")
    assert made == [
        ["train_extractor", "seed4/film/matched"],
        ["embed_enrolments", "seed4/enrolments/plain"],
        ["extract_speech", "seed4/film/test/enrolment_noisy/wav"],
        ["score", "seed4/film/test/enrolment_noisy/scores"],
    ]
    first, out = layout.table1.exp / "seed4", layout.exp / "seed4" / "enrolments" / "plain"
    assert list(embed) == [
        "--config=conf/score.yaml",
        f"--out={out}",
        f"--data={layout.table1.data}/2mix/test",
        f"--teacher={first}/teacher/teacher/model.pt",
        f"--student={first}/student/plain/model.pt",
        "--set=batch_size=3",
    ]
    assert train == calls(layout, "film")[1][0]
    assert {"--condition=enrolment_noisy", f"--embeddings={out}"} <= set(extract)
    assert "--condition=enrolment_noisy" in score


def test_a_separator_needs_no_student(layout):
    made, (train, _, score) = calls(layout, "tasnet")
    assert made == [
        ["train_separator", "seed4/tasnet/separated"],
        ["separate_speech", "seed4/tasnet/test/separated/wav"],
        ["score", "seed4/tasnet/test/separated/scores"],
    ]
    assert f"--out={layout.exp}/seed4/tasnet/separated" in train and "--num_spk=5" in train
    assert train[-2:] == ("--set=separator.optim.lr=1", "--set=separator.seed=4")
    assert "--condition=separated" in score
    assert [job.stage for job in layout.jobs("tasnet", 4)] == [5, 6, 7]


def test_the_mixture_is_scored_once_for_all_seeds(layout):
    assert layout.jobs("noisy", 0) == layout.jobs("noisy", 4)
    (job,) = layout.jobs("noisy", 0)
    assert job.entry == "score" and "--condition=mixture" in job.options
    assert layout.result("noisy", 4) == layout.exp / "mixture/noisy/test/mixture/scores/summary.json"


def test_a_rows_numbers_are_of_the_targets_of_each_table(layout):
    """Two mixtures of two: SI-SDRi 1 and 3 in the first, 10 and 20 in the second."""
    values = {("m1", "a"): 1.0, ("m1", "b"): 3.0, ("m2", "a"): 10.0, ("m2", "c"): 20.0}
    rows = [{"mix": mix, "speaker": spk, "si_sdr": 0.0, "si_sdri": value} for (mix, spk), value in values.items()]
    for name in ("film", "tasnet"):
        folder = layout.result(name, 4).parent
        scoring.write_scores(folder / "scores.csv", rows)
        of = {"targets": "all", "seed": 7, "num_bad": 0, "params": 5}
        write_json(folder / "summary.json", scoring.summarise(rows) | of)
    found = layout.measured("film", 4)
    chosen = [row["si_sdri"] for row in scoring.targets_of(rows, "one", 7)]
    assert chosen in ([1.0, 10.0], [1.0, 20.0], [3.0, 10.0], [3.0, 20.0])
    assert (found["table2"]["si_sdri"], found["table2"]["num"]) == (sum(chosen) / 2, 2)
    assert found["table4"] == {
        **{"num": 4, "si_sdr": 0.0, "si_sdr_std": 0.0, "num_bad": 0, "num_empty": 0, "params": 5},
        **{"si_sdri": 8.5, "si_sdri_std": pytest.approx(7.433034)},  # of 56.25, 30.25, 2.25 and 132.25, the mean's root
    }
    assert list(layout.measured("tasnet", 4)) == ["table4"]


def test_data_that_is_not_there_is_named(layout):
    data = layout.table1.data
    assert layout.missing("film") == [data / "2mix"] and layout.missing("tasnet") == [data / "5mix"]
    (data / "2mix" / "test").mkdir(parents=True)
    (data / "2mix" / "test" / "plan.jsonl").touch()
    assert layout.missing("film") == []


def test_the_talkers_of_both_tables(layout):
    assert talker_numbers(layout.table1.table, layout.table) == [2, 3, 5]


@pytest.mark.parametrize(
    "row, said",
    [
        ("{title: x, num_spk: 2, model: teacher}", "model: wanted mixture, extractor or separator, found 'teacher'"),
        ("{title: x, num_spk: 1, model: mixture}", "num_spk: wanted 2 or more talkers, found 1"),
        ("{title: x, num_spk: 2, model: mixture, config: dpccn}", "the mixture has none and no settings; found dpccn"),
        ("{title: x, num_spk: 2, model: mixture, settings: {seed: 1}}", "found None and {'seed': 1}"),
        ("{title: x, num_spk: 2, model: separator}", "model separator: an extractor or separator has a config"),
        (
            "{title: x, num_spk: 2, model: extractor, config: dpccn}",
            "an extractor has a student, others have none; found",
        ),
        ("{title: x, num_spk: 2, model: separator, config: a, student: b}", "others have none; found b"),
        (
            "{title: x, num_spk: 2, model: extractor, config: a, student: b, embedding: none}",
            "embedding: wanted matched, wrong, random, oracle, enrolment or enrolment_noisy, found 'none'",
        ),
        (
            "{title: x, num_spk: 2, model: separator, config: a, embedding: wrong}",
            "embedding: wanted one of matched, wrong, random, oracle, enrolment, enrolment_noisy for an extractor with "
            "fusion, matched for all others, found wrong",
        ),
        (
            "{title: x, num_spk: 2, model: extractor, config: a, student: b, settings: {model.fusion: none}, "
            "embedding: random}",
            "matched for all others, found random",
        ),
        (
            "{title: x, num_spk: 2, model: mixture, paper: {table2: {acc: 1}}}",
            "paper.table2: wanted si_sdri, pesq, stoi, sig, bak or ovrl, found 'acc'",
        ),
        (
            "{title: x, num_spk: 2, model: mixture, paper: {table3: {pesq: 1}}}",
            "paper: wanted table2 or table4, found 'table3'",
        ),
        (
            "{title: x, num_spk: 2, model: separator, config: a, paper: {table2: {pesq: 1}}}",
            "paper: model separator is in table4 alone, found table2",
        ),
    ],
)
def test_a_wrong_row_is_named(row, said):
    with pytest.raises(UserError, match="table2.yaml: rows.x") as caught:
        from_dict(Table2Config, {"rows": {"x": yaml.safe_load(row)}}, "table2.yaml")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "setting, said",
    [
        (
            "table2.rows.film.student=nobody",
            "row film: student: wanted a row of table1.yaml trained and tested on 2 "
            "talkers (labels, plain), found nobody",
        ),
        ("table2.rows.film.student=three_on2", "(labels, plain), found three_on2"),
        ("table2.ahead=[[film, nobody]]", "table2.yaml: no row nobody in rows; there are: noisy, none"),
    ],
)
def test_tables_that_do_not_fit_together_are_named(tmp_path, setting, said):
    for name, text in (("table1", TABLE_1), ("table2", TABLE_2 + "ahead: []\n")):
        (tmp_path / f"{name}.yaml").write_text(text)
    assert [len(table.rows) for table in load_tables(tmp_path, [])] == [4, 6]
    with pytest.raises(UserError) as caught:
        load_tables(tmp_path, [setting])
    assert said in str(caught.value)
