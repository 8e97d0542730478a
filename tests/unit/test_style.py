"""Every file keeps to .ruff.toml: `ruff check --fix .` and `ruff format .` mend most of what this finds."""

import subprocess
import sys

import pytest
from places import ROOT


@pytest.mark.parametrize("command", [["check"], ["format", "--diff"]], ids=["lint", "format"])
def test_ruff_has_nothing_to_say(command):
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
