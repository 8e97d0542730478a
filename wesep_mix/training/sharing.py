"""Estimates that share their mixture, in training as in use (inference.sharing).

M examples, each a mixture and one of its talkers, all of a mixture's on the same chunk. K estimates, T samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wesep_mix.models.layers.network import at_mixture_level
from wesep_mix.models.layers.wiener import shares, spectra_of

LEAST_SPEECH = 0.25  # of a chunk: one who speaks less in it is no talker of it


def speaking(target: Tensor, num_samples: Tensor | None = None) -> Tensor:
    """Which targets speak in enough of their chunks.

    Args:
        target: float [M, T], zeros where a talker is not.
        num_samples: int64 [M]; None: T.

    Returns:
        bool [M]; all of them where none does.
    """
    lengths = target.shape[1] if num_samples is None else num_samples
    enough = (target != 0).sum(1) >= LEAST_SPEECH * lengths
    return enough | ~enough.any()


def shared(ests: Tensor, mix: Tensor, rows: Tensor, is_open: bool) -> Tensor:
    """What each estimate gets of its mixture beside those of its other talkers.

    Args:
        ests: float32 [M, K, T], of those who speak.
        mix: float32 [M, T], the same for all examples of a mixture.
        rows: number of each example's mixture, int64 [M].
        is_open: the loss leaves the level open; then each has that which its talker has in the mixture.

    Returns:
        float32 [M, K, T].
    """
    if is_open:
        ests = at_mixture_level(ests, mix[:, None])
    own, whole = spectra_of(ests), spectra_of(mix)  # [M, K, F, L], [M, F, L]
    num = int(rows.max()) + 1
    power, total = (
        one.new_zeros(num, *one.shape[1:]).index_add(0, rows, one)[rows] for one in (own.abs().square(), own)
    )
    found = [
        shares(own[:, place], power[:, place], total[:, place], whole, mix.shape[1]) for place in range(ests.shape[1])
    ]
    return torch.stack(found, 1)
