"""Scale-invariant signal-to-distortion ratio, and what every speech metric requires of its input.

Le Roux, Wisdom, Erdogan and Hershey, "SDR - half-baked or well done?", ICASSP 2019, section 3, equation 3:
the estimate is projected on the reference, what is left over is the distortion. As in the paper the mean is
not removed first. (A constant offset of the estimate therefore counts as distortion.)
"""

from __future__ import annotations

import numpy as np

from wesep_mix.base.errors import UserError

RESOLUTION = np.finfo(np.float64).eps


def check_pair(est: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check that an estimate and its reference can be scored.

    Args:
        est: the estimate, [T].
        source: the reference, [T].

    Returns:
        Both as float64.

    Raises:
        UserError: they are not one channel of the same length, hold NaN or infinity, or are silent (a metric of silence
            is undefined, and leaving it out unseen would flatter the system).
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


def si_sdr(est: np.ndarray, source: np.ndarray) -> float:
    """SI-SDR of an estimate.

    Args:
        est: the estimate, [T].
        source: the reference, [T].

    Returns:
        dB, limited to +-156.5 dB, the resolution of float64, so that a mean over utterances stays finite when one
        estimate is perfect or orthogonal.

    Raises:
        UserError: the signals differ in length, are not finite, or one is silent.
    """
    est, source = check_pair(est, source)
    target = np.dot(est, source) / np.dot(source, source) * source
    target_energy = np.dot(target, target)
    distortion_energy = np.dot(est - target, est - target)
    floor = RESOLUTION * np.dot(est, est)
    return float(10.0 * np.log10(max(target_energy, floor) / max(distortion_energy, floor)))
