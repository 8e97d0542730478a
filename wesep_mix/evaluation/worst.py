"""The mixtures that an extractor does worst in, with their audio: what there is to listen to first.

Extracted speech lies where stage 6 wrote it; mixtures and targets are rendered from their plans and lie nowhere, so
those of the worst mixtures are written beside the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.evaluation.breakdown import Embeddings, talker_cosine
from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.plan import Plan, speaker_keys
from wesep_mix.mixing.render import render

COLUMNS = ("mix", "si_sdri")
MIXTURES, TARGETS = "mixtures", "targets"  # folders of wavs


def worst_rows(scores: Sequence[Mapping[str, Any]], num: int) -> list[dict[str, Any]]:
    """The mixtures with the lowest mean SI-SDRi over their talkers, the worst first.

    Args:
        scores: rows of scores.csv.
        num: how many.

    Returns:
        {mix, si_sdri} each.
    """
    means = mixture_means(scores)
    lowest = sorted(means, key=lambda mix: (means[mix], mix))[:num]
    return [{"mix": mix, "si_sdri": round(means[mix], 6)} for mix in lowest]


def mixture_means(scores: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The mean SI-SDRi of each mixture's talkers.

    Args:
        scores: rows of scores.csv.

    Returns:
        {mixture: dB}.
    """
    gains: dict[str, list[float]] = {}
    for score in scores:
        gains.setdefault(score["mix"], []).append(score["si_sdri"])
    return {mix: float(np.mean(each)) for mix, each in gains.items()}


def write_worst_wavs(plans: Sequence[Plan], out: Path) -> None:
    """Write `out/mixtures/<mix>.wav` and `out/targets/<mix>-<speaker>.wav`.

    Args:
        plans: the mixtures.
        out: folder to write.
    """
    for plan in plans:
        rendered = render(plan)
        targets = zip(speaker_keys(plan), rendered.sources, strict=True)
        wavs = {out / TARGETS / f"{key}.wav": source for key, source in targets}
        wavs[out / MIXTURES / f"{plan.id}.wav"] = rendered.mix
        for path, samples in wavs.items():
            write_audio(path, samples, plan.sample_rate, "FLOAT" if np.abs(samples).max() > 1.0 else "PCM_16")


def summarise_worst(
    rows: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Any]], plans: Sequence[Plan], clean: Embeddings
) -> dict[str, Any]:
    """What the worst mixtures have that others have less of.

    Args:
        rows: of worst.csv.
        scores: rows of scores.csv.
        plans: the mixtures.
        clean: the teacher's embeddings of the clean sources, by `<mix>-<speaker>`.

    Returns:
        {`worst` and `all`: `num` mixtures; `si_sdri` and `wrong_talker`, means over talkers; `same_sex`, the share of
        mixtures whose talkers are of one; means of `cosine`, of the talkers' clean embeddings, `snr_db` and `overlap`}.
    """
    chosen = {row["mix"] for row in rows}
    found = {}
    for name, mixes in (("worst", chosen), ("all", {score["mix"] for score in scores})):
        talkers = [score for score in scores if score["mix"] in mixes]
        mixtures = [plan for plan in plans if plan.id in mixes]
        found[name] = {
            "num": len(mixtures),
            "si_sdri": float(np.mean([score["si_sdri"] for score in talkers])),
            "wrong_talker": float(np.mean([score["wrong_talker"] for score in talkers])),
            "same_sex": float(np.mean([len(set(plan.sexes)) == 1 for plan in mixtures])),
            "cosine": float(np.mean([talker_cosine(plan, clean) for plan in mixtures])),
            "snr_db": float(np.mean([plan.noise.snr_db for plan in mixtures])),
            "overlap": float(np.mean([np.mean(plan.overlaps or (0.0,)) for plan in mixtures])),
        }
    return found
