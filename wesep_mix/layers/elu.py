"""ELU without a gradient, for steps that bring their own."""

from __future__ import annotations

import torch
from torch import Tensor


def elu(x: Tensor, out: Tensor | None = None) -> Tensor:
    """x, where it is negative e^x - 1: float, any shape -> the same, into `out` where that is given.

    On a CPU from the exponential, in place: PyTorch's takes half as long again there. e^x is rounded where it is near
    1, so a small negative value is off by half the distance of numbers there, 6e-8 in float32.
    """
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        return torch.ops.aten.elu(x) if out is None else torch.ops.aten.elu.out(x, out=out)
    below = torch.clamp(x, max=0, out=out).exp_().sub_(1)
    return torch.maximum(x, below, out=below)
