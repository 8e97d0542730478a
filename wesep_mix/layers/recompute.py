"""Steps of which the way back keeps the input alone: what lies between is computed again there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(step: Callable[[Tensor], Any], x: Tensor) -> Any:
    """`step(x)`, computed a second time for the gradient, so it must draw nothing and change nothing.

    The second time ends before the last operation if that is one of PyTorch's own: its output is not needed.
    """
    if not torch.is_grad_enabled():
        return step(x)
    return checkpoint(step, x, use_reentrant=False, preserve_rng_state=False)
