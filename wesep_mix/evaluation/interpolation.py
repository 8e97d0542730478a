"""What an extractor gives on the way from one talker's embedding to the other's (arXiv 2604.03219, figure 2a).

The embeddings of a mixture's first two talkers, e1 and e2, are mixed: (1 - a) e1 + a e2 for a from 0 to 1. Networks are
trained on a student's embeddings, which have one length each; a mean of two is shorter. So it is scaled to the length
(1 - a) |e1| + a |e2|, which is 1 for unit vectors. Of mixtures of three talkers and more the first two are taken.

A steps, M mixtures, D values of an embedding, T samples.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.sharing import in_groups
from wesep_mix.inference.settings import Chunks
from wesep_mix.io.embeddings import MATCHED, lookup
from wesep_mix.metrics.curves import crossing, setback
from wesep_mix.metrics.intervals import quotient, redrawn, resampled_by_speaker
from wesep_mix.metrics.si_sdr import si_sdr
from wesep_mix.mixing.plan import Plan, speaker_keys
from wesep_mix.mixing.render import render

STEPS = tuple(step / 10 for step in range(11))  # a
CURVES = ("si_sdr_a", "si_sdr_b", "si_sdri_a", "si_sdri_b")
COLUMNS = ("mix", "speaker_a", "speaker_b", "a", *CURVES)
TOLERANCE_DB = 0.5  # up to which a curve may go back and counts as monotone
MIDDLE = (0.35, 0.65)  # between which a crossover counts as near the middle
DIGITS = 4  # of dB: what the number of threads changes is far below


def between(first: np.ndarray, second: np.ndarray, steps: Sequence[float] = STEPS) -> np.ndarray:
    """Embeddings on the way from one to another.

    Args:
        first: embedding at 0, [D].
        second: embedding at 1, [D].
        steps: A places on the way.

    Returns:
        float32 [A, D].

    Raises:
        UserError: the two are opposite, so that there is no way between them.
    """
    share = np.asarray(steps)[:, None]
    mixed = (1 - share) * first + share * second
    wanted = (1 - share) * np.linalg.norm(first) + share * np.linalg.norm(second)
    found = np.linalg.norm(mixed, axis=1, keepdims=True)
    if (found < 1e-6 * wanted).any():
        raise UserError("interpolation: wanted two embeddings with a way between them, found opposite ones")
    return (mixed * wanted / found).astype(np.float32)


def drawn_mixtures(plans: Sequence[Plan], num: int, seed: int) -> list[Plan]:
    """Draw mixtures of two talkers or more; each draws a number by its id, and the lowest ones are in.

    Args:
        plans: to draw from.
        num: how many, at most.
        seed: of the draw.

    Returns:
        Those, in their order.
    """
    numbers = {plan.id: rng_for(seed, "interpolation", plan.id).random() for plan in plans if len(plan.sources) > 1}
    chosen = set(sorted(numbers, key=numbers.get)[:num])
    return [plan for plan in plans if plan.id in chosen]


def interpolate(
    model: Path,
    plans: Sequence[Plan],
    matched: Mapping[str, np.ndarray],
    chunks: Chunks,
    device: str = "cpu",
    nj: int = 1,
) -> list[dict[str, Any]]:
    """Extract every mixture at every step, and score what comes out against both talkers by SI-SDR.

    Args:
        model: file of the extractor.
        plans: the mixtures.
        matched: embeddings by `<mix>-<speaker>`.
        chunks: how long mixtures are cut.
        device: `cpu` or `cuda`.
        nj: processes or jobs; the result does not depend on it.

    Returns:
        Rows of interpolation.csv (COLUMNS), by mixture and step; SI-SDR in dB.

    Raises:
        UserError: an embedding is missing, or an estimate cannot be scored.
    """
    rows = in_groups(partial(_curves, model, matched, chunks, device), plans, "interpolating", device, nj)
    return sorted(rows, key=lambda row: (row["mix"].encode(), row["a"]))


def _curves(
    model: Path, matched: Mapping[str, np.ndarray], chunks: Chunks, device: str, plans: Sequence[Plan]
) -> list[dict[str, Any]]:
    from wesep_mix.models.checkpoint import load_model  # imports torch

    network, pairs = load_model(model, "extractors").to(device), [speaker_keys(plan)[:2] for plan in plans]
    found = (
        _curve(network, plan, lookup(matched, pair, MATCHED), chunks, device)
        for plan, pair in zip(plans, pairs, strict=True)
    )
    return list(itertools.chain.from_iterable(found))


def _curve(network: Any, plan: Plan, pair: np.ndarray, chunks: Chunks, device: str) -> list[dict[str, Any]]:
    """The rows of a mixture; all steps go through the network together."""
    import torch

    from wesep_mix.inference import chunked

    rendered, (one, other) = render(plan), plan.sources[:2]
    try:
        emb = torch.from_numpy(between(*pair))
        mix = torch.from_numpy(rendered.mix).expand(len(emb), -1)
        ests = chunked.extract(network, mix, emb, chunks, device).numpy()  # [A, T]
        before, *after = ([si_sdr(est, source) for source in rendered.sources[:2]] for est in (rendered.mix, *ests))
    except UserError as err:
        raise UserError(f"{plan.id}: {err}") from err
    scores = [
        [*score, *(ratio - unprocessed for ratio, unprocessed in zip(score, before, strict=True))] for score in after
    ]
    return [
        dict(zip(COLUMNS, (plan.id, one.spk, other.spk, step, *(round(each, DIGITS) for each in score)), strict=True))
        for step, score in zip(STEPS, scores, strict=True)
    ]


def summarise_curves(rows: Sequence[Mapping[str, Any]], plans: Sequence[Plan]) -> dict[str, Any]:
    """What the curves of all mixtures say together, with 95 % intervals by draws of speakers.

    A crossover is the a at which both talkers come out alike: by SI-SDR, or by SI-SDRi, which leaves out that one is
    louder in the mixture. It is not defined where a talker's own embedding gives the other one; those are counted.

    Args:
        rows: of interpolation.csv.
        plans: their mixtures.

    Returns:
        `steps` (a, and the mean of each curve), `by_si_sdr` and `by_si_sdri` (Crossings), `monotone`: the share of
        mixtures whose curves go back by no more than `tolerance_db`, `setback_db` of the mean curves, `num`,
        `num_speakers`, and `mixtures`: {mixture: crossovers, setback_db}.
    """
    by_mix = {plan.id: [row for row in rows if row["mix"] == plan.id] for plan in plans}
    curves = np.array([[[row[name] for name in CURVES] for row in each] for each in by_mix.values()])  # [M, A, 4]
    names = [[source.spk for source in plan.sources] for plan in plans]
    weights, ones = resampled_by_speaker(names, rng_for(0, "interpolation")), np.ones(len(plans))
    found = [_of_mixture(curve) for curve in curves]
    monotone = np.array([one["setback_db"] <= TOLERANCE_DB for one in found])
    means = [[quotient(curves[:, step, curve], ones, weights) for curve in range(4)] for step in range(len(STEPS))]
    return {
        "steps": [{"a": step, **dict(zip(CURVES, each, strict=True))} for step, each in zip(STEPS, means, strict=True)],
        **{
            name: _crossings(name, curves, [one[name] for one in found], weights)
            for name in ("by_si_sdr", "by_si_sdri")
        },
        "monotone": quotient(monotone, ones, weights),
        "setback_db": _of_mixture(curves.mean(0))["setback_db"],
        "num": len(plans),
        "num_speakers": len(set().union(*names)),
        "tolerance_db": TOLERANCE_DB,
        "mixtures": dict(zip(by_mix, found, strict=True)),
    }


def _of_mixture(curve: np.ndarray) -> dict[str, Any]:
    """Of a mixture's curves, [A, 4]: what is of the first talker is to fall, what is of the second to rise."""
    return {
        "by_si_sdr": crossing(STEPS, curve[:, 0] - curve[:, 1]),
        "by_si_sdri": crossing(STEPS, curve[:, 2] - curve[:, 3]),
        "setback_db": max(setback(curve[:, 0], rising=False), setback(curve[:, 1], rising=True)),
    }


def _crossings(by: str, curves: np.ndarray, places: Sequence[float | None], weights: np.ndarray) -> dict[str, Any]:
    """`of_means`: the crossover of the mean curves; `mean` over mixtures that have one; `near_middle`, the share of all
    mixtures with one near the middle; `num_uncrossed` without one.
    """
    crossed = np.array([place is not None for place in places])
    values = np.array([0.0 if place is None else place for place in places])
    near = crossed & (values >= MIDDLE[0]) & (values <= MIDDLE[1])
    return {
        "of_means": redrawn(lambda chosen: _of_mixture(curves[chosen].mean(0))[by], weights),
        "mean": quotient(values, crossed, weights),
        "near_middle": quotient(near, np.ones(len(values)), weights),
        "num_uncrossed": int((~crossed).sum()),
    }
