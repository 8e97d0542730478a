"""Which versions of Python and of the packages that compute made a result."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

NAMES = ("torch", "torchaudio", "lightning", "transformers", "numpy")


def versions() -> dict[str, str]:
    """{"python": "3.11.7", "torch": "2.14.1+cu130", ...}; nothing is imported for it."""
    return {"python": platform.python_version(), **{name: _version(name) for name in NAMES}}


def shown(made_by: Mapping[str, str]) -> str:
    """`python 3.11.7, torch 2.14.1, ...`"""
    return ", ".join(f"{name} {release}" for name, release in made_by.items())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    print(f"versions: {shown(versions())}")
