"""Where mixed precision must not round: a spectrum's powers and their logarithm span more than 8 bits tell apart."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(signal: Tensor) -> torch.autocast:
    """A context without autocast on the signal's device; what is computed in it has its operands' own types."""
    return torch.autocast(signal.device.type, enabled=False)
