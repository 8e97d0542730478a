"""A breakdown of the embeddings' metrics: by sexes of the talkers, level of the noise, overlap of the mixture, and how
alike the talkers' voices are to the teacher.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write
from wesep_mix.evaluation.judging import Judged
from wesep_mix.io.embeddings import lookup
from wesep_mix.metrics.clustering import normalised
from wesep_mix.mixing.plan import Plan, speaker_keys

Embeddings = Mapping[str, np.ndarray]
COSINE = "cosine"
PROPERTIES = ("sexes", "snr_db", "overlap", COSINE)  # of a mixture, by which results are grouped
# in stage 8's folder `clustering`
BREAKDOWN, MIXTURES, TALKERS = "by_condition.json", "mixtures.csv", "talkers.json"
MAX_SNRS = 8  # more different SNRs than that are grouped in steps of 5 dB
SNR_STEP = 5
COSINE_STEP = 0.2
NONE = "none"

Breakdown = dict[str, dict[str, dict[str, float]]]  # {property: {value: {measure: number}}}


def break_down(
    rows: Mapping[str, Judged], plans: Sequence[Plan], clean: Embeddings | None = None
) -> dict[str, Breakdown]:
    """The metrics of each row by the properties of its mixtures.

    `acc` is the share of a group's embeddings that are in their speaker's cluster, of one clustering of all
    embeddings (so the mean of the groups' acc, weighted by num, is the row's acc); the groups are not clustered anew.

    Args:
        rows: of the table of embeddings.
        plans: the mixtures.
        clean: as for `mixture_properties`.

    Returns:
        {row: {property: {value: measures}}}, the measures being `acc`, `num` (embeddings), `cos` where the row has
        references, and `count_acc` where the student counts talkers.
    """
    known = mixture_properties(plans, clean)
    return {name: _break_down(row, known) for name, row in rows.items()}


def flatten(breakdown: Breakdown) -> dict[str, float]:
    """{"<property>/<value>/<measure>": number} of one row, without its numbers of embeddings."""
    return {
        f"{name}/{value}/{measure}": number
        for name, values in breakdown.items()
        for value, measures in values.items()
        for measure, number in measures.items()
        if measure != "num"
    }


def mixture_properties(plans: Sequence[Plan], clean: Embeddings | None = None) -> dict[str, dict[str, str]]:
    """The properties of every mixture, as text.

    Args:
        plans: the mixtures.
        clean: the teacher's embeddings of the clean sources, by `<mix>-<speaker>`; None leaves the cosine out.

    Returns:
        {mixture: {"sexes", "snr_db", "overlap", "cosine"}}; the overlap is the mean over pairs of talkers that follow
        each other, in steps of 0.1; the cosine is that of the two talkers who are most alike, in steps of 0.2. Both are
        `none` with one talker.
    """
    snrs = {plan.noise.snr_db for plan in plans}
    name_snr = (lambda value: f"{value:g}") if len(snrs) <= MAX_SNRS else _snr_step
    known = {
        plan.id: {"sexes": plan.sexes, "snr_db": name_snr(plan.noise.snr_db), "overlap": overlap_step(plan)}
        for plan in plans
    }
    for plan in plans if clean is not None else ():
        known[plan.id][COSINE] = _cosine_step(talker_cosine(plan, clean)) if len(plan.sources) > 1 else NONE
    return known


def talker_cosine(plan: Plan, clean: Embeddings) -> float:
    """The cosine of the two talkers of a mixture who are most alike.

    Args:
        plan: the mixture.
        clean: the teacher's embeddings of the clean sources.

    Returns:
        The cosine; NaN with one talker.

    Raises:
        UserError: an embedding is missing.
    """
    emb = normalised(lookup(clean, speaker_keys(plan), "embeddings of clean sources"))
    return max((float(one @ other) for one, other in itertools.combinations(emb, 2)), default=np.nan)


def overlap_step(plan: Plan) -> str:
    """The mixture's mean overlap as a step, such as `0.5-0.6`.

    A mean on a border belongs to the step above it, but 0.8 and 1.0 to the one below: the paper's mixtures have 0.5 to
    0.8.

    Args:
        plan: the mixture.

    Returns:
        The step; `none` with one talker.
    """
    if not plan.overlaps:
        return NONE
    mean = round(float(np.mean(plan.overlaps)), 6)
    step = int(mean * 10 + 1e-6) - (mean in (0.8, 1.0))
    return f"{step / 10:.1f}-{(step + 1) / 10:.1f}"


def write_properties(path: Path, plans: Sequence[Plan], clean: Embeddings | None = None) -> None:
    """Write `mix,sexes,snr_db,overlap,cosine`, a line a mixture, sorted by mixture.

    Args:
        path: CSV file.
        plans: the mixtures.
        clean: as for `mixture_properties`.
    """
    known = mixture_properties(plans, clean)
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("mix", *next(iter(known.values()))))
        writer.writerows((mix, *known[mix].values()) for mix in sorted(known, key=str.encode))


def read_properties(path: Path) -> dict[str, dict[str, str]]:
    """{mixture: {property: value}} as `write_properties` wrote it.

    Args:
        path: CSV file.

    Returns:
        The properties of every mixture; without the cosine in tables of older revisions.

    Raises:
        UserError: it is another table.
    """
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) not in (("mix", *PROPERTIES), ("mix", *PROPERTIES[:-1])):
            raise UserError(
                f"{path}: wanted the columns mix,{','.join(PROPERTIES)}, found "
                f"{','.join(reader.fieldnames or ())}; redo stage 8 with --force true"
            )
        return {row.pop("mix"): row for row in reader}


def _break_down(row: Judged, known: Mapping[str, Mapping[str, str]]) -> Breakdown:
    breakdown: Breakdown = {}
    for name in next(iter(known.values())):
        values = np.array([known[plan.id][name] for plan in row.labelled.plans])
        breakdown[name] = {value: _measures(row, values == value) for value in np.unique(values).tolist()}
    return breakdown


def _measures(row: Judged, chosen: np.ndarray) -> dict[str, float]:
    cos = {} if row.cos is None else {"cos": float(row.cos[chosen].mean())}
    measures = {"acc": float(row.correct[chosen].mean()), **cos, "num": int(chosen.sum())}
    if row.counts_right is not None:
        mixtures = {plan.id for plan, one in zip(row.labelled.plans, chosen, strict=True) if one}
        measures["count_acc"] = sum(row.counts_right[mixture] for mixture in mixtures) / len(mixtures)
    return measures


def _cosine_step(cosine: float) -> str:
    low = min(np.floor(round(cosine / COSINE_STEP, 6)) * COSINE_STEP, 1 - COSINE_STEP)  # 1 belongs to the step below
    return f"{low + 0.0:.1f}..{low + COSINE_STEP:.1f}"


def _snr_step(snr_db: float) -> str:
    low = int(np.floor(snr_db / SNR_STEP)) * SNR_STEP
    return f"{low}..{low + SNR_STEP}"
