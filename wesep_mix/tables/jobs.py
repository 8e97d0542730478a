"""What the paper's tables share: calls of the recipe's entry points, and checks of rows and seeds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from wesep_mix.base.config import FILLED, CountOrZero
from wesep_mix.mixing.plan import PLANS

TEST = "test"


@dataclass(frozen=True)
class Job:
    """One call of the entry point of a stage. out: the folder that it makes; made: what is read of it afterwards."""

    stage: int
    entry: str
    out: Path
    made: Path
    options: tuple[str, ...]


def job(stage: int, entry: str, out: Path, made: str, options: Mapping[str, Any], settings: Iterable[str] = ()) -> Job:
    """made: a file of `out`, or "" for `out` itself; settings: `key=value`, as in `--set key=value`."""
    given = [f"--{key}={value}" for key, value in options.items()]
    return Job(stage, entry, out, out / made, (*given, *(f"--set={setting}" for setting in settings)))


def overrides(section: str, settings: Mapping[str, Any]) -> list[str]:
    """A row's settings of a section in the form of `--set`; JSON, which is YAML too."""
    return [f"{section}.{key}={json.dumps(value, default=str)}" for key, value in settings.items()]


Seeds = Annotated[tuple[CountOrZero, ...], FILLED]
Ahead = tuple[tuple[str, str], ...]  # pairs of rows, the first of which is ahead of the second


def check_rows(rows: Iterable[str], seeds: Sequence[int]) -> None:
    """Raises: ValueError when a seed is there twice, or a row cannot name a folder."""
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"wanted seeds, each once; found seeds {list(seeds)}")
    for name in map(str, rows):
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise ValueError(f"rows: {name}: a row's name, which names folders, takes letters, digits, _ and -")


def check_named(names: Iterable[str], rows: Mapping[str, Any]) -> None:
    """Raises: ValueError for the first name that is no row."""
    for name in names:
        if name not in rows:
            raise ValueError(f"no row {name} in rows; there are: {', '.join(rows)}")


def missing_sets(folders: Iterable[Path]) -> list[Path]:
    """Those of the prepared sets that are not there."""
    return [folder for folder in dict.fromkeys(folders) if not (folder / TEST / PLANS).is_file()]
