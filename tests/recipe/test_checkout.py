"""The project as other machines check it out and call it: line ends, no symbolic links, another shell than bash."""

import shutil
import subprocess
from pathlib import Path

import pytest
from places import ROOT
from tiny import environment, stand_in_python

ENTRIES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "run.sh", ROOT / "tools/download_corpora.sh", *ROOT.glob("egs/*/run.sh")]
)
BASH_ONLY = '[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"'
SHELLS = {"dash": ["dash"], "bash as sh": ["bash", "--posix"]}


def git(*args, cwd=ROOT):
    return subprocess.run(["git", *map(str, args)], cwd=cwd, text=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def tracked():
    listed = git("ls-files", "-s")
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [line.split(maxsplit=3) for line in listed.stdout.splitlines()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory, tracked):
    """As on Windows, for a shell of Linux: left to itself, git gives text \\r\\n and makes files of links."""
    folder = tmp_path_factory.mktemp("clone") / "there"
    done = subprocess.run(
        ["git", "-c", "core.autocrlf=true", "-c", "core.symlinks=false", "clone", "-q", ROOT, folder],
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_a_checkout_has_the_line_ends_that_bash_reads(clone, tracked):
    files = [path for path in clone.rglob("*") if path.is_file() and ".git" not in path.parts]
    text = [path for path in files if path.suffix not in (".png", ".safetensors")]
    assert len(text) > 300 and [path for path in text if b"\r" in path.read_bytes()] == []
    assert any(b"\r\n" in path.read_bytes() for path in clone.rglob("*.png"))  # \x89PNG\r\n: not touched


@pytest.mark.parametrize("entry", ENTRIES)
def test_such_a_checkout_runs(clone, entry):
    done = subprocess.run(["bash", entry, "--help"], cwd=clone, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("Usage: "), done.stderr
    if entry.startswith("egs/") and (clone / entry).with_name("conf").joinpath("corpus.yaml").is_file():
        corpus = Path(entry).parent.name
        done = subprocess.run(
            ["bash", "run.sh", "--corpus", corpus, "--dry_run", "true"],
            cwd=clone,
            text=True,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0 and "wesep_mix.bin.report" in done.stdout, done.stderr


def test_there_are_no_symbolic_links(tracked):
    assert [path for mode, _, _, path in tracked if mode == "120000"] == []


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_point_may_be_called_with_another_shell(tmp_path, shell, entry):
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run(
        [*SHELLS[shell], ROOT / entry, "--help"], cwd=tmp_path, text=True, capture_output=True, timeout=60
    )
    assert done.returncode == 0 and done.stdout.startswith("Usage: ") and done.stderr == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_run_by_another_shell_is_the_same(tmp_path, shell):
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"no {shell} here")
    python = stand_in_python(tmp_path / "env", '#!/bin/sh\n[ "$1" = -c ] || echo "$@"\n')
    options = ["--set", "a.b=two words", "--separator", "conv_tasnet", "--nj", "1"]
    runs = [
        subprocess.run(
            [*by, ROOT / "run.sh", *options],
            env=environment(VIRTUAL_ENV=str(python)),
            text=True,
            capture_output=True,
            timeout=60,
        )
        for by in (["bash"], SHELLS[shell])
    ]
    assert runs[1].returncode == 0 and "wesep_mix.bin.report" in runs[1].stdout
    assert (runs[0].stdout, runs[0].stderr) == (runs[1].stdout, runs[1].stderr)


def test_whatever_is_executed_asks_for_bash_before_anything_else(tracked):
    """Sourced ones, which have no first line `#!`, do not."""
    for *_, path in tracked:
        lines = (ROOT / path).read_text().splitlines() if path.endswith(".sh") and (ROOT / path).is_file() else []
        if lines and lines[0].startswith("#!"):
            first = next(line for line in lines if not line.startswith("#"))
            assert first.startswith(BASH_ONLY), path
