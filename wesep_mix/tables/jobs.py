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
    """One call of the entry point of a stage.

    Attributes:
        stage: its number.
        entry: name of the entry point, such as train_teacher.
        out: the folder that it writes.
        product: what later stages read of it, a file in `out` or `out` itself.
        options: of the call.
    """

    stage: int
    entry: str
    out: Path
    product: Path
    options: tuple[str, ...]


def job(
    stage: int, entry: str, out: Path, product: str, options: Mapping[str, Any], settings: Iterable[str] = ()
) -> Job:
    """A call of an entry point.

    Args:
        stage: number of the stage.
        entry: name of the entry point.
        out: the folder that it writes.
        product: name of a file in `out`, or "" for `out` itself.
        options: {name: value}.
        settings: `key=value`, as in `--set key=value`.

    Returns:
        The call.
    """
    words = [f"--{key}={value}" for key, value in options.items()] + [f"--set={setting}" for setting in settings]
    return Job(stage, entry, out, out / product, tuple(words))


def overrides(section: str, settings: Mapping[str, Any]) -> list[str]:
    """A row's settings in the form of `--set`.

    Args:
        section: of the settings, such as teacher.
        settings: {key: value}.

    Returns:
        `section.key=value` each, the value as JSON, which is YAML too.
    """
    return [f"{section}.{key}={json.dumps(value, default=str)}" for key, value in settings.items()]


Seeds = Annotated[tuple[CountOrZero, ...], FILLED]
Ahead = tuple[tuple[str, str], ...]  # pairs of rows, the first of which is ahead of the second


def check_rows(rows: Iterable[str], seeds: Sequence[int]) -> None:
    """Check the names of rows, and the seeds.

    Args:
        rows: names.
        seeds: of the table.

    Raises:
        ValueError: a seed is there twice, or a name cannot name a folder.
    """
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"wanted seeds, each once; found seeds {list(seeds)}")
    for name in map(str, rows):
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise ValueError(f"rows: {name}: a row's name, which names folders, takes letters, digits, _ and -")


def check_named(names: Iterable[str], rows: Mapping[str, Any]) -> None:
    """Check that names are names of rows.

    Args:
        names: to be checked.
        rows: of the table.

    Raises:
        ValueError: names the first that is no row.
    """
    for name in names:
        if name not in rows:
            raise ValueError(f"no row {name} in rows; there are: {', '.join(rows)}")


def missing_sets(folders: Iterable[Path]) -> list[Path]:
    """The prepared sets among these that are not there."""
    return [folder for folder in dict.fromkeys(folders) if not (folder / TEST / PLANS).is_file()]
