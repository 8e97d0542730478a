"""How well the embeddings do by sexes of the talkers, level of the noise and overlap of the mixture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write
from wesep_mix.evaluation.judging import Judged
from wesep_mix.mixing.plan import Plan

CONDITIONS = ("sexes", "snr_db", "overlap")
BY_CONDITION, MIXTURES = "by_condition.json", "mixtures.csv"  # in stage 8's folder `clustering`
MAX_MODES = 8  # more SNRs than that are no modes: they are told in steps of 5 dB
SNR_STEP = 5
NONE = "none"

Groups = dict[str, dict[str, dict[str, float]]]  # {condition: {value: {measure: number}}}


def by_condition(rows: Mapping[str, Judged], plans: Sequence[Plan]) -> dict[str, Groups]:
    """{row: {condition: {value: {"acc", "cos" where the row has a reference, "count_acc" where it told the number of
    talkers, "num" embeddings}}}}.

    acc: share of the embeddings that the one clustering of all of them put right (so the values' accs, weighted by
    num, make the row's acc), not a clustering of each value by itself.
    """
    known = conditions(plans)
    return {name: _grouped(row, known) for name, row in rows.items()}


def flat(groups: Groups) -> dict[str, float]:
    """{"<condition>/<value>/<measure>": number} of one row, its numbers of embeddings left away."""
    return {
        f"{condition}/{value}/{measure}": number
        for condition, values in groups.items()
        for value, measures in values.items()
        for measure, number in measures.items()
        if measure != "num"
    }


def conditions(plans: Sequence[Plan]) -> dict[str, dict[str, str]]:
    """{mixture: {"sexes", "snr_db", "overlap"}}, each as text.

    overlap: mean of the mixture's overlaps, in steps of 0.1; `none` with one talker. snr_db: of the noise.
    """
    modes = {plan.noise.snr_db for plan in plans}
    name_snr = (lambda value: f"{value:g}") if len(modes) <= MAX_MODES else _snr_step
    return {
        plan.id: {"sexes": plan.sexes, "snr_db": name_snr(plan.noise.snr_db), "overlap": overlap_step(plan)}
        for plan in plans
    }


def overlap_step(plan: Plan) -> str:
    """`0.5-0.6` and so on; a mean overlap on a border belongs to the step above it, but 0.8 and 1.0 to the one below:
    the paper's mixtures have 0.5 to 0.8.
    """
    if not plan.overlaps:
        return NONE
    mean = round(float(np.mean(plan.overlaps)), 6)
    step = int(mean * 10 + 1e-6) - (mean in (0.8, 1.0))
    return f"{step / 10:.1f}-{(step + 1) / 10:.1f}"


def write_conditions(path: Path, plans: Sequence[Plan]) -> None:
    """Write `mix,sexes,snr_db,overlap`, a line a mixture, sorted by mixture."""
    known = conditions(plans)
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("mix", *CONDITIONS))
        writer.writerows((mix, *known[mix].values()) for mix in sorted(known, key=str.encode))


def read_conditions(path: Path) -> dict[str, dict[str, str]]:
    """{mixture: {condition: value}} as `write_conditions` wrote it. Raises: UserError when it is another table."""
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != ("mix", *CONDITIONS):
            raise UserError(
                f"{path}: wanted the columns mix,{','.join(CONDITIONS)}, found "
                f"{','.join(reader.fieldnames or ())}; redo stage 8 with --force true"
            )
        return {row.pop("mix"): row for row in reader}


def _grouped(row: Judged, known: Mapping[str, Mapping[str, str]]) -> Groups:
    groups: Groups = {}
    for condition in CONDITIONS:
        values = np.array([known[plan.id][condition] for plan in row.labelled.plans])
        groups[condition] = {value: _measures(row, values == value) for value in np.unique(values).tolist()}
    return groups


def _measures(row: Judged, chosen: np.ndarray) -> dict[str, float]:
    cos = {} if row.cos is None else {"cos": float(row.cos[chosen].mean())}
    measures = {"acc": float(row.correct[chosen].mean()), **cos, "num": int(chosen.sum())}
    if row.counted is not None:
        mixtures = {plan.id for plan, one in zip(row.labelled.plans, chosen, strict=True) if one}
        measures["count_acc"] = sum(row.counted[mixture] for mixture in mixtures) / len(mixtures)
    return measures


def _snr_step(snr_db: float) -> str:
    low = int(np.floor(snr_db / SNR_STEP)) * SNR_STEP
    return f"{low}..{low + SNR_STEP}"
