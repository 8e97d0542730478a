"""Keys of embeddings beside mixing.plan.speaker_keys: in a student's unordered set `<mix>-<head>`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from wesep_mix.errors import UserError
from wesep_mix.mixing.plan import Plan

MATCHED, TEACHER = "matched.scp", "teacher.scp"


def single_keys(plan: Plan) -> list[str]:
    """The key of the one talker of a plan of the single-speaker set."""
    return [plan.id]


def head_keys(plan: Plan, num_heads: int | None = None) -> list[str]:
    """One key a head; None: there are as many heads as sources."""
    return [f"{plan.id}-{head}" for head in range(len(plan.sources) if num_heads is None else num_heads)]


def lookup(embeddings: Mapping[str, np.ndarray], keys: Iterable[str], scp: str) -> np.ndarray:
    """The embeddings of these keys, stacked: [number of keys, D].

    scp: the file of stage 4 that they were read from. Raises: UserError naming it and the first key that is missing.
    """
    keys = list(keys)
    for key in keys:
        if key not in embeddings:
            fewer = ", with a student that has a head for every talker" if Path(scp).name == MATCHED else ""
            raise UserError(f"{scp}: {key} is not among the {len(embeddings)} embeddings; redo stage 4{fewer}")
    return np.stack([embeddings[key] for key in keys])
