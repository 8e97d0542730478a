"""Everything that is checked of a prepared folder, the cheapest first.

Each set by itself: its files, lists and plans. Then all sets together: speakers and noise files of train, dev and test
are disjoint. Then the audio: files, rendered plans, and the wavs of an export.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wesep_mix.mixing.plan import Plan
from wesep_mix.validation.exported import check_exported
from wesep_mix.validation.files import examine_files
from wesep_mix.validation.folders import CheckedSet, check_folders, find_sets, read_set
from wesep_mix.validation.lists import check_lists
from wesep_mix.validation.plans import check_plans, plan_faults
from wesep_mix.validation.problems import Problem
from wesep_mix.validation.rendering import check_rendering


def check_disjoint(sets: Sequence[CheckedSet]) -> list[Problem]:
    """Every speaker and noise file, wherever lists and plans name it, must belong to one role (train, dev or test)."""
    problems = []
    for what, named in (("speaker", _speakers), ("noise file", _noises)):
        owners: dict[str, dict[str, str]] = {}
        for each in sets:
            for name in named(each):
                owners.setdefault(name, {}).setdefault(each.role, each.title)
        problems += [
            Problem(
                "sets",
                f"{what} {name}: wanted in one of the sets, found in "
                f"{' and '.join(sorted(places.values()))}; redo stage 1 with disjoint sets",
            )
            for name, places in sorted(owners.items())
            if len(places) > 1
        ]
    return problems


def _speakers(each: CheckedSet) -> Iterator[str]:
    yield from (entry.spk for entry in each.speech)
    yield from (source.spk for plan in each.plans for source in plan.sources)


def _noises(each: CheckedSet) -> Iterator[str]:
    yield from (entry.path for entry in each.noises)
    yield from (plan.noise.path for plan in each.plans)


@dataclass(frozen=True)
class Checked:
    """The sets of a folder, the length in samples of each good audio file, and all problems."""

    sets: Sequence[CheckedSet]
    lengths: Mapping[str, int]
    problems: Sequence[Problem]


def check_folder(folder: Path, nj: int = 1, quick: bool = False) -> Checked:
    """Check the set at a folder, or all sets below it. The result does not depend on `nj`.

    Args:
        folder: the folder.
        nj: number of processes.
        quick: of audio files read only the headers, and render nothing.

    Returns:
        What was found.

    Raises:
        UserError: the folder holds no set.
    """
    sets, problems = [], []
    for path in find_sets(folder):
        each, unread = read_set(path)
        sets.append(each)
        problems += unread
    problems += check_folders(folder, sets)
    for each in sets:
        problems += check_lists(each) + check_plans(each)
    problems += check_disjoint(sets)
    lengths, wrong_files = examine_files(sets, nj, quick)
    problems += wrong_files
    for each in sets:
        plans = [plan for plan in each.plans if _can_render(plan, lengths)]
        problems += [] if quick else check_rendering(each, plans, nj)
        problems += check_exported(each, plans, nj, quick)
    return Checked(sets, lengths, problems)


def _can_render(plan: Plan, lengths: Mapping[str, int]) -> bool:
    """False for a plan whose rendering would fail for a reason that was reported already."""
    long_enough = all(source.start + source.num_read <= lengths.get(source.path, 0) for source in plan.sources)
    return long_enough and lengths.get(plan.noise.path) == plan.noise.num_samples and not plan_faults(plan)
