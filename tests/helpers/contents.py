"""What runs have made, compared to the last bit."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOT_LOADED = "current_score"  # of the last new best: a Lightning callback saves it, and has none again after going on
ASIDE = ("logs", "jobs")  # folders that say when something ran, and where


def contents(run: Path) -> dict[str, str]:
    """{file: hash} of all that a run has made, but for when it ran and where."""
    found = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run)
        if path.is_file() and path.suffix != ".lock" and not set(ASIDE) & set(name.parts):
            found[name.as_posix()] = _digest(path)
    return found


def differences(wanted: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    """What is missing, more, or other than it should be."""
    for name in sorted(wanted | found):
        if wanted.get(name) != found.get(name):
            yield f"{name} is {'missing' if name not in found else 'other' if name in wanted else 'more'}"


def _digest(path: Path) -> str:
    """Of a file's bytes; of a checkpoint's values, which a run that went on may lay out otherwise."""
    if path.suffix != ".ckpt":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    import torch

    found = hashlib.sha256()
    for name, value in _values(torch.load(path, weights_only=True, map_location="cpu")):
        found.update(f"{name} {value.numpy().tobytes() if torch.is_tensor(value) else value}\n".encode())
    return found.hexdigest()


def _values(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(place, value) of all that nested dictionaries and lists hold."""
    if not isinstance(value, (dict, list, tuple)):
        yield name, value
        return
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        if key != NOT_LOADED:
            yield from _values(part, f"{name}.{key}")
