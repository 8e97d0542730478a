"""What every separator asks of its input."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from wesep_mix.errors import UserError


def check_mix(mix: Tensor, config: Any) -> None:
    """Raises: UserError when mix is not [B, T], or holds a sample that is not finite."""
    if mix.dim() != 2 or mix.shape[1] == 0:
        raise UserError(f"{config.name}: wanted a mixture of shape [batch, samples], found {list(mix.shape)}")
    if not mix.isfinite().all():
        raise UserError(f"{config.name}: wanted a mixture of finite samples, found NaN or infinity in it")
