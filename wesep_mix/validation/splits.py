"""Nothing of one set in another: speakers and noise files of train, dev and test are disjoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wesep_mix.validation.folders import PreparedSet
from wesep_mix.validation.problems import Problem


def check_disjoint(sets: Sequence[PreparedSet]) -> list[Problem]:
    """Every speaker and noise file of lists and plans, wherever it is named, must belong to one role."""
    problems = []
    for what, named in (("speaker", _speakers), ("noise file", _noises)):
        owners: dict[str, dict[str, str]] = {}
        for each in sets:
            for name in named(each):
                owners.setdefault(name, {}).setdefault(each.role, each.title)
        problems += [Problem("sets", f"{what} {name}: wanted in one of the sets, found in "
                                     f"{' and '.join(sorted(places.values()))}; redo stage 1 with disjoint sets")
                     for name, places in sorted(owners.items()) if len(places) > 1]
    return problems


def _speakers(each: PreparedSet) -> Iterator[str]:
    yield from (entry.spk for entry in each.speech)
    yield from (source.spk for plan in each.plans for source in plan.sources)


def _noises(each: PreparedSet) -> Iterator[str]:
    yield from (entry.path for entry in each.noises)
    yield from (plan.noise.path for plan in each.plans)
