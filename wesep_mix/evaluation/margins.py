"""Whether a talker whom the candidates point to clearly is extracted better (arXiv 2604.03219, section 4.5).

The candidates are the student's embeddings of a mixture, all of its heads; the chosen one is what the extractor was
given for a talker. The paper's margin is |cos(e1, r) - cos(e2, r)|, r standing for the talker: here the clean source's
embedding, in the paper an enrolment's. Of several other candidates the nearest to r counts. Beside it stands the margin
the other way round: of the chosen embedding to the references of the talker and of the nearest other one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.io.embeddings import MATCHED, lookup
from wesep_mix.metrics.clustering import normalised
from wesep_mix.metrics.correlation import rank_correlation
from wesep_mix.metrics.intervals import Interval, quotient, redrawn, resampled_by_speaker
from wesep_mix.metrics.margins import margins
from wesep_mix.mixing.plan import Plan, speaker_keys

Embeddings = Mapping[str, np.ndarray]
COLUMNS = ("mix", "speaker", "cos_own", "cos_other", "margin", "cos_talker", "margin_talkers", "si_sdri")
MARGINS = ("margin", "margin_talkers")
NUM_BINS = 5  # with as many talkers each
DIGITS = 6


def margin_rows(
    plans: Sequence[Plan],
    matched: Embeddings,
    heads: Embeddings,
    clean: Embeddings,
    scores: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The margins of every talker that is scored, beside the gain.

    Args:
        plans: the mixtures.
        matched: the student's embeddings by `<mix>-<speaker>`.
        heads: all of them by `<mix>-<head>`.
        clean: those of the clean sources.
        scores: rows of scores.csv.

    Returns:
        Rows of margins.csv (COLUMNS), in the order of the scores; of mixtures of two talkers and candidates or more.

    Raises:
        UserError: an embedding is missing.
    """
    found = {key: margin for plan in plans for key, margin in _of_mixture(plan, matched, heads, clean).items()}
    rows = []
    for score in scores:
        if (margin := found.get(f"{score['mix']}-{score['speaker']}")) is not None:
            rows.append({"mix": score["mix"], "speaker": score["speaker"], **margin, "si_sdri": score["si_sdri"]})
    return rows


def _of_mixture(plan: Plan, matched: Embeddings, heads: Embeddings, clean: Embeddings) -> dict[str, dict[str, float]]:
    keys, own = speaker_keys(plan), _heads_of(plan, heads)
    if len(keys) < 2 or len(own) < 2:
        return {}
    taken, references = lookup(matched, keys, MATCHED), lookup(clean, keys, "embeddings of clean sources")
    chosen = [_place(emb, own, key) for key, emb in zip(keys, taken, strict=True)]
    found = margins(normalised(own) @ normalised(references).T, chosen)
    return {
        key: {
            "cos_own": round(one.own, DIGITS),
            "cos_other": round(one.other, DIGITS),
            "margin": round(abs(one.own - one.other), DIGITS),
            "cos_talker": round(one.talker, DIGITS),
            "margin_talkers": round(abs(one.own - one.talker), DIGITS),
        }
        for key, one in zip(keys, found, strict=True)
    }


def _heads_of(plan: Plan, heads: Embeddings) -> np.ndarray:
    """[N, D], heads 0, 1, ... as far as there are any."""
    found: list[np.ndarray] = []
    while (head := heads.get(f"{plan.id}-{len(found)}")) is not None:
        found.append(head)
    return np.array(found)


def _place(emb: np.ndarray, heads: np.ndarray, key: str) -> int:
    same = np.flatnonzero((heads == emb).all(axis=1))
    if not len(same):
        raise UserError(f"{key}: its embedding in {MATCHED} is none of the mixture's in student.scp; redo stage 4")
    return int(same[0])


def summarise_margins(rows: Sequence[Mapping[str, Any]], plans: Sequence[Plan]) -> dict[str, Any]:
    """How margins go with gains, with 95 % intervals by draws of speakers.

    Args:
        rows: of margins.csv.
        plans: the mixtures.

    Returns:
        {margin: {`spearman`: Spearman's correlation with SI-SDRi, `bins`: mean SI-SDRi of NUM_BINS bins with as many
        talkers each, with `low_end`, `high_end` and `num`}}, `num` and `num_speakers`.
    """
    scored = {row["mix"] for row in rows}
    names = {plan.id: [source.spk for source in plan.sources] for plan in plans if plan.id in scored}
    weights = resampled_by_speaker(list(names.values()), rng_for(0, "margins"))
    place = {mix: number for number, mix in enumerate(names)}
    mixtures, gains = np.array([place[row["mix"]] for row in rows]), np.array([row["si_sdri"] for row in rows])
    counts = {"num": len(rows), "num_speakers": len(set().union(*names.values()))}
    values = {name: np.array([row[name] for row in rows]) for name in MARGINS}
    return counts | {
        name: {
            "spearman": _correlation(each, gains, mixtures, weights),
            "bins": _bins(each, gains, mixtures, weights),
        }
        for name, each in values.items()
    }


def _correlation(values: np.ndarray, gains: np.ndarray, mixtures: np.ndarray, weights: np.ndarray) -> Interval:
    talkers = [np.flatnonzero(mixtures == mix) for mix in range(weights.shape[1])]

    def spearman(chosen: np.ndarray) -> float | None:
        drawn = np.concatenate([talkers[mix] for mix in chosen])
        return rank_correlation(values[drawn], gains[drawn])

    return redrawn(spearman, weights)


def _bins(values: np.ndarray, gains: np.ndarray, mixtures: np.ndarray, weights: np.ndarray) -> list[dict[str, Any]]:
    """Talkers in order of the margin, in bins of the same size; equal margins in one bin."""
    ends = np.unique(np.quantile(values, np.linspace(0, 1, NUM_BINS + 1)))
    number = np.searchsorted(ends[1:-1], values, side="right")
    found = []
    for each in np.unique(number).tolist():
        inside = number == each
        over, under = (np.bincount(mixtures, of, weights.shape[1]) for of in (inside * gains, inside))
        low, high = values[inside].min(), values[inside].max()
        found.append(
            {"low_end": low, "high_end": high, "num": int(inside.sum()), "si_sdri": quotient(over, under, weights)}
        )
    return found
