"""Folders that look as a finished stage leaves them."""

from pathlib import Path

from wesep_mix.base.files import write_json
from wesep_mix.base.stage import STATE_FILE


def mark_done(*folders: Path) -> None:
    """Whatever they hold, the stages that made them have ended."""
    for folder in folders:
        write_json(folder / STATE_FILE, {"done": True, "fingerprint": folder.name})
