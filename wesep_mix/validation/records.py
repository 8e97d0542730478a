"""Whether a line read from JSON holds what its dataclass says, for lines that somebody has edited."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

_KINDS = {"int": int, "float": (int, float), "str": str}


def wrong_types(record: Any) -> list[str]:
    """A fault for every int, float or str field that holds something else, in dataclasses inside it too."""
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
    """Name and kind of each field, and whether it is a tuple of that kind."""
    return [(field.name, field.type.removeprefix("tuple[").removesuffix(", ...]"), field.type.startswith("tuple["))
            for field in dataclasses.fields(cls)]
