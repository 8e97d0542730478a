"""What every speech metric asks of its input."""

from __future__ import annotations

import numpy as np

from wesep_mix.errors import UserError


def check_pair(est: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return estimate and reference as float64 [T] each.

    Raises: UserError when they are not one channel of the same length, hold NaN or infinity, or are silent
        (a metric of silence is undefined, and leaving it out unseen would flatter the system).
    """
    est, source = np.asarray(est, dtype=np.float64), np.asarray(source, dtype=np.float64)
    if est.ndim != 1 or est.shape != source.shape:
        raise UserError(f"wanted two signals of one shape [T], found est {est.shape}, source {source.shape}")
    for name, signal in (("est", est), ("source", source)):
        if not np.isfinite(signal).all():
            raise UserError(f"{name} holds {int((~np.isfinite(signal)).sum())} samples that are not finite")
        if not signal.any():
            raise UserError(f"{name} is silent (all {signal.size} samples are zero)")
    return est, source
