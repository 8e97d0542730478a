"""An estimate brought to its reference's time and level, so that both can be mixed sample by sample."""

from __future__ import annotations

import numpy as np
from scipy.signal import correlate, correlation_lags

from wesep_mix.metrics.si_sdr import check_pair


def align(est: np.ndarray, source: np.ndarray, max_lag: int) -> tuple[np.ndarray, int, float]:
    """Shift an estimate by the lag at which it correlates most with its reference, and scale it to fit best.

    Samples that are shifted out are lost, silence takes their place. The gain is that of least squares; it is negative
    where the estimate is upside down, as SI-SDR allows.

    Args:
        est: the estimate, [T].
        source: the reference, [T].
        max_lag: samples that the estimate may be early or late.

    Returns:
        The aligned estimate, float32 [T]; by how many samples it was late; what it was multiplied by.

    Raises:
        UserError: the signals differ in length, are not finite, or one is silent.
    """
    est, source = check_pair(est, source)
    lags = correlation_lags(len(est), len(source))
    near = np.abs(lags) <= max_lag
    lag = int(lags[near][np.argmax(np.abs(correlate(est, source, method="fft")[near]))])
    shifted = np.zeros_like(est)
    shifted[max(-lag, 0) : len(est) - max(lag, 0)] = est[max(lag, 0) : len(est) + min(lag, 0)]
    gain = float(np.dot(shifted, source) / max(np.dot(shifted, shifted), np.finfo(float).tiny))
    return (gain * shifted).astype(np.float32), lag, gain
