"""Imports go one way (see docs/architecture.md), and what must start fast imports no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

PACKAGE = ROOT / "wesep_mix"
MODELS = {f"models.{kind}" for kind in ("frontends", "teachers", "students", "extractors", "separators")}
ROOMS = {  # what each room may import, itself and `base` aside, from the floor up
    "base": set(),
    "io": set(),
    "metrics": set(),
    "corpora.synthesis": {"io"},
    "corpora.sources": {"corpora.synthesis", "io"},
    "corpora": {"corpora.sources", "corpora.synthesis", "io"},
    "preparation": {"io"},
    "mixing": {"io", "metrics", "preparation"},
    "data": {"io", "mixing", "preparation"},
    "matching": set(),
    "memory": set(),
    "losses": {"matching"},
    "models": {"io", "matching"},
    "models.layers": set(),
    "models.frontends": {"io", "models", "models.layers"},
    "models.teachers": {"io", "models.layers"},
    "models.students": {"matching", "models.layers"},
    "models.extractors": {"models.layers"},
    "models.separators": {"models.layers"},
    "wesep": {"io", "models.extractors", "models.layers"},
    "training": {"data", "io", "losses", "matching", "metrics", "mixing", "models", "models.layers", "preparation"},
    "exports": {"io", "mixing", "preparation"},
    "validation": {"evaluation", "exports", "inference", "io", "mixing", "preparation", "tables", "training"},
    "inference": {
        "data",
        "exports",
        "io",
        "losses",
        "matching",
        "memory",
        "mixing",
        "models",
        "models.layers",
        "preparation",
    },
    "evaluation": {"inference", "io", "memory", "metrics", "mixing", "models", "preparation"},
    "report": {"evaluation", "inference", "io", "metrics", "mixing", "page", "preparation"},
    "tables": {"evaluation", "inference", "metrics", "mixing", "preparation", "report"},
    "page": {"inference", "io", "models"},
    "bin": {
        "evaluation",
        "exports",
        "inference",
        "mixing",
        "models",
        "page",
        "preparation",
        "report",
        "tables",
        "training",
        "validation",
        "wesep",
    },
}
FRONT_DOOR = {"wesep_mix.__main__", "wesep_mix.api"}  # in no room
WITHOUT_TORCH = (
    "base",
    "io.audio",
    "io.roots",
    "io.embeddings",
    "metrics",
    "corpora",
    "preparation",
    "mixing",
    "memory",
    "validation",
    "exports",
    "bin",
    "training.settings",
    "inference.settings",
    "inference.controls",
    "evaluation.scoring",
    "evaluation.trials",
    "evaluation.listed",
    "report",
    "tables.jobs",
    "tables.table1",
    "tables.table2",
    "tables.table1_document",
    "tables.table2_document",
    "tables.document",
    "tables.run",
    "tables.statements",
    "__main__",
)


def modules() -> dict[str, Path]:
    """`wesep_mix.room.module` -> its file."""
    files = sorted(path for path in PACKAGE.rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imported(path: Path) -> set[str]:
    """Full names of what a file imports of the package, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: wanted absolute imports"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("wesep_mix.")}


def room_of(name: str) -> str:
    """`wesep_mix.models.layers.stft` -> `models.layers`, `wesep_mix.models.contracts` -> `models`."""
    parts = name.split(".")[1:]
    return max((room for room in ROOMS if parts[: room.count(".") + 1] == room.split(".")), key=len, default=parts[0])


def test_every_room_has_its_rule():
    assert {room_of(name) for name in modules() if name not in {"wesep_mix", *FRONT_DOOR}} == set(ROOMS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_imports_go_one_way(room):
    allowed = {"base", room} | ROOMS[room]
    files = {name: path for name, path in modules().items() if name != "wesep_mix" and room_of(name) == room}
    wrong = {
        f"{name} imports {other}"
        for name, path in files.items()
        for other in imported(path)
        if room_of(other) not in allowed
    }
    assert files
    may = ", ".join(sorted(allowed))
    assert not wrong, f"{wrong}: {room} may import {may}; move the code, or change ROOMS here and docs/architecture.md"


def test_the_rules_have_no_circle():
    """So no room reaches itself through the others."""

    def reached(room, path=()):
        assert room not in path, " -> ".join((*path, room))
        for other in ROOMS[room]:
            reached(other, (*path, room))

    for room in ROOMS:
        reached(room)


def test_models_know_neither_data_nor_training():
    models, above = {*MODELS, "models", "models.layers", "matching", "losses"}, {"training", "inference", "evaluation"}
    data = {"data", "mixing", "preparation", "corpora", "corpora.sources", "corpora.synthesis"}
    for room in models:
        assert not ROOMS[room] & (data | above)
    for room in data:
        assert not ROOMS[room] & (models | above)


def test_what_must_start_fast_imports_no_torch():
    """A finished stage answers at once, and worker processes are small."""
    names = [
        name
        for name in modules()
        for room in WITHOUT_TORCH
        if name == f"wesep_mix.{room}" or name.startswith(f"wesep_mix.{room}.")
    ]
    assert len(names) > 40
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'torch', 'lightning', 'torchaudio'} & set(sys.modules)\n"
        "    assert not heavy, f'{name} imports {heavy}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.splitlines()[-1]


def test_importing_the_models_does_not_import_lightning_or_data_code():
    names = [
        name for name in modules() if name != "wesep_mix" and room_of(name) in {*MODELS, "models.layers", "losses"}
    ]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "unwanted = ('lightning', 'soundfile', 'kaldiio', 'webrtcvad')\n"
        "print(*sorted(name for name in sys.modules if name.split('.')[0] in unwanted))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_gradio_is_imported_for_the_page_alone():
    assert [name for name, path in modules().items() if "import gradio" in path.read_text()] == ["wesep_mix.page.app"]
