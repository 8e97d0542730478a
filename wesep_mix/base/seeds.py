"""Random numbers that depend on what is made, never on when or in which process."""

from __future__ import annotations

import zlib

import numpy as np


def rng_for(seed: int, *names: str | int) -> np.random.Generator:
    """Generator of its own for the thing of that name: same seed and names, same numbers."""
    return np.random.default_rng([seed, zlib.crc32("/".join(map(str, names)).encode())])
