"""Scale-invariant signal-to-distortion ratio.

Le Roux, Wisdom, Erdogan and Hershey, "SDR - half-baked or well done?", ICASSP 2019, section 3, equation 3:
the estimate is projected on the reference, what is left over is the distortion. As in the paper the mean is
not removed first. (A constant offset of the estimate therefore counts as distortion.)
"""

from __future__ import annotations

import numpy as np

from wesep_mix.metrics.checks import check_pair

RESOLUTION = np.finfo(np.float64).eps


def si_sdr(est: np.ndarray, source: np.ndarray) -> float:
    """SI-SDR of `est` [T] against `source` [T] in dB.

    Limited to +-156.5 dB, the resolution of float64, so that a mean over utterances stays finite when one
    estimate is perfect or orthogonal.
    Raises: UserError when the signals differ in length, are not finite, or one is silent.
    """
    est, source = check_pair(est, source)
    target = np.dot(est, source) / np.dot(source, source) * source
    target_energy = np.dot(target, target)
    distortion_energy = np.dot(est - target, est - target)
    floor = RESOLUTION * np.dot(est, est)
    return float(10.0 * np.log10(max(target_energy, floor) / max(distortion_energy, floor)))


def si_sdr_improvement(est: np.ndarray, source: np.ndarray, mix: np.ndarray) -> float:
    """SI-SDR of the estimate minus SI-SDR of the unprocessed mixture, in dB. Raises: as `si_sdr`."""
    return si_sdr(est, source) - si_sdr(mix, source)
