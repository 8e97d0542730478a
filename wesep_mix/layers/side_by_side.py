"""A linear map of frames with something beside each that is the same for all of them, without writing it there."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional


def side_by_side(
    x: Tensor, beside: Tensor, weight: Tensor, bias: Tensor, dim: int = -1,
    product: Callable[..., Tensor] = functional.linear,
) -> Tensor:
    """W [x; beside] + b as W_x x + (W_b beside + b), of which the second part is computed once.

    x: C channels at `dim`; beside: E channels there, and 1 where x has frames; weight: [O, C + E], or what `product`
    takes beside a signal. Returns: x's shape with O channels.
    """
    for_x, for_beside = weight.split([x.shape[dim], beside.shape[dim]], dim=1)
    return product(x, for_x) + product(beside, for_beside, bias)
