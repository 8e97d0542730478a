"""DNSMOS: how listeners would rate speech, without a reference.

P.835 rates the speech (SIG), the background (BAK) and the whole (OVRL): Reddy, Gopal, Cutler: "DNSMOS P.835: A
non-intrusive perceptual objective speech quality metric to evaluate noise suppressors", ICASSP 2022. The personalised
form counts other talkers as background. P.808 is one rating of the whole, of an earlier network (ICASSP 2021).

The networks are Microsoft's, inside the package `speechmos`. Here are the windows and mel spectra that they are given
and the curves from their numbers to ratings, as in that package, which takes one window at a time, needs librosa and
compiles it at its first call.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from scipy import fft

from wesep_mix.base.errors import UserError

SAMPLE_RATE = 16000
WINDOW_S = 9.01
WINDOW = 144160  # samples
BATCH_SIZE = 2  # windows that go through a network together; on one thread more are no faster, and 8 take 1 GB
P835, PERSONALISED, P808 = (
    "dnsmos_models/sig_bak_ovr.onnx",
    "pdnsmos_models/sig_bak_ovr.onnx",
    "dnsmos_models/model_v8.onnx",
)
CURVES = {  # from a network's numbers, in their order, to ratings: coefficients, the highest power first
    P835: {
        "sig": (-0.08397278, 1.22083953, 0.0052439),
        "bak": (-0.13166888, 1.60915514, -0.39604546),
        "ovrl": (-0.06766283, 1.11546468, 0.04602535),
    },
    P808: {"p808": (1.0, 0.0)},
    PERSONALISED: {
        "psig": (-0.01019296, 0.02751166, 1.19576786, -0.24348726),
        "pbak": (-0.04976499, 0.44276479, -0.1644611, 0.96883132),
        "povrl": (-0.00533021, 0.005101, 1.18058466, -0.11236046),
    },
}
SCALES = tuple(scale for curves in CURVES.values() for scale in curves)
FRAME, HOP, NUM_MELS = 321, 160, 120  # samples, samples, bands of P.808's spectra
RANGE_DB, FLOOR = 80.0, 1e-10  # below the loudest band; of a power
LINEAR_HZ, LOG_STEP = 200 / 3, np.log(6.4) / 27  # a mel, below 1 kHz and above


def dnsmos(
    wavs: Sequence[np.ndarray], sample_rate: int = SAMPLE_RATE, personalised: bool = False
) -> list[dict[str, float]]:
    """Rate signals, the windows of all of them in batches.

    Args:
        wavs: [T] each, full scale 1.
        sample_rate: Hz.
        personalised: by the personalised networks too, half of the time again.

    Returns:
        {sig, bak, ovrl, p808} of each, with psig, pbak and povrl where asked for: means over its windows, about 1 to 5.

    Raises:
        UserError: the rate is not 16 kHz, or a signal is not one channel of finite samples.
    """
    if sample_rate != SAMPLE_RATE:
        raise UserError(f"DNSMOS: wanted {SAMPLE_RATE} Hz, found {sample_rate} Hz")
    each = [windows(_checked(wav)) for wav in wavs]
    flat = [window for clip in each for window in clip]
    networks = (P835, P808, *([PERSONALISED] if personalised else []))
    rated = {scale: values for network in networks for scale, values in _rated(network, flat).items()}
    ends = np.cumsum([len(clip) for clip in each])
    return [
        {scale: float(values[end - len(clip) : end].mean()) for scale, values in rated.items()}
        for clip, end in zip(each, ends, strict=True)
    ]


def _checked(wav: np.ndarray) -> np.ndarray:
    wav = np.asarray(wav, np.float32)
    if wav.ndim != 1 or not wav.size or not np.isfinite(wav).all():
        raise UserError(
            f"DNSMOS: wanted a signal [T] of finite samples, found one of shape {list(wav.shape)}"
            f"{'' if np.isfinite(wav).all() else ', not finite'}"
        )
    return wav


def windows(wav: np.ndarray) -> list[np.ndarray]:
    """Cut a signal into overlapping windows, one a second; a short one is doubled until it fills a window.

    The end of a window is computed in floating point as in Microsoft's script, which drops windows that come out a
    sample short: those from the 7th to the 23rd second.

    Args:
        wav: [T] at 16 kHz.

    Returns:
        [WINDOW] each.
    """
    while wav.size < WINDOW:
        wav = np.concatenate([wav, wav])
    starts = range(int(wav.size // SAMPLE_RATE - WINDOW_S) + 1)
    ends = [int((start + WINDOW_S) * SAMPLE_RATE) for start in starts]
    return [
        wav[end - WINDOW : end] for start, end in zip(starts, ends, strict=True) if end - start * SAMPLE_RATE == WINDOW
    ]


def _rated(network: str, flat: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """{scale: its rating of each window} by a network."""
    batches = (np.stack(flat[first : first + BATCH_SIZE]) for first in range(0, len(flat), BATCH_SIZE))
    inputs = map(log_mel, batches) if network == P808 else batches
    raw = np.concatenate([_session(network).run(None, {"input_1": batch})[0] for batch in inputs])  # [W, scales]
    curves = CURVES[network].items()
    return {scale: np.polyval(curve, column) for (scale, curve), column in zip(curves, raw.T, strict=True)}


def log_mel(batch: np.ndarray) -> np.ndarray:
    """P.808's input: 40 dB below the loudest band is 0, a step of 1 is 40 dB.

    Args:
        batch: windows, float32 [B, WINDOW].

    Returns:
        float32 [B, 900, 120].
    """
    padded = np.pad(batch[:, :-HOP], ((0, 0), (FRAME // 2, FRAME // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME, axis=1)[:, ::HOP]  # [B, L, FRAME]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)
    spectra = fft.rfft(frames * window)
    power = (spectra.real**2 + spectra.imag**2) @ _mel_bands()
    log = 10 * np.log10(np.maximum(power, FLOOR))
    log -= log.max(axis=(1, 2), keepdims=True)
    return (np.maximum(log, -RANGE_DB) + 40) / 40


@cache
def _mel_bands() -> np.ndarray:
    """Triangles of equal area on Slaney's mel scale, linear below 1 kHz and logarithmic above: float32 [bins, mels]."""
    top = 15 + np.log(SAMPLE_RATE / 2 / 1000) / LOG_STEP
    mels = np.linspace(0, top, NUM_MELS + 2)
    corners = np.where(mels < 15, mels * LINEAR_HZ, 1000 * np.exp(LOG_STEP * (mels - 15)))  # Hz
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    hz = np.arange(FRAME // 2 + 1)[:, None] * SAMPLE_RATE / FRAME
    triangles = np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre)).clip(0)
    return (triangles * 2 / (high - low)).astype(np.float32)


@cache
def _session(network: str) -> Any:
    """An onnxruntime session of one thread: stage 7 has a process for each core."""
    import onnxruntime  # here, since it takes a while and a finished stage answers at once

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = resources.files("speechmos") / network
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
