"""Installing the environment, with a Python that only notes what it is asked for."""

import subprocess

import pytest
from tiny import ROOT, bare_environment, stand_in_python

PYTHON = """#!/usr/bin/env bash
here=$(dirname "${BASH_SOURCE[0]}")/..
case "$*" in
    "-m pip --version") ;;
    "-m pip install"*) echo "$*" >>"$here/calls"; [[ "$*" != *"${FAILS:-nothing}"* ]] ;;
    -) cat >"$here/script"; [ "${BROKEN:-}" != true ] ;;
esac
"""


@pytest.fixture
def ours(tmp_path):
    """An environment of ours that was interrupted, with its Python."""
    stand_in_python(tmp_path / "venv", PYTHON)
    (tmp_path / "venv" / "wesep_mix.stamp").write_text("unfinished\n")
    return tmp_path / "venv"


def make_env(folder, *args, **changes):
    return subprocess.run(["bash", ROOT / "tools" / "make_env.sh", *args], text=True, capture_output=True, timeout=60,
                          env=bare_environment(WESEP_MIX_VENV=str(folder), **changes))


def calls(folder):
    return (folder / "calls").read_text().splitlines()


def test_resemblyzer_comes_without_what_it_says_it_needs(ours):
    done = make_env(ours)
    assert done.returncode == 0 and done.stdout == f"{ours}\n", done.stderr
    assert calls(ours) == ["-m pip install --use-pep517 -e .", "-m pip install --no-deps resemblyzer"]
    script = (ours / "script").read_text()
    assert "import speechbrain\n" in script and "import resemblyzer" not in script
    assert 'find_spec("resemblyzer")' in script


def test_a_complete_environment_installs_nothing(ours):
    assert make_env(ours, "test").returncode == 0
    before = calls(ours)
    assert before[0].endswith("-e .[test]")
    for args in (["test"], []):  # what has the test packages has the others too
        done = make_env(ours, *args)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{ours}\n", "")
    assert calls(ours) == before


@pytest.mark.parametrize("what", ["-e .", "resemblyzer"])
def test_a_failed_installation_is_no_complete_one(ours, what):
    done = make_env(ours, FAILS=what)
    assert done.returncode == 1 and "pip failed" in done.stderr
    assert make_env(ours).returncode == 0
    assert calls(ours)[-1] == "-m pip install --no-deps resemblyzer"


def test_packages_that_do_not_import_are_installed_once_more(ours):
    done = make_env(ours, BROKEN="true")
    assert done.returncode == 1 and "the installed packages do not import" in done.stderr
    assert calls(ours)[2:] == ["-m pip install --use-pep517 --force-reinstall -e .",
                               "-m pip install --no-deps --force-reinstall resemblyzer"]
