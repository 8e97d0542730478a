"""What a memory is asked, and what it answers: the contract of this room's plugins.

A plugin has a `Config` and a `Model(config)` with `observe(embeddings, presence, time_s) -> Observed`. A label is the
number of a slot, which stands for one talker for the whole recording, or NOBODY. What else a `Model` has is in
`memory.slots.Slots`, from which all of ours are derived.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from wesep_mix.base.errors import UserError

NOBODY = -1  # a head that speaks for nobody who is known, and is not sure enough for somebody new
Kind = Literal["new", "confirmed", "back", "merged", "gone"]


@dataclass(frozen=True)
class Event:
    """What a user may want to be told.

    Attributes:
        kind: a talker is `new`, `confirmed`, or `back` after a while; two slots are `merged`; one is `gone` again.
        slot: of the talker; of merged ones, the one that stays.
        time_s: when.
        other: of merged ones, the slot that goes; of one who is back, -1.
        away_s: how long one who is back was not heard.
    """

    kind: Kind
    slot: int
    time_s: float
    other: int = NOBODY
    away_s: float = 0.0


@dataclass(frozen=True)
class Observed:
    """Who the heads of a window are.

    Attributes:
        labels: a slot or NOBODY for each of the N heads; no slot twice.
        margins: by how much each head's slot is ahead of its next best, float [N]; inf where there is no other, 0
            for NOBODY.
        events: what happened in this window.
    """

    labels: tuple[int, ...]
    margins: np.ndarray
    events: tuple[Event, ...] = field(default=())


def checked(embeddings: np.ndarray, presence: np.ndarray, dim: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Check what a window gives.

    Args:
        embeddings: [N, D], of any length above 0; N may be 0.
        presence: [N], probability that a head speaks for a talker.
        dim: D of the windows before; None for the first.

    Returns:
        Unit vectors, float64 [N, D], and the presence, float64 [N].

    Raises:
        UserError: other shapes, values that are not finite, an embedding of length 0, a presence outside of 0 to 1.
    """
    found, sure = np.asarray(embeddings, dtype=np.float64), np.asarray(presence, dtype=np.float64)
    if found.ndim != 2 or sure.shape != found.shape[:1] or (dim is not None and found.shape[1] != dim):
        wanted = f"[N, {'D' if dim is None else dim}] and [N]"
        raise UserError(f"memory: wanted embeddings and presence {wanted}, found {found.shape} and {sure.shape}")
    if not ((sure >= 0) & (sure <= 1)).all():
        raise UserError(f"memory: wanted a presence from 0 to 1, found {sure.tolist()}")
    return directions(found), sure


def directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors of any length above 0 as unit vectors.

    Args:
        vectors: [M, D].

    Returns:
        float64 [M, D].

    Raises:
        UserError: another shape, values that are not finite, a vector of length 0.
    """
    found = np.asarray(vectors, dtype=np.float64)
    if found.ndim != 2:
        raise UserError(f"memory: wanted embeddings [M, D], found {found.shape}")
    if not np.isfinite(found).all():
        raise UserError("memory: wanted finite embeddings, found others")
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    if not lengths.all():
        raise UserError("memory: found an embedding of length 0, which points nowhere")
    return found / lengths
