"""Whether plans render to what they say: finite, the sum of their parts, and at the right peak, SNR and loudness."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pyloudnorm

from wesep_mix.base import parallel
from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import LARGE_DC_DB, SPEECH_DC_DB, dc_offset
from wesep_mix.mixing.plan import PLANS, Plan, Source
from wesep_mix.mixing.render import PEAK, Rendered, render
from wesep_mix.validation.folders import CheckedSet
from wesep_mix.validation.problems import REMOVE, Problem

MAX_SUM_ERROR = 1e-6  # between the mixture and its sources plus noise
MAX_PEAK_ERROR = 1e-4
MAX_DB_ERROR = 0.1


def check_rendering(each: CheckedSet, plans: Sequence[Plan], nj: int) -> list[Problem]:
    """Render plans of a set and measure the audio.

    Args:
        each: the set.
        plans: those of its plans that can be rendered.
        nj: number of processes.

    Returns:
        What is wrong.
    """
    checked = parallel.map_items(rendering_faults, plans, nj, f"rendering {each.title}")
    return [
        Problem("rendering", f"{each.path / PLANS}, mixture {plan.id}: {fault}")
        for plan, faults in checked
        for fault in faults
    ]


def rendering_faults(plan: Plan) -> list[str]:
    """What of the rendered audio is not as the plan says; empty if all is."""
    try:
        rendered = render(plan)
    except UserError as err:
        return [str(err)]
    shapes = (rendered.mix.shape, rendered.sources.shape)
    wanted = ((plan.num_samples,), (len(plan.sources), plan.num_samples))
    if shapes != wanted:
        return [f"wanted a mixture and sources of shapes {wanted}, found {shapes}"]
    if not all(np.isfinite(part).all() for part in (rendered.mix, rendered.sources, rendered.noise)):
        return ["wanted finite samples, found NaN or infinite ones"]
    return (
        _sum_faults(rendered)
        + _snr_faults(plan, rendered)
        + _level_faults(plan, rendered)
        + _offset_faults(plan, rendered)
    )


def _sum_faults(rendered: Rendered) -> list[str]:
    faults = []
    parts = rendered.sources.sum(axis=0, dtype=np.float64) + rendered.noise
    error = float(np.abs(rendered.mix - parts).max())
    if error > MAX_SUM_ERROR:
        faults.append(f"wanted sources and noise to sum to the mixture within {MAX_SUM_ERROR}, found {error:.2g}")
    peak = float(np.abs(rendered.mix).max())
    if peak > PEAK + MAX_PEAK_ERROR:
        faults.append(f"wanted a peak of at most {PEAK}, found {peak:.4f}")
    return faults


def _snr_faults(plan: Plan, rendered: Rendered) -> list[str]:
    speech = rendered.sources.sum(axis=0, dtype=np.float64)
    speech_power, noise_power = np.mean(speech**2), np.mean(rendered.noise.astype(np.float64) ** 2)
    if not speech_power or not noise_power:
        return [f"wanted an SNR of {plan.noise.snr_db:g} dB, found that the speech is silent here; leave it out"]
    measured = 10 * np.log10(speech_power / noise_power)
    if abs(measured - plan.noise.snr_db) > MAX_DB_ERROR:
        return [f"wanted an SNR of {plan.noise.snr_db:g} dB, found {measured:.2f} dB; redo stage 1 with --force true"]
    return []


def _offset_faults(plan: Plan, rendered: Rendered) -> list[str]:
    """Sources with a constant that SNR and SI-SDR count as speech: from LibriMix's lists, or from older plans."""
    faults = []
    for row, source in zip(rendered.sources, plan.sources, strict=True):
        crop = row[source.offset :][: source.num_samples]
        if dc := dc_offset(crop, LARGE_DC_DB):
            faults.append(
                f"{source.utt}: wanted no constant offset above {LARGE_DC_DB:g} dB of its power, found "
                f"{dc:.4f}; {REMOVE}"
            )
    return faults


def _level_faults(plan: Plan, rendered: Rendered) -> list[str]:
    """Loudness of each source; a mixture at the peak limit may have been scaled down as a whole."""
    steps = [
        _loudness(row, source, plan.sample_rate) - source.lufs
        for row, source in zip(rendered.sources, plan.sources, strict=True)
    ]
    limited = np.abs(rendered.mix).max() >= PEAK - MAX_PEAK_ERROR
    common = min(0.0, float(np.median(steps))) if limited else 0.0
    return [
        f"{source.utt}: wanted a loudness of {source.lufs + common:.2f} LUFS, found {source.lufs + step:.2f}; "
        "redo stage 1 with --force true"
        for source, step in zip(plan.sources, steps, strict=True)
        if not abs(step - common) <= MAX_DB_ERROR
    ]


def _loudness(row: np.ndarray, source: Source, sample_rate: int) -> float:
    """Loudness of a rendered source in LUFS: measured before its gain, as the plan's is, plus its gain in dB.

    The absolute gate of ITU-R BS.1770 (-70 LUFS) makes loudness depend on the level: measured after the gain, it was
    off by 0.1 LU for 1 of 1000 real crops.
    """
    crop = row[source.offset :][: source.num_samples].astype(np.float64) / source.gain
    crop -= dc_offset(crop, SPEECH_DC_DB)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyloudnorm warns of silence, whose loudness is -inf
        return float(pyloudnorm.Meter(sample_rate).integrated_loudness(crop)) + 20 * math.log10(source.gain)
