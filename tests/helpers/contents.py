"""What runs have made, compared byte for byte."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

ASIDE = ("logs", "jobs")  # folders that say when something ran, and where


def contents(run: Path) -> dict[str, str]:
    """{file: hash} of all that a run has made, but for when it ran and where."""
    found = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run)
        if path.is_file() and path.suffix != ".lock" and not set(ASIDE) & set(name.parts):
            found[name.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def differences(wanted: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    """What is missing, more, or other than it should be."""
    for name in sorted(wanted | found):
        if wanted.get(name) != found.get(name):
            yield f"{name} is {'missing' if name not in found else 'other' if name in wanted else 'more'}"
