"""Options and errors of run.sh and of its environment: fast, nothing is installed, no stage does its work."""

import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import setuptools
from pages import make_checkout
from places import ROOT
from tiny import bare_environment, stand_in_python

from wesep_mix.base.config import parse_override

ENTRIES = [
    "prepare_data",
    "train_teacher",
    "train_student",
    "extract_embeddings",
    "train_extractor",
    "extract_speech",
    "score",
    "analyse",
    "report",
]
PYTHON_STUB = """#!/usr/bin/env bash
[ "$1" = -c ] && exit 0
printf '<%s>' "${@:2}" && echo
[ "$2" != "wesep_mix.bin.$SLEEPS" ] || exec sleep 30
[ "$2" != "wesep_mix.bin.$FAILS" ] || exit 7
"""


NOWHERE = f"{__file__}/nowhere"  # below a file there is nothing, on any machine


def environment(**changes):
    """No active Python environment, and no Python to make one with."""
    return bare_environment() | {"WESEP_MIX_PYTHON": NOWHERE, "SLEEPS": "", "FAILS": ""} | changes


def bash(*args, cwd=ROOT, **changes):
    return subprocess.run(
        ["bash", *map(str, args)], cwd=cwd, env=environment(**changes), text=True, capture_output=True, timeout=60
    )


@pytest.fixture
def stub_env(tmp_path):
    """An active environment whose python prints the arguments it gets."""
    return {"VIRTUAL_ENV": str(stand_in_python(tmp_path / "env", PYTHON_STUB))}


def entries(stdout):
    return re.findall(r"<wesep_mix\.bin\.(\w+)>", stdout)


def test_help_lists_stages_and_defaults(tmp_path):
    done = bash(ROOT / "run.sh", "--help", cwd=tmp_path, WESEP_MIX_VENV=str(tmp_path / "venv"))
    assert done.returncode == 0 and done.stderr == ""
    assert re.findall(r"^  (\d)  ", done.stdout, flags=re.M) == list("123456789")
    for option in (
        "stage stop_stage corpus num_spk extractor separator share_with tables sessions write_wav nj "
        "ngpu tag set force dry_run data_dir exp_dir"
    ).split():
        assert f"\n  --{option} " in done.stdout
    assert "last stage [9]" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args, message",
    [
        (["--foo", "1"], "unknown option --foo (see bash run.sh --help)"),
        (["--foo=1"], "unknown option --foo (see bash run.sh --help)"),
        (["--PATH", "x"], "unknown option --PATH"),
        (["mini"], "unexpected argument 'mini'"),
        (["--stage"], "--stage needs a value"),
        (["--tag", "--force", "true"], "--tag needs a value"),
        (["--stage", "0"], "--stage takes a whole number from 1 to 9, found '0'"),
        (["--stage", "10"], "--stage takes a whole number from 1 to 9, found '10'"),
        (["--stop-stage=two"], "--stop_stage takes a whole number from 1 to 9, found 'two'"),
        (["--stage", "5", "--stop_stage", "4"], "--stage 5 comes after --stop_stage 4"),
        (["--num_spk", "1"], "--num_spk takes a whole number from 2 to 5, found '1'"),
        (["--num_spk", "6"], "--num_spk takes a whole number from 2 to 5, found '6'"),
        (["--nj", "0"], "--nj takes a whole number from 1 on, found '0'"),
        (["--ngpu", "-1"], "--ngpu takes a whole number from 0 on, found '-1'"),
        (["--force", "yes"], "--force takes true or false, found 'yes'"),
        (["--set", "lr"], "--set takes key=value, found 'lr'"),
        (["--tag", "a/b"], "--tag takes letters, digits and . _ -, found 'a/b'"),
        (["--exp_dir="], "--data_dir and --exp_dir need a folder's name"),
        (["--corpus", "nope"], "no corpus 'nope' in egs; there are:"),
        (["--corpus", "../egs/mini"], "no corpus '../egs/mini' in egs; there are:"),
        (["--extractor", "nope"], "no extractor 'nope' in egs/mini/conf/extractor; there are:"),
    ],
)
def test_wrong_options_are_one_line_before_anything_is_made(tmp_path, args, message):
    done = bash("run.sh", *args, WESEP_MIX_VENV=str(tmp_path / "venv"))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"run.sh: {message}") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_wrong_names_are_answered_with_the_names_there_are():
    corpora = sorted(path.parts[-3] for path in ROOT.glob("egs/*/conf/corpus.yaml"))
    extractors = sorted(path.stem for path in ROOT.glob("egs/mini/conf/extractor/*.yaml"))
    assert bash("run.sh", "--corpus", "x").stderr.split("there are: ")[1].split() == corpora
    assert bash("run.sh", "--extractor", "x").stderr.split("there are: ")[1].split() == extractors


def test_every_stage_runs_once_and_in_order_from_any_folder(tmp_path, stub_env):
    done = bash(ROOT / "run.sh", "--set", "a.b=two words", "--set=c=*", cwd=tmp_path, **stub_env)
    assert done.returncode == 0, done.stderr
    assert entries(done.stdout) == ["check_config", *ENTRIES]
    assert done.stdout.count("<--set=a.b=two words><--set=c=*>") == 10
    assert done.stdout.endswith("results: exp/mini/RESULTS.md and report.html\n")


@pytest.mark.parametrize("number, entry", list(enumerate(ENTRIES, start=1)))
def test_a_stage_runs_alone(stub_env, number, entry):
    done = bash("run.sh", "--stage", number, "--stop_stage", number, "--force", "true", **stub_env)
    assert done.returncode == 0 and entries(done.stdout) == ["check_config", entry]
    assert "<--force><true>" in done.stdout


def test_the_check_of_the_configs_is_told_what_will_run(stub_env):
    done = bash("run.sh", "--stage", 3, "--stop_stage", 4, "--num_spk", 3, "--tag", "big", **stub_env)
    checked = done.stdout.splitlines()[0]
    assert "<--stage><3><--stop_stage><4><--num_spk><3><--teacher><exp/mini_big/teacher>" in checked


def test_options_name_the_paths(stub_env):
    done = bash(
        "run.sh",
        "--stage",
        3,
        "--stop-stage",
        3,
        "--num_spk=3",
        "--tag",
        "big",
        "--exp_dir",
        "/x y",
        "--data_dir",
        "/d",
        "--ngpu",
        2,
        **stub_env,
    )
    assert (
        "<--data></d/mini/3mix><--teacher></x y/mini_big/teacher/model.pt>"
        "<--out></x y/mini_big/3mix/student><--ngpu><2><--num_nodes><1>"
        "<--num_procs><1><--num_spk><3>"
    ) in done.stdout


def test_a_failing_stage_stops_the_run_with_its_status(stub_env):
    done = bash("run.sh", FAILS="train_student", **stub_env)
    assert done.returncode == 7 and entries(done.stdout)[-1] == "train_student"
    assert done.stderr.startswith("run.sh: stage 3 (train_student) failed (status 7)")
    assert done.stderr.count("\n") == 1


def test_a_wrong_config_stops_the_run_before_any_stage(stub_env):
    done = bash("run.sh", FAILS="check_config", **stub_env)
    assert done.returncode == 7 and entries(done.stdout) == ["check_config"]


def test_ctrl_c_ends_the_run_with_130(stub_env):
    run = subprocess.Popen(
        ["bash", "run.sh"],
        cwd=ROOT,
        env=environment(SLEEPS="train_teacher", **stub_env),
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while "train_teacher" not in run.stdout.readline():
        assert run.poll() is None
    time.sleep(0.2)  # the stub prints its line just before it sleeps
    os.killpg(run.pid, signal.SIGINT)
    stdout, stderr = run.communicate(timeout=20)
    assert run.returncode == 130 and stdout == "" and stderr == ""


def said_of(*options, script="run.sh"):
    done = bash(script, "--dry_run", "true", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wrapper_of_all_stages_is_that_of_the_trainings_unless_these_have_their_own():
    said = said_of("--cmd", "a.pl --mem 1G", "--nj", 7)
    assert "WESEP_MIX_CMD=a.pl\\ --mem\\ 1G WESEP_MIX_TRAIN_CMD=a.pl\\ --mem\\ 1G WESEP_MIX_JOBS=exp/mini/jobs" in said
    assert "# == stage 3: train student, each training a job of a.pl --mem 1G ==" in said
    assert "# == stage 4: extract embeddings, up to 7 jobs of a.pl --mem 1G ==" in said
    said = said_of("--cmd", "a.pl", "--train_cmd", "b.pl")
    assert "WESEP_MIX_CMD=a.pl WESEP_MIX_TRAIN_CMD=b.pl" in said and "each training a job of b.pl ==" in said
    said = said_of("--train_cmd", "b.pl")
    assert "WESEP_MIX_CMD= WESEP_MIX_TRAIN_CMD=b.pl" in said and "# == stage 6: extract speech ==" in said
    assert "WESEP_MIX" not in said_of() and "job" not in said_of()


def test_cmd_sh_counts_where_no_wrapper_is_given(tmp_path):
    make_checkout(tmp_path)
    (tmp_path / "cmd.sh").write_text('cmd="here.pl --mem 1G"\ntrain_cmd="there.pl"\n')
    said = said_of(script=tmp_path / "run.sh")
    assert "WESEP_MIX_CMD=here.pl\\ --mem\\ 1G WESEP_MIX_TRAIN_CMD=there.pl" in said
    said = said_of("--cmd", "other.pl", script=tmp_path / "run.sh")
    assert "WESEP_MIX_CMD=other.pl WESEP_MIX_TRAIN_CMD=other.pl" in said and "there.pl" not in said


def test_libri_small_passes_absolute_folders(tmp_path, stub_env):
    (tmp_path / "my speech").mkdir()
    done = bash(ROOT / "egs/libri_small/run.sh", "--librispeech", "my speech", "--stage", 9, cwd=tmp_path, **stub_env)
    assert done.returncode == 0, done.stderr
    assert f"<--set=corpus.corpus.speech_dir:={tmp_path}/my speech>" in done.stdout
    assert "noise_dir" not in done.stdout


ODD_NAMES = [
    "corpus #1",
    "a: b",
    "trail:",
    "blanks  ",
    " blank",
    "'single'",
    '"double"',
    "two\nlines",
    "end\n",
    "-",
    "-x",
    "--set=a=b",
    "~",
    "null",
    "1e3",
    "true",
    "[x]",
    "{a: 1}",
    "&a",
    "*a",
    "!a",
    "%a",
    "@a",
    "`a`",
    "a=b",
    "$HOME",
    "back\\slash",
    "tab\t",
    "caf\u00e9",
    "? a",
    "- a",
    "#",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_exactly_the_folder_that_was_named_is_used(tmp_path, stub_env, name):
    """And no other that YAML, or a shell, would make of its name."""
    for folder in (name, name.partition(" ")[0] or "x", name.strip()):
        (tmp_path / "here" / folder).mkdir(parents=True, exist_ok=True)
    for given in (name, f"{tmp_path}/here/{name}"):
        done = bash(
            ROOT / "egs/libri_small/run.sh",
            "--librispeech",
            given,
            f"--noise={given}",
            "--stage",
            9,
            cwd=tmp_path / "here",
            CDPATH=str(tmp_path),
            OLDPWD=str(tmp_path),
            **stub_env,
        )
        assert done.returncode == 0, done.stderr
        for key in ("speech_dir", "noise_dir"):
            found = re.search(rf"<--set=(corpus\.corpus\.{key}:=.*?)>(?=<--set|\n(?:==|<|results))", done.stdout, re.S)
            assert parse_override(found[1]) == (["corpus", "corpus", key], f"{tmp_path}/here/{name}")


def test_libri3mix_has_three_talkers_and_shares_lists_and_teacher(stub_env):
    done = bash("egs/libri3mix/run.sh", "--stage", 1, "--stop_stage", 3, **stub_env)
    assert done.returncode == 0, done.stderr
    prepare, teach, learn = (line for line in done.stdout.splitlines() if "--force" in line)
    for part in ("<--num_spk><3>", "<data/libri3mix>", "<data/libri2mix>"):
        assert part in prepare
    assert "<data/libri2mix/single>" in teach and "<exp/libri2mix/teacher>" in teach
    assert "<exp/libri2mix/teacher/model.pt>" in learn and "<exp/libri3mix/3mix/student>" in learn


@pytest.mark.parametrize("corpus", sorted(path.parts[-3] for path in ROOT.glob("egs/*/conf/corpus.yaml")))
def test_a_dry_run_prints_every_command_and_runs_nothing(tmp_path, corpus):
    done = bash(
        "run.sh",
        "--corpus",
        corpus,
        "--dry_run",
        "true",
        "--set",
        "seed=1",
        "--data_dir",
        "my data",
        WESEP_MIX_VENV=str(tmp_path / "venv"),
    )
    assert done.returncode == 0 and done.stderr == ""
    lines = [shlex.split(line, comments=True) for line in done.stdout.splitlines()]
    calls = [line for line in lines if line[:2] == ["python", "-m"]]
    assert [call[2].rsplit(".", 1)[1] for call in calls] == ["check_config", *ENTRIES]
    assert calls[7][calls[7].index("--data") + 1].startswith(f"my data/{corpus}/")
    assert list(tmp_path.iterdir()) == []


def test_a_separator_joins_stages_5_to_8(stub_env):
    done = bash("run.sh", "--separator", "conv_tasnet", **stub_env)
    assert done.returncode == 0, done.stderr
    assert [name for name in entries(done.stdout) if name not in ENTRIES] == [
        "check_config",
        "train_separator",
        "separate_speech",
    ]
    lines = done.stdout.splitlines()
    (scored,) = (line for line in lines if "<--condition><separated>" in line)
    assert "<exp/mini/2mix/conv_tasnet>" in scored and "<--separator><conv_tasnet>" in lines[0]
    (analysed,) = (line for line in lines if "wesep_mix.bin.analyse>" in line)
    assert "<--separator><exp/mini/2mix/conv_tasnet>" in analysed


def test_tables_join_stages_1_to_9(stub_env):
    done = bash("run.sh", "--tables", "true", "--tag", "big", "--num_spk", 3, **stub_env)
    assert done.returncode == 0, done.stderr
    assert entries(done.stdout) == [
        "check_config",
        "prepare_data",
        "train_teacher",
        "tables",
        "train_student",
        "tables",
        "extract_embeddings",
        "tables",
        "train_extractor",
        "tables",
        "extract_speech",
        "tables",
        "score",
        "tables",
        "tables",
        "analyse",
        "tables",
        "report",
    ]
    lines = done.stdout.splitlines()
    assert "<--tables><true>" in lines[0]
    assert "<--num_spk><3><--tables><true>" in next(line for line in lines if "prepare_data" in line)
    tables = [line for line in lines if "<wesep_mix.bin.tables>" in line]
    assert [re.search("<--stage_number><(.)>", line)[1] for line in tables] == list("23456789")
    assert all("<--egs><egs/mini>" in line and "<--exp><exp/mini_big>" in line for line in tables)


def test_wavs_are_written_after_stage_1(stub_env):
    done = bash("run.sh", "--stop_stage", 1, "--write_wav", "true", **stub_env)
    assert done.returncode == 0, done.stderr
    assert entries(done.stdout) == ["check_config", "prepare_data", "export_data"]


@pytest.mark.parametrize(
    "args, message",
    [
        (["--separator", "nobody"], "no separator 'nobody' in egs/mini/conf/separator; there are: conv_tasnet"),
        (["--share_with", "nobody"], "no share_with 'nobody' in egs; there are: "),
    ],
)
def test_new_options_are_checked(args, message):
    done = bash("run.sh", *args)
    assert done.returncode == 1 and message in done.stderr


@pytest.mark.parametrize(
    "args, message",
    [
        ([], "--librispeech DIR is needed (see --help)"),
        (["--librispeech"], "--librispeech needs a folder (see --help)"),
        (["--librispeech", NOWHERE], f"--librispeech: no folder '{NOWHERE}'"),
        (["--librispeech", ".", f"--noise={NOWHERE}"], f"--noise: no folder '{NOWHERE}'"),
    ],
)
def test_libri_small_without_its_folders(args, message):
    done = bash("egs/libri_small/run.sh", *args)
    assert done.returncode == 1 and done.stderr == f"egs/libri_small/run.sh: {message}\n"


def test_the_active_environment_is_used_as_it_is():
    if not Path(sys.prefix, "bin", "python").exists():
        pytest.skip(f"no bin/python in {sys.prefix}")
    done = bash("-c", ". ./path.sh && command -v python", VIRTUAL_ENV=sys.prefix)
    assert done.stdout == f"{sys.prefix}/bin/python\n" and done.stderr == ""


def test_a_folder_made_by_others_is_left_alone(tmp_path):
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "thesis.txt").touch()
    done = bash("run.sh", WESEP_MIX_VENV=str(tmp_path / "venv"))
    assert done.returncode == 1 and "was not made by this recipe" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["venv", "thesis.txt"]


def test_without_a_usable_python_the_environment_says_what_to_do(tmp_path):
    done = bash("run.sh", WESEP_MIX_VENV=str(tmp_path / "venv"))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"environment: {NOWHERE} does not run; Python 3.10 or newer")


def test_environment_checks_every_package_of_setup_py(monkeypatch):
    given = {}
    monkeypatch.setattr(setuptools, "setup", lambda **options: given.update(options))
    runpy.run_path(str(ROOT / "setup.py"))
    required = given["install_requires"] + given["extras_require"]["test"]
    lists = re.findall(r"modules\+?=\(([^)]*)\)", (ROOT / "tools/make_env.sh").read_text())
    checked = " ".join(lists).split()
    packages = packages_distributions()
    found = {name.lower().replace("_", "-") for module in checked for name in packages.get(module.split(".")[0], ())}
    assert {re.match(r"[\w-]+", line)[0] for line in required} <= found
