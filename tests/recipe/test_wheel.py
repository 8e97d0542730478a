"""The package as it is installed: a wheel that is unpacked elsewhere has all that the commands need, a model too."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile
from places import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package as its wheel has it."""
    pytest.importorskip("setuptools")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "wesep_mix", source / "wesep_mix", ignore=shutil.ignore_patterns("__pycache__"))
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(out)], cwd=source, text=True, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return out / "site"


def run(installed, cwd, *argv):
    variables = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    variables.pop("WESEP_MIX_MODEL", None)
    command = [sys.executable, "-m", "wesep_mix", *map(str, argv)]
    return subprocess.run(command, cwd=cwd, env=variables, text=True, capture_output=True, timeout=120)


def test_the_command_finds_its_model_and_talkers(installed, tmp_path, buzz):
    (entries,) = installed.glob("*.dist-info/entry_points.txt")
    assert "wesep-mix = wesep_mix.__main__:main" in entries.read_text()
    done = run(installed, tmp_path, "models", "--json")
    assert done.returncode == 0, done.stderr
    models = json.loads(done.stdout)
    assert [model["name"] for model in models] == ["small"] and str(installed) in models[0]["folder"]
    soundfile.write(tmp_path / "talk.wav", np.tile(buzz(120, 2.5), 2), 16000)
    done = run(installed, tmp_path, "extract", "talk.wav", "--all", "--out", "speech")
    assert done.returncode == 0 and list((tmp_path / "speech").glob("talker-*.wav")), done.stderr


@pytest.mark.parametrize("name", ["page/page.css", "page/page.js", *(f"report/report.{end}" for end in ("css", "js"))])
def test_the_pages_have_their_styles_and_scripts(installed, name):
    assert (installed / "wesep_mix" / name).is_file()


def test_the_report_has_its_template(installed):
    assert (installed / "wesep_mix/report/report.html.jinja").is_file()
