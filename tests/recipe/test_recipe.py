"""All stages of run.sh on a tiny corpus, in two calls; then what a user does next."""

import csv
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import kaldiio
import numpy as np
import pages
import pytest
import soundfile
import yaml
from places import ROOT
from tiny import SETTINGS, commands, environment, run_sh

ENROLMENTS = ("/enrolment", "/enrolment_noisy")
ALWAYS = ("si_sdr", "si_sdri", "extracted", "wrong_talker", "voice_cos")
PERCEPTUAL = ("sdr", "sdri", "pesq", "stoi", "estoi")
MADE = {
    1: ["data/mini/2mix/test/plan.jsonl", "data/mini/2mix/train/spk2utt", "data/mini/single/dev/utt2spk"],
    2: ["exp/mini/teacher/model.pt", "exp/mini/teacher/config.yaml", "exp/mini/teacher/logs/csv/metrics.csv"],
    3: ["exp/mini/2mix/student/model.pt"],
    4: [
        f"exp/mini/2mix/embeddings/{s}/{k}.{e}"
        for s in ("dev", "test")
        for k in ("teacher", "student", "matched")
        for e in ("ark", "scp")
    ]
    + ["exp/mini/2mix/embeddings/test/trials", "exp/mini/2mix/embeddings/test/wespeaker/matched/xvector.scp"],
    5: ["exp/mini/2mix/stft_tcn/matched/model.pt", "exp/mini/2mix/stft_tcn/none/model.pt"],
    6: ["exp/mini/2mix/stft_tcn/test/matched/wav/wav.scp"],
    7: ["exp/mini/2mix/stft_tcn/test/matched/scores/scores.csv"],
    8: [
        "exp/mini/2mix/stft_tcn/test/wrong/scores/scores.csv",
        "exp/mini/2mix/clustering/metrics.json",
        "exp/mini/2mix/clustering/talkers.json",
        *(
            f"exp/mini/2mix/stft_tcn/analysis/{name}.{end}"
            for name in ("interpolation", "margins", "worst")
            for end in ("csv", "json")
        ),
        *(f"exp/mini/2mix/enrolments/{file}" for file in ("plan.jsonl", "enrolment.scp", "enrolment_noisy.ark")),
    ],
    9: [
        f"exp/mini/{folder}{file}"
        for folder in ("", "2mix/")
        for file in ("results.json", "RESULTS.md", "report.html", "tables.tex")
    ]
    + ["exp/mini/2mix/WORST.md"]
    + [f"exp/mini/2mix/plots/{name}.{end}" for name in ("curves", "si_sdri", "map") for end in ("png", "pdf", "svg")],
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A folder in which every stage was run: the embeddings in one call, the extractor and what follows in another."""
    folder = tmp_path_factory.mktemp("recipe")
    for part in (("--stop_stage", 4), ("--stage", 5)):
        done = run_sh(folder, "--nj", 2, *part)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("stage", MADE)
def test_a_stage_leaves_its_files(recipe, stage):
    assert [file for file in MADE[stage] if not (recipe / file).is_file()] == []


def test_results_have_every_row_and_column(recipe):
    results = json.loads((recipe / "exp/mini/results.json").read_text())
    assert (results["corpus"], results["num_spk"], results["seed"]) == ("mini", 2, 0)
    assert set(results["embeddings"]) == {"teacher", "teacher/clean", "kmeans", "kmeans/teacher", "student"}
    for name, row in results["embeddings"].items():
        more = {"cos", "num_missing"} if name == "student" else set()
        assert set(row) == {"acc", "acc_all", "sep", "nmi", "sil", "ari", "eer", "min_dcf", "num", "trainable"} | more
        assert 0 <= row["acc"] <= 1
        assert row["acc_all"] == pytest.approx(row["acc"])  # as many heads as talkers
    assert set(results["extraction"]) == {"mixture", *rows_of("stft_tcn")}
    for name, row in results["extraction"].items():
        metrics = ALWAYS if "/" in name else (*ALWAYS, *PERCEPTUAL)  # perceptual_controls: false
        assert {*metrics, *(f"{m}_std" for m in metrics), "num", "params"} == set(row)
        assert row["num"] == 2 * num_mixtures(recipe)
    assert results["extraction"]["mixture"]["si_sdri"] == 0


def test_three_of_four_mixtures_are_played_with_all_controls_and_all_four_in_the_table(recipe):
    text = (recipe / "exp/mini/report.html").read_text()
    extracted = len(rows_of("stft_tcn"))
    assert text.count("<audio ") == 3 * (1 + 2 * (1 + extracted)) + 4 * (1 + 2)
    assert str(recipe) not in text


def test_embeddings_are_read_by_plain_kaldiio(recipe):
    plans = read_plans(recipe)
    tables = {
        kind: dict(kaldiio.load_scp(str(recipe / f"exp/mini/2mix/embeddings/test/{kind}.scp")).items())
        for kind in ("teacher", "student", "matched")
    }
    by_speaker = {f"{plan['id']}-{source['spk']}" for plan in plans for source in plan["sources"]}
    assert set(tables["teacher"]) == set(tables["matched"]) == by_speaker
    assert set(tables["student"]) == {f"{plan['id']}-{head}" for plan in plans for head in (0, 1)}
    for plan in plans:  # the matched embeddings are the set, each once
        heads = sorted(tables["student"][f"{plan['id']}-{head}"].tolist() for head in (0, 1))
        matched = sorted(tables["matched"][f"{plan['id']}-{source['spk']}"].tolist() for source in plan["sources"])
        assert heads == matched
    assert all(v.dtype == np.float32 and abs(np.linalg.norm(v) - 1) < 1e-4 for v in tables["student"].values())


def test_enrolments_are_other_speech_of_each_talker_and_the_list_says_which(recipe):
    folder = recipe / "exp/mini/2mix/enrolments"
    listed = [json.loads(line) for line in (folder / "plan.jsonl").read_text().splitlines()]
    wanted = [(f"{plan['id']}-{one['spk']}", one) for plan in read_plans(recipe) for one in plan["sources"]]
    for (key, source), enrolment in zip(wanted, listed, strict=True):
        (other,) = enrolment["sources"]
        assert enrolment["id"] == key and other["spk"] == source["spk"] and other["utt"] != source["utt"]
    clean, noisy = (dict(kaldiio.load_scp(f"{folder}/{kind[1:]}.scp").items()) for kind in ENROLMENTS)
    assert set(clean) == set(noisy) == {key for key, _ in wanted}
    assert all(not np.allclose(clean[key], noisy[key]) for key in clean)


def test_wavs_are_named_by_mixture_and_speaker_and_as_long_as_the_mixture(recipe):
    for plan in read_plans(recipe):
        for source in plan["sources"]:
            info = soundfile.info(recipe / f"exp/mini/2mix/stft_tcn/test/matched/wav/{plan['id']}-{source['spk']}.wav")
            assert (info.frames, info.samplerate, info.channels) == (plan["num_samples"], 16000, 1)


def test_scores_have_one_row_a_mixture_and_speaker(recipe):
    with open(recipe / "exp/mini/2mix/stft_tcn/test/matched/scores/scores.csv") as file:
        rows = list(csv.DictReader(file))
    wanted = [(plan["id"], source["spk"]) for plan in read_plans(recipe) for source in plan["sources"]]
    assert sorted((row["mix"], row["speaker"]) for row in rows) == sorted(wanted)


@pytest.fixture(scope="module")
def checkout(recipe):
    """That folder as a user's checkout, with data and exp of the tiny recipe in it."""
    return pages.make_checkout(recipe)


TINY_RUN_SH = f"""
bash() {{
    [ "$1" = run.sh ] || {{ command bash "$@"; return; }}
    command bash "$@" --nj 1 --data_dir "$PWD/data" --exp_dir "$PWD/exp" "${{tiny[@]}}"
}}
tiny=({" ".join(f"--set {shlex.quote(f'{key}={value}')}" for key, value in SETTINGS.items())})
set -e
"""


@pytest.mark.parametrize("block", [block for block in pages.all_blocks("bash", "python") if not block.needs], ids=str)
def test_commands_of_the_pages_do_their_work(checkout, block):
    """Those that say nothing of what they need; the options of all are checked by tests/unit/test_docs.py."""
    call = (
        [sys.executable, "-c", block.text] if block.language == "python" else ["bash", "-c", TINY_RUN_SH + block.text]
    )
    done = subprocess.run(call, cwd=checkout, env=environment(), text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


def test_a_second_run_redoes_nothing_and_says_so(recipe):
    before = stamps(recipe)
    done = run_sh(recipe)
    assert done.returncode == 0, done.stderr
    assert all(f"stage {stage} (" in done.stdout for stage in range(1, 9))
    assert "done in" not in done.stdout
    assert re.search(r"^student +\d", done.stdout, flags=re.MULTILINE)  # the table is printed again
    assert stamps(recipe) == before


def cut(path):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def flip(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 64
    path.write_bytes(data)


def test_what_was_damaged_is_noticed_and_made_again_and_gives_the_same_results(recipe):
    wavs = sorted((recipe / "exp/mini/2mix/stft_tcn/test/matched/wav").glob("*.wav"))
    damaged = {
        recipe / "data/mini/2mix/dev/plan.jsonl": cut,
        recipe / "data/mini/single/test/wav.scp": cut,
        recipe / "exp/mini/teacher/model.pt": flip,
        recipe / "exp/mini/2mix/embeddings/test/matched.ark": flip,
        wavs[0]: flip,
        wavs[-1]: Path.unlink,
        recipe / "exp/mini/2mix/stft_tcn/test/wrong/scores/scores.csv": cut,
        recipe / "exp/mini/2mix/clustering/metrics.json": Path.unlink,
    }
    before = {path: path.read_bytes() for path in damaged} | {
        path: path.read_bytes() for path in recipe.rglob("results.json")
    }
    for path, spoil in damaged.items():
        spoil(path)
    alone = run_sh(recipe, "--stage", 9)
    assert alone.returncode == 1 and re.search(r"error: stage 9 .*: stages 7 and 8 make it again", alone.stderr)
    done = run_sh(recipe)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("it is made again") == 7 and "is made anew" not in done.stdout
    assert {path: path.read_bytes() for path in before} == before


def test_the_same_seed_gives_the_same_results_in_one_call_and_for_any_nj(recipe, tmp_path):
    done = run_sh(tmp_path, "--nj", 1)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((f / "exp/mini/results.json").read_text()) for f in (recipe, tmp_path))
    assert first.pop("git") == second.pop("git")
    assert first == second


def test_stages_as_jobs_of_a_wrapper_give_the_same_scores(recipe, tmp_path):
    copy = shutil.copytree(recipe, tmp_path / "copy")
    tests = "exp/mini/2mix/stft_tcn/test"
    clustering = copy / "exp/mini/2mix/clustering"
    measures = {path.name: path.read_bytes() for path in clustering.glob("*.json")}
    shutil.rmtree(copy / tests)
    shutil.rmtree(clustering)
    wrapper = f"{sys.executable} {ROOT}/tools/run_local.py --mem 2G --max-jobs-run 2"
    done = run_sh(copy, "--stage", 6, "--stop_stage", 8, "--nj", 3, "--cmd", wrapper)
    assert done.returncode == 0, done.stderr
    for name in ("matched", "wrong"):
        table = f"{tests}/{name}/scores/scores.csv"
        assert (copy / table).read_text() == (recipe / table).read_text()
    assert measures and {path.name: path.read_bytes() for path in clustering.glob("*.json")} == measures
    assert list((copy / "exp/mini/jobs").iterdir()) == []  # all shares were put together


def test_a_changed_setting_redoes_its_stage_and_those_after_it(recipe):
    before = stamps(recipe)
    done = run_sh(recipe, "--stage", 1, "--stop_stage", 4, settings={"student.optim.lr": "5e-4"})
    assert done.returncode == 0, done.stderr
    changed = {name for name, stamp in stamps(recipe).items() if before.get(name) != stamp}
    assert {"exp/mini/2mix/student/model.pt", "exp/mini/2mix/embeddings/test/student.ark"} <= changed
    assert not {"exp/mini/teacher/model.pt", "data/mini/2mix/test/plan.jsonl"} & changed
    config = yaml.safe_load((recipe / "exp/mini/2mix/student/config.yaml").read_text())
    assert config["optim"]["lr"] == 5e-4


def test_three_talkers_and_another_extractor_beside_two(recipe):
    dpccn = (
        "{name: dpccn, n_fft: 64, hop: 32, dense_channels: [2, 2], conv_channels: [4], dense_depth: 1, "
        "tcn_repeats: 1, tcn_blocks: 1, pool_sizes: [2]}"
    )
    done = run_sh(recipe, "--num_spk", 3, "--extractor", "dpccn", settings={"extractor.model": dpccn})
    assert done.returncode == 0, done.stderr
    newest, own, two = (
        json.loads((recipe / f"exp/mini/{folder}results.json").read_text()) for folder in ("", "3mix/", "2mix/")
    )
    assert newest == own and (own["num_spk"], two["num_spk"]) == (3, 2)
    assert own["embeddings"]["student"]["num"] == own["extraction"]["dpccn"]["num"] > 0
    assert set(own["extraction"]) == {"mixture", *rows_of("dpccn")}
    assert "stage 2 (teacher): done already" in done.stdout


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A folder in which nothing was run, and the entry points and arguments that run.sh would call there, by stage."""
    folder = tmp_path_factory.mktemp("empty")
    return folder, commands(folder)


@pytest.mark.parametrize(("stage", "makes"), [(2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1)])
def test_a_missing_input_names_the_stage_that_makes_it(empty, capfd, stage, makes):
    folder, calls = empty
    entry, options = calls[stage]
    assert importlib.import_module(entry).main(options) == 1
    out, err = capfd.readouterr()
    assert err.startswith("error: ") and f"stage {makes} makes it" in err and err.count("\n") == 1 and out == ""
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def read_plans(folder):
    return [json.loads(line) for line in (folder / "data/mini/2mix/test/plan.jsonl").read_text().splitlines()]


def rows_of(extractor):
    return [extractor + control for control in ("", "/none", "/wrong", "/random", "/oracle", *ENROLMENTS)]


def num_mixtures(folder):
    return len(read_plans(folder))


def stamps(folder):
    """When each file that a stage made was written; lock files are touched by every call."""
    report = {"results.json", "RESULTS.md", "WORST.md", "report.html", "tables.tex"}
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock" and path.name not in report and path.parent.name != "plots"
    }
