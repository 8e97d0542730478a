import json
import shutil

import pytest
import yaml

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, read_json, write_json
from wesep_mix.base.installed import versions
from wesep_mix.base.stage import STATE_FILE, Part
from wesep_mix.evaluation.scoring import METRICS, read_scores, summarise, targets_of, write_scores
from wesep_mix.report.build import write_report
from wesep_mix.report.markdown import Context, document
from wesep_mix.report.results import gather, left_out, outdated_rows, training_seed
from wesep_mix.report.tables import embedding_table

EMBEDDING_KEYS = {"acc", "sep", "nmi", "sil", "ari", "eer", "min_dcf", "num", "trainable"}
OF_STUDENTS = {"cos", "count_acc", "num_missing"}  # acc_all: results of older revisions have none
EXTRACTION_KEYS = {
    *METRICS,
    *(f"{metric}_std" for metric in METRICS),
    "num",
    "params",
}


def test_keys_and_rows(experiment):
    results = gather(experiment, "mini", 2, 0, "abc")
    assert set(results) == {
        "corpus",
        "num_spk",
        "seed",
        "git",
        "versions",
        "machine",
        "trained_with",
        "targets",
        "embeddings",
        "extraction",
        "embeddings_by",
        "extraction_by",
        "ahead",
        "analysis",
    }
    assert set(results["embeddings"]) == {"teacher", "kmeans", "student"}
    controls = {"net/none", "net/wrong", "net/random", "net/oracle", "net/enrolment", "net/enrolment_noisy"}
    assert set(results["extraction"]) == {"mixture", "net"} | controls
    for name, row in results["embeddings"].items():
        assert set(row) == EMBEDDING_KEYS | (OF_STUDENTS if name == "student" else set())
    assert all(set(row) == EXTRACTION_KEYS for row in results["extraction"].values())


def test_the_accuracy_of_all_talkers_is_there_where_stage_8_measured_it(experiment):
    path = experiment / "2mix" / "clustering" / "metrics.json"
    rows = read_json(path)
    write_json(path, rows | {"student": rows["student"] | {"acc_all": 1 / 3, "num_missing": 6}})
    found = gather(experiment, "mini", 2, 0, "abc")["embeddings"]
    assert found["student"]["acc_all"] == 0.333333 and "acc_all" not in found["teacher"]
    lines = [line.split(" | ") for line in embedding_table(found).markdown().splitlines()]
    assert lines[0][1:3] == ["Acc %", "Acc of all %"]
    cells = {line[0].removeprefix("| "): line[1:3] for line in lines[2:]}
    assert cells["student"] == ["66.7", "33.3"] and cells["teacher"] == ["66.7", "-"]


def test_values_are_rounded_and_counts_stay_whole(experiment):
    results = gather(experiment, "mini", 2, 0, "abc")
    assert results["embeddings"]["student"]["acc"] == 0.666667
    row = results["extraction"]["net/wrong"]
    assert (row["si_sdri"], row["num"], row["params"]) == (-5.75, 6, 1_234_567)
    assert isinstance(row["num"], int) and isinstance(row["params"], int)
    json.dumps(results, allow_nan=False)


def test_every_extractor_that_is_there(experiment):
    model = experiment / "2mix" / "net"
    shutil.copytree(model / "test" / "matched", model.with_name("other") / "test" / "matched")
    assert {"other", "net"} < set(gather(experiment, "mini", 2, 0, "abc")["extraction"])


def test_part_of_the_stages_gives_part_of_the_rows(experiment):
    shutil.rmtree(experiment / "2mix" / "clustering")
    results = gather(experiment, "mini", 2, 0, "abc")
    assert results["embeddings"] == results["embeddings_by"] == results["extraction_by"] == {}
    assert results["extraction"]


def test_rows_of_an_older_stage_8_are_taken_as_they_are(experiment):
    path = experiment / "2mix" / "clustering" / "metrics.json"
    older = {
        name: {key: value for key, value in row.items() if key not in OF_STUDENTS | {"min_dcf"}}
        for name, row in read_json(path).items()
    }
    write_json(path, older)
    (path.parent / "by_condition.json").unlink()
    results = gather(experiment, "mini", 2, 0, "abc")
    assert all(set(row) == EMBEDDING_KEYS - {"min_dcf"} for row in results["embeddings"].values())
    assert results["embeddings_by"] == {}


def test_scores_by_condition(experiment):
    results = gather(experiment, "mini", 2, 0, "abc")
    assert results["embeddings_by"] == {
        "student": {
            condition: {value: {"acc": 0.333333, "cos": 0.8, "num": 6}}
            for condition, value in (("sexes", "FM"), ("snr_db", "5"), ("overlap", "0.5-0.6"))
        }
    }
    assert set(results["extraction_by"]) == set(results["extraction"]) - {"mixture"}
    assert results["extraction_by"]["net/wrong"]["sexes"] == {
        "FM": {"si_sdri": results["extraction"]["net/wrong"]["si_sdri"], "num": 6}
    }


def test_nothing_there_says_which_stage_makes_it(tmp_path):
    with pytest.raises(UserError, match=r"stage 9 \(report\) needs scores in .*3mix.*stages 7 and 8"):
        gather(tmp_path, "mini", 3, 0, "abc")


@pytest.fixture
def remade(experiment):
    """The model of `net` was made anew after its speech and that of `net/wrong` were scored."""
    mixtures = experiment / "2mix"
    write_json(mixtures / "net" / "matched" / STATE_FILE, {"fingerprint": "new", "done": True})
    for place in ("matched/scores", "wrong"):
        depth = "../" * (2 + place.count("/"))
        state = {"fingerprint": "x", "done": True, "inputs": {f"{depth}matched": "old"}}
        write_json(mixtures / "net" / "test" / place / STATE_FILE, state)
    return experiment


def test_rows_of_models_that_were_made_anew_are_left_out_and_told(experiment, remade):
    results = gather(remade, "mini", 2, 0, "abc")
    assert set(results["extraction"]) & {"net", "net/wrong"} == set() and "mixture" in results["extraction"]
    assert set(outdated_rows(remade / "2mix")) == {"net", "net/wrong"}
    said = write_report(remade, results)
    line = "`net`, which is older than 2mix/net/matched; run its stages again"
    assert f"left out: {line}" in said and f"Left out: {line}." in (remade / "RESULTS.md").read_text()


def test_where_all_is_outdated_the_error_says_so(remade):
    for name in ("clustering", "mixture"):
        shutil.rmtree(remade / "2mix" / name)
    for condition in ("none", "random", "oracle", "enrolment", "enrolment_noisy"):
        shutil.rmtree(remade / "2mix" / "net" / "test" / condition, ignore_errors=True)
    with pytest.raises(UserError, match="net and all other results in .* are older than .*net/matched, run with"):
        gather(remade, "mini", 2, 0, "abc")


def test_a_missing_column_is_named(experiment):
    path = experiment / "2mix" / "net" / "test" / "none" / "scores" / "summary.json"
    write_json(path, {key: value for key, value in read_json(path).items() if key != "pesq"})
    with pytest.raises(UserError, match="summary.json: .*found no pesq"):
        gather(experiment, "mini", 2, 0, "abc")


@pytest.fixture
def ended(experiment):
    """Stages 7 and 8 have ended, and know what they made."""
    folders = [path.parent for path in experiment.rglob("summary.json")] + [experiment / "2mix" / "clustering"]
    for folder in folders:
        part, made = Part(7, "x", folder, {}), {path: path.read_text() for path in folder.iterdir()}
        shutil.rmtree(folder)
        part.begin(False)
        for path, text in made.items():
            with atomic_write(path) as file:
                file.write(text)
        part.end()
    return experiment


@pytest.mark.parametrize(
    "name",
    [
        "net/test/wrong/scores/scores.csv",
        "net/test/matched/scores/summary.json",
        "clustering/metrics.json",
        "clustering/by_condition.json",
        "clustering/mixtures.csv",
        "mixture/test/mixture/scores/scores.csv",
    ],
)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text(""),
        lambda path: path.write_text("".join(path.read_text().splitlines(True)[:-1])),
    ],
)
def test_what_was_damaged_since_is_an_error_and_no_row_less(ended, name, spoil):
    gather(ended, "mini", 2, 0, "abc")
    spoil(ended / "2mix" / name)
    with pytest.raises(UserError, match=f"stage 9 .report.: {ended}/2mix/{name} .*: stages 7 and 8 make it again"):
        gather(ended, "mini", 2, 0, "abc")


def test_a_table_without_a_record_is_held_against_its_summary(experiment):
    path = experiment / "2mix" / "net" / "test" / "wrong" / "scores" / "scores.csv"
    path.write_text("".join(path.read_text().splitlines(True)[:-1]))
    with pytest.raises(UserError, match="wrong/scores/scores.csv: num of its 5 rows is 5, in summary.json it is 6"):
        gather(experiment, "mini", 2, 0, "abc")


def test_a_number_that_is_none_is_named(experiment):
    path = experiment / "2mix" / "clustering" / "metrics.json"
    rows = read_json(path)
    write_json(path, rows | {"student": rows["student"] | {"eer": float("nan")}})
    with pytest.raises(UserError, match="metrics.json: eer: wanted a number, found nan"):
        gather(experiment, "mini", 2, 0, "abc")


def rescored_of_one(experiment, folders):
    """The summaries of these folders of scores are of one target a mixture."""
    for folder in folders:
        rows, summary = read_scores(folder / "scores.csv"), read_json(folder / "summary.json")
        of = {"targets": "one", "seed": 5}
        write_json(folder / "summary.json", summary | summarise(targets_of(rows, **of)) | of)


def test_a_report_of_one_target_a_mixture_says_so(experiment):
    folders = [path.parent for path in experiment.rglob("summary.json")]
    text = document(gather(experiment, "mini", 2, 0, "abc"), Context(()))
    assert "over all talkers of all test mixtures." in text and "- num: talkers of all mixtures." in text
    rescored_of_one(experiment, folders)
    results = gather(experiment, "mini", 2, 0, "abc")
    assert results["targets"] == "one" and {row["num"] for row in results["extraction"].values()} == {3}
    assert results["extraction_by"]["net"]["sexes"]["FM"]["num"] == 3
    text = document(results, Context(()))
    assert "over one target of each test mixture, drawn at random as in training." in text
    assert "- num: mixtures, each with one target." in text


def test_rows_of_other_targets_do_not_stand_in_one_table(experiment):
    rescored_of_one(experiment, [experiment / "2mix" / "net" / "test" / "wrong" / "scores"])
    with pytest.raises(
        UserError, match="2mix: wanted rows of the same score.targets, found .*; targets one: net/wrong"
    ):
        gather(experiment, "mini", 2, 0, "abc")


def test_what_pesq_cannot_tell_stands_below_its_table(experiment):
    results = gather(experiment, "mini", 2, 0, "abc")
    extraction = results["extraction"]
    extraction["net/wrong"] |= {"pesq": 0.7, "si_sdr": -8.0}
    text = document(results, Context(()))
    assert "it puts `net/wrong` (0.70 at -8.00 dB) above `net` (0.50 at 0.50 dB): there it measures nothing." in text
    assert text.index("No row is to be ranked by it alone.") > text.index("## Extraction")


def test_left_out_utterances_are_counted(experiment):
    assert left_out(experiment / "2mix") == {}
    path = experiment / "2mix" / "net" / "test" / "wrong" / "scores" / "summary.json"
    write_json(path, read_json(path) | {"num_bad": 3})
    assert left_out(experiment / "2mix") == {"net/wrong": 3}


def test_metrics_without_a_value_are_counted_below_the_table(experiment):
    folder = experiment / "2mix" / "net" / "test" / "matched" / "scores"
    rows = read_scores(folder / "scores.csv")
    for row in rows:
        row["estoi"] = float("nan")
    rows[0]["pesq"], rows[1]["pesq"] = float("nan"), 3.5
    write_scores(folder / "scores.csv", rows)
    write_json(folder / "summary.json", summarise(rows) | {"num_bad": 0, "params": 1})
    results = gather(experiment, "mini", 2, 7, "abc")
    row = results["extraction"]["net"]
    assert row["pesq"] == pytest.approx((3.5 + 4 * 0.5) / 5) and row["num"] == 6 and "estoi" not in row
    said = write_report(experiment, results)
    told = "its mean is over the others: `net` PESQ 1, ESTOI 6."
    assert told in said and told in (experiment / "RESULTS.md").read_text()
    assert "its mean is over" not in document(results, Context((), empty={"net": {}}))


def test_seed_is_the_one_the_teacher_was_trained_with(experiment, tmp_path):
    assert training_seed(experiment) == 7
    assert training_seed(tmp_path) == 0


def test_models_trained_with_other_versions_are_named(experiment):
    (experiment / "2mix" / "net" / "matched").mkdir(parents=True, exist_ok=True)
    old, now = {"python": "3.9", "torch": "2.6.0"}, versions()
    for name, made_by in (("teacher", now), ("2mix/net/matched", old)):
        (experiment / name / "config.yaml").write_text(yaml.safe_dump({"seed": 7, "versions": made_by}))
    results = gather(experiment, "mini", 2, 0, "abc")
    assert (results["versions"], results["trained_with"]) == (now, {"2mix/net/matched": old})
    text = document(results, Context(()))
    assert f"git revision abc, python {now['python']}, torch {now['torch']}, torchaudio {now['torchaudio']}" in text
    assert "Trained with other versions: `2mix/net/matched`, python 3.9, torch 2.6.0." in text


def test_models_of_a_revision_that_noted_no_versions_are_not_named(experiment):
    assert gather(experiment, "mini", 2, 0, "abc")["trained_with"] == {}


@pytest.mark.parametrize(
    "text, said",
    [
        ("seed: [", "not valid YAML"),
        ("- 1", "wanted a mapping"),
        ("seed: x", "seed: wanted a whole number"),
    ],
)
def test_a_damaged_config_is_named(experiment, text, said):
    (experiment / "teacher" / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=f"teacher/config.yaml: {said}"):
        training_seed(experiment)
