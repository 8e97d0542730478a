"""Programs that hold still at a moment of their work, so that a test can disturb them there."""

import os
import time
from pathlib import Path

from places import ROOT

HOLD = """
import os, pathlib, time

rename, held = os.replace, []

def replace(source, target, **options):
    rename(source, target, **options)
    if os.path.basename(target) == os.environ.get("HELD_AT") and not held:
        mark = pathlib.Path(os.environ["HELD"])
        held.append(mark.touch())
        while mark.exists():
            time.sleep(0.02)

os.replace = replace
"""


def holding(folder: Path, name: str | None) -> dict[str, str]:
    """Variables for a Python program that holds still once a file of that name has got its name, until `HELD` is gone.

    Args:
        folder: for what this needs.
        name: of the file, without its folder; None for a program that never holds.
    """
    place = folder / "hold"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(HOLD)  # Python imports it when it starts
    paths = os.pathsep.join([str(place), str(ROOT), os.environ.get("PYTHONPATH", "")])
    held = {"HELD": str(folder / "held"), "HELD_AT": name} if name else {}
    return {"PYTHONPATH": paths, **held}


def wait_until_held(process, held: Path) -> None:
    """Wait for a started program to hold still; it must not have ended."""
    while not held.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
