"""What every network asks of the mixtures, and of what else comes a row an item."""

from __future__ import annotations

import torch
from torch import Tensor

from wesep_mix.errors import UserError


def check_mix(mix: Tensor, name: str) -> None:
    """Raises: UserError, opening with the network's `name`, when mix is not [B, T] or holds NaN or infinity."""
    if mix.dim() != 2 or mix.shape[1] == 0:
        raise UserError(f"{name}: wanted a mixture of shape [batch, samples], found {list(mix.shape)}")
    check_type(mix, "mixture", name)
    check_finite(mix, "mixture", name)


def check_type(rows: Tensor, what: str, name: str) -> None:
    """Raises: UserError for doubles and whole numbers."""
    if rows.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise UserError(f"{name}: wanted a {what} of float32, found {rows.dtype}")


def check_finite(rows: Tensor, what: str, name: str) -> None:
    """Raises: UserError naming the first row of float [B, N] that is not finite."""
    finite = rows.isfinite().all(1)  # [B]
    if not finite.all():
        raise UserError(f"{name}: wanted finite values, found NaN or infinity in {what} {int(finite.int().argmin())} "
                        f"of the batch (counted from 0)")
