"""Random numbers that depend on what they are for, never on when or in which process they are drawn."""

from __future__ import annotations

import zlib

import numpy as np


def rng_for(seed: int, *names: str | int) -> np.random.Generator:
    """Make the random generator of one named thing: the same seed and names always give the same numbers.

    Args:
        seed: the user's seed.
        names: what the numbers are for, such as "mixture", "train", ID.

    Returns:
        A new generator.
    """
    return np.random.default_rng([seed, zlib.crc32("/".join(map(str, names)).encode())])
