"""Which revision of the code made a result."""

from __future__ import annotations

import subprocess
from pathlib import Path


def revision() -> str:
    """Short git revision of this code, `-dirty` when tracked files differ from it, `unknown` outside git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"], cwd=Path(__file__).parent,
            capture_output=True, text=True, check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
