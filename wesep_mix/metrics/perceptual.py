"""PESQ by the package `pesq`, STOI and ESTOI by the parts of `pystoi`; where they have no value, it is said why."""

from __future__ import annotations

import numpy as np
import pesq
from pystoi import utils
from pystoi.stoi import BETA, DYN_RANGE, FS, N_FRAME, NFFT, NUMBAND, OBM, N
from scipy import fft

from wesep_mix.base.errors import NoValue, UserError
from wesep_mix.metrics.si_sdr import check_pair

PESQ_SAMPLE_RATE = 16000


def pesq_wideband(est: np.ndarray, source: np.ndarray, sample_rate: int = PESQ_SAMPLE_RATE) -> float:
    """Wideband PESQ (ITU-T P.862.2).

    Args:
        est: the estimate, [T].
        source: the reference, [T].
        sample_rate: Hz.

    Returns:
        MOS-LQO, about 1.0 to 4.64.

    Raises:
        UserError: the rate is not 16 kHz, or the signals cannot be scored (si_sdr.check_pair).
        NoValue: PESQ finds no utterance, or too short a one.
    """
    if sample_rate != PESQ_SAMPLE_RATE:
        raise UserError(f"PESQ: wideband wants {PESQ_SAMPLE_RATE} Hz, found {sample_rate} Hz")
    est, source = _check_pair("PESQ", est, source)
    try:
        return float(pesq.pesq(sample_rate, source, est, "wb"))
    except (pesq.PesqError, ValueError) as err:
        raise NoValue(f"PESQ: {_reason(err)} ({_levels(est, source, sample_rate)})") from err


def stoi(est: np.ndarray, source: np.ndarray, sample_rate: int = 16000) -> tuple[float, float]:
    """Short-time objective intelligibility (Taal et al., TASLP 2011), and its extended form.

    The extended form, ESTOI (Jensen and Taal, TASLP 2016), hears interferers that come and go, as talkers do. Up to the
    third-octave bands both are the same; pystoi, whose parts these are, computes that twice, and ESTOI's norms by
    products with diagonal matrices.

    Args:
        est: the estimate, [T].
        source: the reference, [T].
        sample_rate: Hz.

    Returns:
        STOI, 0 to 1, and ESTOI, which may be below 0.

    Raises:
        UserError: the signals cannot be scored (si_sdr.check_pair).
        NoValue: too few frames of the reference are within 40 dB of its loudest one.
    """
    est, source = _check_pair("STOI", est, source)
    heard = _heard(source, est, sample_rate)
    if heard.shape[-1] < N:
        raise NoValue(
            f"STOI: wanted {N} frames within {DYN_RANGE} dB of the source's loudest, found "
            f"{heard.shape[-1]} ({_levels(est, source, sample_rate)})"
        )
    clean, degraded = np.moveaxis(np.lib.stride_tricks.sliding_window_view(heard, N, axis=2), 2, 1)
    return _stoi(clean, degraded), _estoi(clean, degraded)


def _heard(source: np.ndarray, est: np.ndarray, sample_rate: int) -> np.ndarray:
    """Magnitudes of both signals in third octaves, where the source is not silent: [2, bands, L]."""
    if sample_rate != FS:
        source, est = (utils.resample_oct(signal, FS, sample_rate) for signal in (source, est))
    if source.size <= N_FRAME:
        return np.empty((2, NUMBAND, 0))
    spoken = utils.remove_silent_frames(source, est, DYN_RANGE, N_FRAME, N_FRAME // 2)
    window = np.hanning(N_FRAME + 2)[1:-1]
    frames = np.lib.stride_tricks.sliding_window_view(np.stack(spoken), N_FRAME, axis=1)[:, : -1 : N_FRAME // 2]
    power = np.abs(fft.rfft(frames * window, NFFT)) ** 2  # [2, L, bins]
    return np.sqrt(power @ OBM.T).transpose(0, 2, 1)


def _stoi(clean: np.ndarray, degraded: np.ndarray) -> float:
    """Mean correlation of each band over the frames of each segment, [segments, bands, N], of what is clipped."""
    scaled = degraded * (_norm(clean, 2) / (_norm(degraded, 2) + utils.EPS))
    clipped = np.minimum(scaled, clean * (1 + 10 ** (-BETA / 20)))
    return float((_unit(clean, 2) * _unit(clipped, 2)).sum(2).mean())


def _estoi(clean: np.ndarray, degraded: np.ndarray) -> float:
    """Mean correlation of each frame of a segment over its bands, each band being of mean 0 and norm 1 before."""
    first, second = (_unit(_unit(segments, 2), 1) for segments in (clean, degraded))
    return float((first * second).sum(1).mean())


def _unit(segments: np.ndarray, axis: int) -> np.ndarray:
    centred = segments - segments.mean(axis, keepdims=True)
    return centred / (_norm(centred, axis) + utils.EPS)


def _norm(segments: np.ndarray, axis: int) -> np.ndarray:
    return np.sqrt(np.square(segments).sum(axis, keepdims=True))


def _check_pair(metric: str, est: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        return check_pair(est, source)
    except UserError as err:
        raise UserError(f"{metric}: {err}") from err


def _reason(err: Exception) -> str:
    first = err.args[0] if err.args else err
    text = first.decode() if isinstance(first, bytes) else str(first)
    return text.split(". ")[0].rstrip(".")


def _levels(est: np.ndarray, source: np.ndarray, sample_rate: int) -> str:
    return (
        f"{source.size / sample_rate:.2f} s, source peak {np.abs(source).max():.2g}, est peak {np.abs(est).max():.2g}"
    )
