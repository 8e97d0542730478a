"""Keys of embeddings and extracted wavs: `<mix>-<speaker>`; in a student's unordered set `<mix>-<head>`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from wesep_mix.errors import UserError
from wesep_mix.mixing.plan import Plan


def speaker_keys(plan: Plan) -> list[str]:
    """One key a source, in the plan's order."""
    return plan.speaker_keys


def single_keys(plan: Plan) -> list[str]:
    """The key of the one talker of a plan of the single-speaker set."""
    return [plan.id]


def head_keys(plan: Plan, num_heads: int | None = None) -> list[str]:
    """One key a head; None: there are as many heads as sources."""
    return [f"{plan.id}-{head}" for head in range(len(plan.sources) if num_heads is None else num_heads)]


def lookup(embeddings: Mapping[str, np.ndarray], keys: Iterable[str], what: str) -> np.ndarray:
    """The embeddings of these keys, stacked: [number of keys, D].

    Raises: UserError naming the first key that is missing.
    """
    keys = list(keys)
    for key in keys:
        if key not in embeddings:
            raise UserError(f"{what}: {key} is not among the {len(embeddings)} embeddings; redo stage 4, with a "
                            "student that has a head for every talker")
    return np.stack([embeddings[key] for key in keys])
