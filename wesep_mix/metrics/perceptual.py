"""PESQ, STOI and ESTOI by the packages `pesq` and `pystoi`; a failure of theirs becomes a UserError that says whose."""

from __future__ import annotations

import warnings

import numpy as np
import pesq
import pystoi

from wesep_mix.base.errors import UserError
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
        UserError: the rate is not 16 kHz, the signals cannot be scored (si_sdr.check_pair), or PESQ finds no utterance.
    """
    if sample_rate != PESQ_SAMPLE_RATE:
        raise UserError(f"PESQ: wideband wants {PESQ_SAMPLE_RATE} Hz, found {sample_rate} Hz")
    est, source = _check_pair("PESQ", est, source)
    try:
        return float(pesq.pesq(sample_rate, source, est, "wb"))
    except (pesq.PesqError, ValueError) as err:
        raise UserError(f"PESQ: {_reason(err)} ({_levels(est, source, sample_rate)})") from err


def stoi(est: np.ndarray, source: np.ndarray, sample_rate: int = 16000, extended: bool = False) -> float:
    """Short-time objective intelligibility (Taal et al., TASLP 2011), or its extended form.

    Args:
        est: the estimate, [T].
        source: the reference, [T].
        sample_rate: Hz.
        extended: ESTOI (Jensen and Taal, TASLP 2016), which hears interferers that come and go, as talkers do.

    Returns:
        0 to 1; the extended form may be below 0.

    Raises:
        UserError: the signals cannot be scored (si_sdr.check_pair), or too few frames of the reference are within 40 dB
            of its loudest one (pystoi then warns and returns 1e-5, which must not enter a mean).
    """
    name = "ESTOI" if extended else "STOI"
    est, source = _check_pair(name, est, source)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(pystoi.stoi(source, est, sample_rate, extended))
        except RuntimeWarning as err:
            raise UserError(f"{name}: {_reason(err)} ({_levels(est, source, sample_rate)})") from err


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
