"""Imports go one way (see the README's picture of the rooms), and what must start fast imports no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "wesep_mix"
MODELS = {"frontends", "teachers", "students", "extractors", "separators"}
BASE = {"config", "plugins", "errors"}  # what everything may import
ROOMS = {  # what else each room may import, itself aside
    "errors": set(),
    "config": set(),
    "contracts": {"students"},
    "plugins": set(),
    "git": set(),
    "optional": set(),
    "torch_pair": set(),
    "versions": set(),
    "__main__": set(),
    "environment": set(),
    "stops": set(),
    "seeds": set(),
    "weights": {"io"},
    "checkpoint": {"weights"},
    "parallel": set(),
    "stage": {"environment", "io", "stops"},
    "together": {"stops"},
    "tables": {"mixing", "stage"},
    "io": set(),
    "metrics": set(),
    "synthesis": {"io", "seeds"},
    "corpora": {"io", "parallel", "seeds", "synthesis"},
    "mixing": {"io", "parallel", "seeds"},
    "validation": {"exports", "io", "mixing", "parallel", "stage"},
    "data": {"io", "mixing", "parallel", "seeds"},
    "layers": set(),
    "losses": set(),
    "frontends": {"layers", "weights"},
    "teachers": {"layers", "optional", "weights"},
    "students": {"layers"},
    "extractors": {"layers"},
    "wesep": {"extractors", "io", "weights"},
    "separators": {"layers"},
    "training": {"checkpoint", "contracts", "data", "environment", "git", "io", "losses", "metrics", "mixing", "optional",
                 "seeds", "together", "versions", "weights", *MODELS},
    "analysis": {"checkpoint", "data", "io", "layers", "losses", "metrics", "mixing", "optional", "parallel",
                 "seeds", *MODELS},
    "exports": {"analysis", "io", "mixing", "parallel", "seeds"},
    "report": {"analysis", "io", "metrics", "mixing", "stage", "tables", "versions"},
    "bin": {"analysis", "checkpoint", "exports", "git", "io", "mixing", "report", "stage", "stops", "tables",
            "together", "training", "validation", "versions", "wesep"},
}
WITHOUT_TORCH = (
    "errors", "config", "plugins", "git", "environment", "stops", "optional", "versions", "torch_pair", "__main__",
    "seeds", "parallel", "stage", "together", "tables", "io", "metrics",
    "synthesis", "corpora", "mixing", "validation", "exports", "bin", "training.settings", "analysis.settings",
    "analysis.scoring", "report",
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
    return name.split(".")[1]


def test_every_room_has_its_rule():
    assert {room_of(name) for name in modules() if name != "wesep_mix"} == set(ROOMS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_imports_go_one_way(room):
    allowed = BASE | {room} | ROOMS[room]
    files = {name: path for name, path in modules().items() if name != "wesep_mix" and room_of(name) == room}
    wrong = {f"{name} imports {other}" for name, path in files.items() for other in imported(path)
             if room_of(other) not in allowed}
    assert files and wrong == set()


def test_the_rules_have_no_circle():
    """So no room reaches itself through the others."""
    def reached(room, path=()):
        assert room not in path, " -> ".join((*path, room))
        for other in ROOMS[room]:
            reached(other, (*path, room))

    for room in ROOMS:
        reached(room)


def test_models_know_neither_data_nor_training():
    above = {"data", "mixing", "io", "corpora", "synthesis", "training", "analysis", "report", "bin", "stage"}
    for room in {*MODELS, "layers", "losses"}:
        assert not ROOMS[room] & (above | {"checkpoint"})
    for room in ("data", "mixing", "io", "corpora"):
        assert not ROOMS[room] & {*MODELS, "layers", "losses", "training", "analysis", "report", "bin"}


def test_what_must_start_fast_imports_no_torch():
    """A finished stage answers at once, and worker processes are small."""
    names = [name for name in modules() for room in WITHOUT_TORCH
             if name == f"wesep_mix.{room}" or name.startswith(f"wesep_mix.{room}.")]
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
    names = [name for name in modules() if name != "wesep_mix" and room_of(name) in {*MODELS, "layers", "losses"}]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "unwanted = ('lightning', 'soundfile', 'kaldiio', 'webrtcvad')\n"
        "print(*sorted(name for name in sys.modules if name.split('.')[0] in unwanted))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
