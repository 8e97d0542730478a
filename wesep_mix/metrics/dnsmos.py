"""DNSMOS P.835: how listeners would rate speech (SIG), background (BAK) and the whole (OVRL), without a reference.

Source: Reddy, Gopal, Cutler: "DNSMOS P.835: A non-intrusive perceptual objective speech quality metric to evaluate
noise suppressors", ICASSP 2022. The networks are Microsoft's, inside the package `speechmos`; what stands here is the
way from a signal to them and back, as in Microsoft's script and that package, which take one window at a time.
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
BATCH_SIZE = 8  # windows that go through a network together
SCALES = ("sig", "bak", "ovrl")  # in the order of the networks' outputs
MODELS = {False: "dnsmos_models", True: "pdnsmos_models"}  # whether personalised
CURVES = {  # of each scale, from the network's number to the rating: coefficients, the highest power first
    False: (
        (-0.08397278, 1.22083953, 0.0052439),
        (-0.13166888, 1.60915514, -0.39604546),
        (-0.06766283, 1.11546468, 0.04602535),
    ),
    True: (
        (-0.01019296, 0.02751166, 1.19576786, -0.24348726),
        (-0.04976499, 0.44276479, -0.1644611, 0.96883132),
        (-0.00533021, 0.005101, 1.18058466, -0.11236046),
    ),
}


def dnsmos(wav: np.ndarray, sample_rate: int = SAMPLE_RATE, personalised: bool = False) -> dict[str, float]:
    """{sig, bak, ovrl} of a signal [T] of full scale 1: means over windows, about 1 to 5 each.

    personalised: by the network for speech of one talker among others, who count as background (it takes no enrolment).
    Raises: UserError when the rate is not 16 kHz or the signal is unfit.
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
    found = np.concatenate([_network(personalised).run(None, {"input_1": batch})[0] for batch in batches])  # [W, 3]
    ratings = [np.polyval(curve, raw).mean() for curve, raw in zip(CURVES[personalised], found.T, strict=True)]
    return {scale: float(rating) for scale, rating in zip(SCALES, ratings, strict=True)}


def windows(wav: np.ndarray) -> list[np.ndarray]:
    """A signal [T], doubled until it fills a window, -> a window a second, [WINDOW] each.

    The second's end is computed in floating point as in Microsoft's script, which drops windows that come out a sample
    short: those from the 7th to the 23rd second.
    """
    while wav.size < WINDOW:
        wav = np.concatenate([wav, wav])
    starts = range(int(wav.size // SAMPLE_RATE - WINDOW_S) + 1)
    ends = [int((start + WINDOW_S) * SAMPLE_RATE) for start in starts]
    return [
        wav[end - WINDOW : end] for start, end in zip(starts, ends, strict=True) if end - start * SAMPLE_RATE == WINDOW
    ]


@cache
def _network(personalised: bool) -> Any:
    """An onnxruntime session of one thread: stage 7 has a process for each core."""
    import onnxruntime  # here, for it takes a while and a finished stage answers at once

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = resources.files("speechmos") / MODELS[personalised] / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
