"""Packages that only one optional feature needs: parts of setup.py that are not in the environment by themselves."""

from __future__ import annotations

from importlib.util import find_spec

PACKAGES = {"dnsmos": ("speechmos", "onnxruntime"), "ecapa": ("speechbrain",), "tensorboard": ("tensorboard",)}


def is_there(part: str) -> bool:
    """Whether all packages of an optional part of setup.py are installed; they are looked up, not imported."""
    return all(find_spec(name) for name in PACKAGES[part])


def how_to_get(part: str) -> str:
    """What to do about a part that is not there, as the end of an error's line."""
    lacking = ", ".join(name for name in PACKAGES[part] if not find_spec(name)) or " and ".join(PACKAGES[part])
    return (f"not installed here: {lacking}; `WESEP_MIX_EXTRAS={part} bash run.sh ...` installs it, as does "
            f"`pip install '.[{part}]'` into an environment of your own")
