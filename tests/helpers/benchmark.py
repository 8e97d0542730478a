"""The scripts of benchmarks/ as modules, and what they print."""

import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType

from places import ROOT

BENCHMARKS = ROOT / "benchmarks"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", BENCHMARKS / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # its dataclass asks for it there
    spec.loader.exec_module(module)
    return module


def beside_wesep(name: str, monkeypatch) -> Iterator[ModuleType]:
    """A script that imports others of its folder; what it puts in place of WeSep's packages is gone afterwards."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield script(name)
    for package in [package for package in sys.modules if package.split(".")[0] in ("wesep", "wespeaker")]:
        del sys.modules[package]


def cells(said: str) -> list[list[str]]:
    """The rows of all tables, without the lines under their headers."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines() if line[:1] == "|"]
    return [row for row in rows if not set("".join(row)) <= set("-:")]
