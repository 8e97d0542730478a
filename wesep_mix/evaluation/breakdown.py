"""A breakdown of the embeddings' metrics: by sexes of the talkers, level of the noise and overlap of the mixture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write
from wesep_mix.evaluation.judging import Judged
from wesep_mix.mixing.plan import Plan

PROPERTIES = ("sexes", "snr_db", "overlap")  # of a mixture, by which results are grouped
BREAKDOWN, MIXTURES = "by_condition.json", "mixtures.csv"  # in stage 8's folder `clustering`
MAX_SNRS = 8  # more different SNRs than that are grouped in steps of 5 dB
SNR_STEP = 5
NONE = "none"

Breakdown = dict[str, dict[str, dict[str, float]]]  # {property: {value: {measure: number}}}


def break_down(rows: Mapping[str, Judged], plans: Sequence[Plan]) -> dict[str, Breakdown]:
    """The metrics of each row by the properties of its mixtures.

    `acc` is the share of a group's embeddings that are in their speaker's cluster, of one clustering of all
    embeddings (so the mean of the groups' acc, weighted by num, is the row's acc); the groups are not clustered anew.

    Args:
        rows: of the table of embeddings.
        plans: the mixtures.

    Returns:
        {row: {property: {value: measures}}}, the measures being `acc`, `num` (embeddings), `cos` where the row has
        references, and `count_acc` where the student counts talkers.
    """
    known = mixture_properties(plans)
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


def mixture_properties(plans: Sequence[Plan]) -> dict[str, dict[str, str]]:
    """The properties of every mixture, as text.

    Args:
        plans: the mixtures.

    Returns:
        {mixture: {"sexes", "snr_db", "overlap"}}; the overlap is the mean over pairs of talkers that follow each other,
        in steps of 0.1, and `none` with one talker.
    """
    snrs = {plan.noise.snr_db for plan in plans}
    name_snr = (lambda value: f"{value:g}") if len(snrs) <= MAX_SNRS else _snr_step
    return {
        plan.id: {"sexes": plan.sexes, "snr_db": name_snr(plan.noise.snr_db), "overlap": overlap_step(plan)}
        for plan in plans
    }


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


def write_properties(path: Path, plans: Sequence[Plan]) -> None:
    """Write `mix,sexes,snr_db,overlap`, a line a mixture, sorted by mixture.

    Args:
        path: CSV file.
        plans: the mixtures.
    """
    known = mixture_properties(plans)
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("mix", *PROPERTIES))
        writer.writerows((mix, *known[mix].values()) for mix in sorted(known, key=str.encode))


def read_properties(path: Path) -> dict[str, dict[str, str]]:
    """{mixture: {property: value}} as `write_properties` wrote it.

    Args:
        path: CSV file.

    Returns:
        The properties of every mixture.

    Raises:
        UserError: it is another table.
    """
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != ("mix", *PROPERTIES):
            raise UserError(
                f"{path}: wanted the columns mix,{','.join(PROPERTIES)}, found "
                f"{','.join(reader.fieldnames or ())}; redo stage 8 with --force true"
            )
        return {row.pop("mix"): row for row in reader}


def _break_down(row: Judged, known: Mapping[str, Mapping[str, str]]) -> Breakdown:
    breakdown: Breakdown = {}
    for name in PROPERTIES:
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


def _snr_step(snr_db: float) -> str:
    low = int(np.floor(snr_db / SNR_STEP)) * SNR_STEP
    return f"{low}..{low + SNR_STEP}"
