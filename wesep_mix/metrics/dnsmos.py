"""DNSMOS P.835: how listeners would rate speech (SIG), background (BAK) and the whole (OVRL), without a reference.

Source: Reddy, Gopal, Cutler: "DNSMOS P.835: A non-intrusive perceptual objective speech quality metric to evaluate
noise suppressors", ICASSP 2022. The network is Microsoft's, inside the package `speechmos`. Here are the windows that
it is given and the curves from its numbers to ratings, as in Microsoft's script and that package, which take one window
at a time.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError

SAMPLE_RATE = 16000
WINDOW_S = 9.01
WINDOW = 144160  # samples
BATCH_SIZE = 8  # windows that go through the network together
CURVES = {  # from the network's numbers, in their order, to ratings: coefficients, the highest power first
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovrl": (-0.06766283, 1.11546468, 0.04602535),
}
SCALES = tuple(CURVES)


def dnsmos(wav: np.ndarray, sample_rate: int = SAMPLE_RATE) -> dict[str, float]:
    """Rate a signal.

    Args:
        wav: [T], full scale 1.
        sample_rate: Hz.

    Returns:
        {sig, bak, ovrl}: means over windows, about 1 to 5 each.

    Raises:
        UserError: the rate is not 16 kHz, or the signal is not one channel of finite samples.
    """
    if sample_rate != SAMPLE_RATE:
        raise UserError(f"DNSMOS: wanted {SAMPLE_RATE} Hz, found {sample_rate} Hz")
    wav = np.asarray(wav, np.float32)
    if wav.ndim != 1 or not wav.size or not np.isfinite(wav).all():
        raise UserError(
            f"DNSMOS: wanted a signal [T] of finite samples, found one of shape {list(wav.shape)}"
            f"{'' if np.isfinite(wav).all() else ', not finite'}"
        )
    each = windows(wav)
    batches = [np.stack(each[first : first + BATCH_SIZE]) for first in range(0, len(each), BATCH_SIZE)]
    found = np.concatenate([_network().run(None, {"input_1": batch})[0] for batch in batches])  # [W, 3]
    return {
        scale: float(np.polyval(curve, raw).mean()) for (scale, curve), raw in zip(CURVES.items(), found.T, strict=True)
    }


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


@cache
def _network() -> Any:
    """An onnxruntime session of one thread: stage 7 has a process for each core."""
    import onnxruntime  # here, since it takes a while and a finished stage answers at once

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = resources.files("speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
