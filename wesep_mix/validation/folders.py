"""The sets of a prepared folder: finding and reading them, and reporting those that are missing or unfinished."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json
from wesep_mix.base.names import SETS
from wesep_mix.base.stage import STATE_FILE, damage_of
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.mixing.plan import PLANS, Plan, read_plans
from wesep_mix.mixing.prepare import MIXING
from wesep_mix.preparation.lists import NOISES, UTTERANCES, NoiseEntry, SpeechEntry, read_noises, read_speech
from wesep_mix.validation.problems import Problem, wrong_types

READERS: dict[str, Callable[[Path], list]] = {
    UTTERANCES: read_speech,
    NOISES: read_noises,
    PLANS: lambda folder: read_plans(folder / PLANS),
}


@dataclass(frozen=True)
class CheckedSet:
    """One set's folder. What it lacks, or what could not be read, is empty and not in `read`."""

    path: Path
    speech: list[SpeechEntry] = field(default_factory=list)
    noises: list[NoiseEntry] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    read: frozenset[str] = frozenset()

    @property
    def group(self) -> str:
        """What the set belongs to: `lists`, `single`, `2mix`; `Libri2Mix/max` in an exported tree."""
        parents = self.path.resolve().parents
        return parents[0].name if parents[1].name != "wav16k" else f"{parents[2].name}/{parents[0].name}"

    @property
    def name(self) -> str:
        """train, dev or test (train-360 in an exported tree)."""
        return self.path.resolve().name

    @property
    def role(self) -> str:
        """train, dev or test: the name without LibriMix's ending; train-100 and train-360 may share speakers."""
        return self.name.partition("-")[0]

    @property
    def title(self) -> str:
        """Group and name, for messages."""
        return f"{self.group}/{self.name}"


def find_sets(folder: Path) -> list[Path]:
    """Find the folders at or below a folder that hold lists or plans; hidden ones are left out.

    Args:
        folder: where to look.

    Returns:
        The sets' folders, in the order of their groups and of SETS.

    Raises:
        UserError: there is none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder, wanted one that stage 1 or an export has made")
    found = []
    for place, inner, files in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if not READERS.keys().isdisjoint(files):
            found.append(Path(place))
            inner.clear()
    if not found:
        raise UserError(
            f"{folder}: wanted a prepared folder ({', '.join(READERS)} in it or below), found none; "
            "stage 1 makes data/CORPUS"
        )
    return sorted(found, key=lambda path: (path.parent, _order(path.name), path.name))


def read_set(path: Path) -> tuple[CheckedSet, list[Problem]]:
    """Read a set's folder; rows of wrong types are left out.

    A set that stage 1 has made (mixing.json lies above it) must hold everything.

    Args:
        path: the set's folder.

    Returns:
        The set, and what is wrong with its files.
    """
    content, problems = {}, []
    for name in _wanted(path):
        heading = "plans" if name == PLANS else "lists"
        try:
            rows = _read(path, name)
        except UserError as err:
            problems.append(Problem(heading, str(err)))
            continue
        faults = [wrong_types(row) for row in rows]
        content[name] = [row for row, wrong in zip(rows, faults, strict=True) if not wrong]
        problems += [
            Problem(heading, f"{path / name}, line {number}: {fault}; redo stage 1")
            for number, wrong in enumerate(faults, start=1)
            for fault in wrong
        ]
    rows = (content.get(name, []) for name in (UTTERANCES, NOISES, PLANS))
    return CheckedSet(path, *rows, frozenset(content)), problems


def check_folders(folder: Path, sets: Sequence[CheckedSet]) -> list[Problem]:
    """Find sets that are missing, empty plan files, and stages that have not finished or whose files were damaged.

    Args:
        folder: the folder that is checked.
        sets: those that were found in it.

    Returns:
        What is wrong.
    """
    groups = {
        each.path.parent: {other.name for other in sets if other.path.parent == each.path.parent}
        for each in sets
        if each.path != folder
    }
    problems = [
        Problem("folders", f"{each.path / PLANS}: wanted at least one mixture, found none; redo stage 1")
        for each in sets
        if PLANS in each.read and not each.plans
    ]
    for group, names in groups.items():
        problems += _missing_sets(group, names)
    return problems + _unfinished(sets)


def segment_size(each: CheckedSet, sets: Sequence[CheckedSet]) -> int | None:
    """Length of a set's crops, from its own mixing.json or, for bare lists, from one beside it.

    Args:
        each: the set.
        sets: all sets of the folder.

    Returns:
        Samples; None if it is not known.
    """
    for group in (each.path.parent, *(other.path.parent for other in sets)):
        seconds = _mixing(group).get("segment_s")
        if isinstance(seconds, (int, float)):
            return round(seconds * SAMPLE_RATE)
    return None


def _read(path: Path, name: str) -> list:
    try:
        return READERS[name](path)
    except (KeyError, TypeError, UnicodeDecodeError) as err:
        raise UserError(f"{path / name}: a line is not what stage 1 writes ({err}); redo stage 1") from err


def _is_stage_one(group: Path) -> bool:
    return (group / MIXING).is_file()


def _order(name: str) -> int:
    return SETS.index(name) if name in SETS else len(SETS)


def _wanted(path: Path) -> list[str]:
    there = [name for name in READERS if (path / name).exists()]
    if _is_stage_one(path.parent):
        return list(READERS)
    return there if there == [PLANS] else sorted({UTTERANCES, NOISES, *there})


def _missing_sets(group: Path, names: set[str]) -> list[Problem]:
    missing = [name for name in SETS if name not in names] if _is_stage_one(group) else []
    return [
        Problem("folders", f"{group / name}: wanted a set beside {', '.join(sorted(names))}, found none; redo stage 1")
        for name in missing
    ]


def _unfinished(sets: Sequence[CheckedSet]) -> list[Problem]:
    paths = [each.path.resolve() for each in sets]
    places = sorted({folder for path in paths for folder in (path, *path.parents[:2])})
    damages = filter(None, map(damage_of, places))
    return [
        *(
            Problem("folders", f"{folder}: its stage has not finished; run that stage, or the export, again")
            for folder in places
            if not _state(folder).get("done", True)
        ),
        *(Problem("folders", f"{damage}; run its stage, or the export, again") for damage in damages),
    ]


def _state(folder: Path) -> dict[str, Any]:
    return read_json(folder / STATE_FILE) if (folder / STATE_FILE).is_file() else {}


def _mixing(group: Path) -> dict[str, Any]:
    return read_json(group / MIXING) if _is_stage_one(group) else {}
