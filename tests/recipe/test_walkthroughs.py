"""The three walkthroughs of docs/contributing.md, done as they are written, each in a copy of this checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from places import ROOT
from stages import mark_done
from tiny import environment

from wesep_mix.base import plugins
from wesep_mix.io.audio import write_audio
from wesep_mix.models import checkpoint

DOCUMENT = ROOT / "docs" / "contributing.md"
NEEDED = ("wesep_mix", "tests", "tools", "egs", "conf", "run.sh", "path.sh", "setup.py", ".ruff.toml")
FILE = re.compile(r"`([\w./]+)`:\n\n```(?:python|yaml)\n(.*?)^```$", re.M | re.S)
COMMANDS = re.compile(r"^```bash\n(.*?)^```$", re.M | re.S)
PLUGINS = {  # section: its module, and what checks it at least
    "A new extractor": ("wesep_mix/models/extractors/gru_mask.py", 140),
    "A new corpus": ("wesep_mix/corpora/by_speaker.py", 4),
    "A new front-end": ("wesep_mix/models/frontends/mel_gru.py", 25),
}


def section(title: str) -> str:
    """The text of a section of the document, up to the next one of its level."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.M | re.S)[1]


def files(title: str) -> dict[str, str]:
    return dict(FILE.findall(section(title)))


def call(command: list[str], folder: Path) -> str:
    """What a command prints in that copy, whose package is the one that it imports; it has to succeed."""
    variables = environment(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    variables.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_script(script: str, folder: Path) -> str:
    return call(["bash", "-euo", "pipefail", "-c", script], folder)


@pytest.fixture
def follow(tmp_path):
    """Function: title, folders of the reader's own -> the copy, and what was printed.

    Files are written where the section says, and its commands run, in its order; `/path/to/NAME` in them is the folder
    that is given as NAME.
    """

    def make(title: str, **own: Path) -> tuple[Path, str]:
        copy = tmp_path / "checkout"
        for name in NEEDED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name)
            elif (ROOT / name).exists():
                shutil.copy2(ROOT / name, copy / name)
        text, printed = section(title), ""
        steps = sorted([*FILE.finditer(text), *COMMANDS.finditer(text)], key=lambda step: step.start())
        for step in steps:
            if step.re is FILE:
                (copy / step[1]).parent.mkdir(parents=True, exist_ok=True)
                (copy / step[1]).write_text(step[2])
                continue
            script = step[1]
            for name, path in own.items():
                script = script.replace(f"/path/to/{name}", str(path))
            printed += run_script(script, copy)
        return copy, printed

    return make


@pytest.fixture
def small_models(tmp_path):
    """A folder with a teacher and a student of two talkers, as stages 2 and 3 leave them, on which nobody trained."""
    settings = {"name": "logmel", "num_mels": 10, "channels": 8, "num_layers": 1, "num_heads": 2}
    frontend = plugins.load("frontends", "logmel").Config(**settings)
    for kind, name in (("teachers", "asp"), ("students", "parallel_heads")):
        config = plugins.load(kind, name).Config(frontend=frontend, projection=6, embedding_dim=4, bottleneck=3)
        folder = tmp_path / "models" / kind.removesuffix("s")
        checkpoint.save_model(folder / "model.pt", kind, plugins.build(kind, config))
        mark_done(folder)
    return tmp_path / "models"


def check(title: str, copy: Path, printed: str) -> None:
    """Its tests ran, and its code is in the style of this project."""
    passed, least = re.search(r"(\d+) passed", printed), PLUGINS[title][1]
    assert passed and int(passed[1]) >= least and not re.search(r"\d+ (failed|error|skipped)", printed), printed
    code = [name for name in files(title) if name.endswith(".py")]
    for command in (["check"], ["format", "--diff"]):
        call([sys.executable, "-m", "ruff", *command, *code], copy)


def one_step(copy: Path, data: Path, models: Path) -> Path:
    """Train the extractor of the walkthrough for a step, with the entry point of stage 5; returns its model file."""
    settings = ("trainer.max_steps=1", "trainer.steps_per_epoch=1", "trainer.num_workers=0", "batch_size=1")
    options = {
        "config": copy / "egs" / "mini" / "conf" / "extractor" / "gru_mask.yaml",
        "data": data / "2mix",
        "teacher": models / "teacher" / "model.pt",
        "student": models / "student" / "model.pt",
        "num_spk": 2,
        "condition": "matched",
        "out": copy / "exp",
    }
    given = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", "wesep_mix.bin.train_extractor", *given]
    call([*command, *(f"--set={setting}" for setting in settings)], copy)
    return copy / "exp" / "matched" / "model.pt"


def test_three_files_are_an_extractor(follow, prepared, small_models):
    copy, printed = follow("A new extractor")
    check("A new extractor", copy, printed)
    assert "--config egs/mini/conf/extractor/gru_mask.yaml" in printed
    assert checkpoint.load_notes(one_step(copy, prepared, small_models), "extractors")["num_steps"] == 1


def test_three_files_are_a_corpus(follow, buzz, tmp_path):
    for place in range(10):
        for turn in range(2):
            path = tmp_path / "speech" / f"speaker{place}" / f"{turn}.wav"
            write_audio(path, buzz(100 + 12 * place + turn, 5.5))
    copy, printed = follow("A new corpus", speech=tmp_path / "speech")
    check("A new corpus", copy, printed)
    plans = {name: copy / "data" / "by_speaker" / "2mix" / name / "plan.jsonl" for name in ("train", "dev", "test")}
    assert all(path.read_text().count("speaker") > 10 for path in plans.values())


def test_three_files_are_a_front_end(follow):
    copy, printed = follow("A new front-end")
    check("A new front-end", copy, printed)
    raw = yaml.safe_load((copy / "egs" / "mini" / "conf" / "teacher.yaml").read_text())
    assert raw["model"]["frontend"]["name"] == "mel_gru" and "exp/mini_mel_gru/teacher" in printed


@pytest.mark.parametrize("title", PLUGINS)
def test_a_walkthrough_is_a_module_its_settings_and_a_test(title):
    module, settings, test = files(title)
    assert module == PLUGINS[title][0] and not (ROOT / module).exists()
    assert settings.endswith(".yaml") and test.startswith("tests/unit/")


@pytest.mark.parametrize("title", ["Setting up", "Tests"])
def test_the_other_commands_of_the_page_run(title):
    (script,) = COMMANDS.findall(section(title))
    printed = run_script(script, ROOT)
    assert printed.count(" passed") == script.count("tests/run.sh")


def test_no_command_of_the_page_is_left_out():
    titles = ["Setting up", "Tests", *PLUGINS]
    assert sum(len(COMMANDS.findall(section(title))) for title in titles) == len(
        re.findall(r"^```(?:bash|sh|console)$", DOCUMENT.read_text(), re.M)
    )
