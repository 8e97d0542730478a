"""What is installed: the versions and the git revision behind a result, and which optional parts are there."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

NAMES = ("torch", "torchaudio", "lightning", "transformers", "numpy")


def versions() -> dict[str, str]:
    """Versions of what computes: {"python": "3.11.7", "torch": "2.14.1+cu130", ...}. Nothing is imported for it."""
    return {"python": platform.python_version(), **{name: _version(name) for name in NAMES}}


def shown(made_by: Mapping[str, str]) -> str:
    """The versions as text: `python 3.11.7, torch 2.14.1, ...`."""
    return ", ".join(f"{name} {release}" for name, release in made_by.items())


def machine() -> str:
    """What computes here, as text: `Linux x86_64, 2 CPU cores`."""
    num = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.system()} {platform.machine()}, {num} CPU core{'s' * (num != 1)}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def revision() -> str:
    """Short git revision of this code; `-dirty` at its end if tracked files were changed, `unknown` outside git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


@cache
def sources_hash() -> str:
    """Hash of this package's code as it is on disk, whatever git knows of it."""
    root, found = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return found.hexdigest()


PACKAGES = {
    "dnsmos": ("speechmos",),
    "ecapa": ("speechbrain",),
    "rooms": ("pyroomacoustics",),
    "tensorboard": ("tensorboard",),
    "page": ("gradio",),
}


def is_there(part: str) -> bool:
    """Whether all packages of an optional part (see setup.py) are installed; they are looked up, not imported."""
    return all(find_spec(name) for name in PACKAGES[part])


def how_to_get(part: str) -> str:
    """How to install a part that is missing, as the end of an error's line."""
    lacking = ", ".join(name for name in PACKAGES[part] if not find_spec(name)) or " and ".join(PACKAGES[part])
    return (
        f"not installed here: {lacking}; `WESEP_MIX_EXTRAS={part} bash run.sh ...` installs it, as does "
        f"`pip install '.[{part}]'` into an environment of your own"
    )


if __name__ == "__main__":
    print(f"versions: {shown(versions())}")
