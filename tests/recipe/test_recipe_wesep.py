"""WeSep's own recipe with one command, with a stand-in for its checkout, and with the real one where WESEP_DIR is set.

The stand-in has the real one's layout, options and habits (tests/helpers/stand_in_wesep). Real ones run in the Python
that WESEP_PYTHON names, or in this one.
"""

import csv
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pages
import pytest
import yaml
from places import ROOT
from tiny import SETTINGS, command_of, environment, the_error

THEIRS = ("num_epochs=2", "dataloader_args.batch_size=2", "model_args.tse_model.feature_dim=8")
REAL = os.environ.get("WESEP_DIR")
CONDITIONS = ("", "/wrong", "/random", "/oracle", "/enrolment", "/enrolment_noisy")


def command(folder, checkout, *options, chosen=THEIRS):
    call = command_of(folder, *options)
    call[1] = str(ROOT / "egs" / "wesep" / "run.sh")
    return [*call, "--wesep", str(checkout), *(word for text in chosen for word in ("--wesep_set", text))]


def run(folder, checkout, *options, packages, chosen=THEIRS, **variables):
    variables = {"PYTHONPATH": str(packages), **variables} if packages else variables
    return subprocess.run(
        command(folder, checkout, *options, chosen=chosen),
        env=environment(**variables),
        text=True,
        capture_output=True,
        timeout=900,
    )


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    }


def scores_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, wesep_checkout, wesep_packages):
    """A folder in which the one command was run, its training stopped once, and what it printed."""
    folder, before = tmp_path_factory.mktemp("wesep"), contents(wesep_checkout)
    options = ("--model", "bsrnn")
    stopped = run(folder, wesep_checkout, *options, packages=wesep_packages, STAND_IN_STOPS_AFTER="1")
    done = run(folder, wesep_checkout, *options, packages=wesep_packages)
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(wesep_checkout) == before, "the user's checkout was changed"
    return folder, stopped, done.stdout


def test_a_training_that_was_stopped_goes_on_from_its_last_epoch(recipe):
    _, stopped, printed = recipe
    assert "error: WeSep's training ended with status 1" in stopped.stderr
    assert "start_epoch: 1" in stopped.stdout and "start_epoch: 2" in printed
    assert "stage 4 (export wesep, train): done already" in printed


def test_weseps_config_says_what_is_known(recipe):
    folder, _, _ = recipe
    config = yaml.safe_load((folder / "exp/mini/2mix/wesep_bsrnn/config.yaml").read_text())
    args = config["model_args"]["tse_model"]
    assert (args["spk_emb_dim"], args["joint_training"], args["use_spk_transform"]) == (8, False, False)
    assert (args["win"], args["feature_dim"], args["num_repeat"]) == (64, 8, 2)  # of the recipe, chosen, small
    assert config["loss"] == "SISDR" and not {"multi_task", "spksInTrain"} & args.keys()
    plans = [json.loads(line) for line in (folder / "data/mini/2mix/train/plan.jsonl").read_text().splitlines()]
    silent = max(plan["num_samples"] - plan["sources"][0]["num_samples"] for plan in plans)
    assert config["dataset_args"]["chunk_len"] > silent > 8000


def test_its_model_stands_beside_ours_in_the_results(recipe):
    folder, _, _ = recipe
    results = json.loads((folder / "exp/mini/results.json").read_text())
    rows = {name for name in results["extraction"] if name.startswith("wesep_bsrnn")}
    assert rows == {f"wesep_bsrnn{condition}" for condition in CONDITIONS}


def test_weseps_scores_of_its_own_wavs_are_ours_of_the_imported_model(recipe):
    """So the weights were imported right, and each wav was found whose it is; mini's names would be misread."""
    folder, _, printed = recipe
    rows = scores_of(folder / "exp/mini/2mix/wesep_bsrnn/scored/beside.csv")
    ours = scores_of(folder / "exp/mini/2mix/wesep_bsrnn/test/matched/scores/scores.csv")
    assert [(row["mix"], row["speaker"]) for row in rows] == [(row["mix"], row["speaker"]) for row in ours]
    for row in rows:
        assert float(row["si_snr"]) == pytest.approx(float(row["si_snr_wesep"]), abs=0.1)
    assert re.search(r"si_snr +-?\d+\.\d{3} +-?\d+\.\d{3}\n", printed)


def test_a_second_run_redoes_nothing(recipe, wesep_checkout, wesep_packages):
    folder, _, _ = recipe
    again = run(folder, wesep_checkout, "--model", "bsrnn", "--stage", 4, packages=wesep_packages)
    assert again.returncode == 0, again.stderr
    for what in ("WeSep's training", "extractor of WeSep's", "WeSep's inference", "WeSep's scoring", "score, wrong"):
        assert f"({what}): done already" in again.stdout


def test_its_state_is_told(recipe, wesep_checkout, wesep_packages):
    folder, _, _ = recipe
    told = run(folder, wesep_checkout, "--model", "bsrnn", "--status", "true", packages=wesep_packages)
    assert told.returncode == 0, told.stderr
    assert re.search(r"5 +WeSep's training +done", told.stdout), told.stdout


def test_a_dry_run_prints_every_line_and_does_nothing(tmp_path, wesep_checkout):
    done = run(tmp_path, wesep_checkout, "--model", "bsrnn", "--dry_run", "true", packages=None)
    assert done.returncode == 0, done.stderr
    lines = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("python ")]
    entries = [line[2].rpartition(".")[2] + (f" {line[3]}" if "wesep" in line[2][-12:] else "") for line in lines]
    assert entries[:5] == [
        "check_config", "prepare_data", "train_teacher", "train_student", "extract_embeddings",
    ]  # fmt: skip
    assert entries[5:15] == [
        "extract_embeddings", "export_data", "export_data", "with_wesep config", "with_wesep train",
        "convert_wesep import", "with_wesep infer", "extract_speech", "score", "with_wesep score",
    ]  # fmt: skip
    trains, infers = (next(line for line in lines if f"{wesep_checkout}/wesep/bin/{name}.py" in line)
                      for name in ("train", "infer"))  # fmt: skip
    assert trains[trains.index("--") + 1 :][:5] == [
        "python", "-m", "torch.distributed.run", "--standalone", "--nnodes=1",
    ]  # fmt: skip
    assert {"--train_spk_embeds", "--val_spk1_enroll", "--val_spk2utt"} <= set(trains) and "--gpus=-1" in infers
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "sepformer"], "no model 'sepformer'; there are: spexplus dpccn bsrnn tfgridnet"),
        (["--model", "bsrnn", "--num_spk", 3], "--num_spk takes a whole number from 2 to 2, found '3'"),
        (["--model", "bsrnn", "--small", "yes"], "--small takes true or false, found 'yes'"),
        (["--model", "bsrnn", "--wesepp", "x"], "unknown option --wesepp"),
        (["--model"], "--model needs a value"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is(options, said, tmp_path, wesep_checkout):
    call = command(tmp_path, wesep_checkout, chosen=())
    done = subprocess.run([*call, *map(str, options)], env=environment(), text=True, capture_output=True, timeout=60)
    assert done.returncode == 1 and said in done.stderr and not list(tmp_path.iterdir())


def test_no_checkout_is_said(tmp_path):
    done = run(tmp_path, tmp_path / "nothing", packages=None)
    assert done.returncode == 1 and "--wesep DIR: wanted a checkout of WeSep" in done.stderr


def test_the_newer_wesep_is_told_from_the_legacy_one(tmp_path):
    for name in ("wesep/bin", "examples/audio"):
        (tmp_path / "newer" / name).mkdir(parents=True)
    done = run(tmp_path, tmp_path / "newer", packages=None)
    assert done.returncode == 1 and "newer is WeSep v0.1, whose own run.sh takes our export" in done.stderr


def test_packages_that_wesep_lacks_are_named(recipe, wesep_checkout):
    folder, _, _ = recipe
    done = run(folder, wesep_checkout, "--model", "bsrnn", "--stage", 5, "--force", "true", packages=None)
    assert re.search(
        r"WeSep needs packages that .*python does not have: .*fire.*pip install .*fire.*--wesep_python", the_error(done)
    )


BLOCKS = [block for block in pages.blocks("docs/wesep.md", "bash") if block.needs.startswith("a checkout of WeSep")]
PAGE = """
bash() {{
    case $1 in
        egs/wesep/run.sh) command bash "$@" {options} {theirs} ;;
        run.sh) command bash "$@" {options} ;;
        *) command bash "$@" ;;
    esac
}}
set -e
"""


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_commands_of_the_page_do_their_work(block, recipe, wesep_checkout, wesep_packages, tmp_path):
    folder, _, _ = recipe
    checkout = pages.make_checkout(tmp_path)
    for name in ("data", "exp"):
        shutil.copytree(folder / name, checkout / name, symlinks=True)
    weights = checkout / "path" / "to" / "weights"
    weights.mkdir(parents=True)
    trained = folder / "exp/mini/2mix/wesep_bsrnn"
    shutil.copy(trained / "config.yaml", weights)
    shutil.copy(trained / "trained/models/final_checkpoint.pt", weights / "avg_model.pt")
    settings = {key: value for key, value in SETTINGS.items() if key != "extractor.model"}  # that is the block's
    head = PAGE.format(
        options=shlex.join(command_of(checkout, base=settings)[4:]),
        theirs=" ".join(f"--wesep_set {text}" for text in THEIRS),
    )
    done = subprocess.run(
        ["bash", "-c", head + block.text.replace("/path/to/wesep", str(wesep_checkout))],
        cwd=checkout,
        env=environment(PYTHONPATH=str(wesep_packages), WESEP_DIR=""),
        text=True,
        capture_output=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(REAL is None, reason="WESEP_DIR names no checkout of WeSep")
@pytest.mark.parametrize("model", ["bsrnn", "dpccn", "spexplus"])
def test_the_real_one(model, recipe, tmp_path):
    folder, before = tmp_path, contents(Path(REAL))
    for name in ("data", "exp"):
        shutil.copytree(recipe[0] / name, folder / name, symlinks=True)
    chosen = ("num_epochs=1", "dataset_args.shuffle_args.shuffle_size=2", "num_avg=1")
    options = ("--model", model, "--stage", 5, "--wesep_python", os.environ.get("WESEP_PYTHON", sys.executable))
    done = run(folder, REAL, *options, packages=None, chosen=chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(Path(REAL)) == before
    for row in scores_of(folder / f"exp/mini/2mix/wesep_{model}/scored/beside.csv"):
        assert float(row["stoi"]) == pytest.approx(float(row["stoi_wesep"]), abs=0.01)
