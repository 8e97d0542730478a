"""What is wrong with a prepared folder: a line for each problem, under the heading of what it concerns.

`wrong_types` finds rows that somebody has edited: lines of JSON that do not hold what their dataclass says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

REMOVE = (
    "SNR and SI-SDR count it as sound: leave the file out, or redo stage 1 with --force true, which takes the offset "
    "out (but not of mixtures of LibriMix's lists)"
)


HEADINGS = ("folders", "lists", "plans", "sets", "audio files", "rendering", "exported audio")


@dataclass(frozen=True)
class Problem:
    """One line: which file, utterance or mixture, what was wanted, what was found, what to do."""

    of: str  # one of HEADINGS
    text: str


def listing(problems: Sequence[Problem], show: int) -> str:
    """Problems as text, by heading.

    Args:
        problems: the problems.
        show: how many of each heading are printed, 0 for all; of the rest the number is given.

    Returns:
        Several lines.
    """
    blocks = [
        _block(heading, [problem.text for problem in problems if problem.of == heading], show) for heading in HEADINGS
    ]
    return "\n".join(filter(None, blocks))


def _block(heading: str, texts: Sequence[str], show: int) -> str:
    if not texts:
        return ""
    shown = texts[:show] if show else texts
    rest = len(texts) - len(shown)
    tail = [f"  ... and {rest} more of {heading} (--show 0 prints all)"] if rest else []
    return "\n".join(
        [f"{heading}: {len(texts)} problem{'s' * (len(texts) > 1)}", *(f"  {text}" for text in shown), *tail]
    )


_KINDS = {"int": int, "float": (int, float), "str": str}


def wrong_types(record: Any) -> list[str]:
    """A line for every int, float or str field that holds something else, also in dataclasses inside it."""
    faults = []
    for name, kind, many in _fields(type(record)):
        value = getattr(record, name)
        for item in value if many else (value,):
            if kind not in _KINDS:
                faults += wrong_types(item) if dataclasses.is_dataclass(item) else []
            elif not isinstance(item, _KINDS[kind]) or isinstance(item, bool):
                faults.append(f"wanted {kind} as {name}, found {item!r}")
    return faults


@cache
def _fields(cls: type) -> list[tuple[str, str, bool]]:
    """Name and type of each field, and whether it is a tuple of that type."""
    return [
        (field.name, field.type.removeprefix("tuple[").removesuffix(", ...]"), field.type.startswith("tuple["))
        for field in dataclasses.fields(cls)
    ]
