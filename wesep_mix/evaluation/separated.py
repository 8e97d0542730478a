"""Separate first, then embed: how the teacher's embeddings of a separator's outputs cluster (arXiv 2604.03219, 4.5).

The row `separated` has the embeddings of the outputs as they are, each under the talker that stage 6 named it after. To
see what separation costs, each output is brought to its clean source's time and level, and both are mixed:
(1 - a) clean + a separated. All of it is embedded where the source speaks, as the clean sources are.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.jobs import in_a_job
from wesep_mix.evaluation.judging import Judged, Labelled, judge
from wesep_mix.evaluation.outcomes import compare_rows, right_outcomes
from wesep_mix.evaluation.sharing import in_groups
from wesep_mix.evaluation.trials import Trial, estimate
from wesep_mix.inference.controls import SEPARATED, model_of
from wesep_mix.io.embeddings import TEACHER, read_embeddings
from wesep_mix.metrics.alignment import align
from wesep_mix.metrics.curves import setback
from wesep_mix.mixing.plan import Plan, speaker_keys
from wesep_mix.mixing.render import Rendered, render
from wesep_mix.mixing.trials import fixed_trials

STEPS = tuple(step / 5 for step in range(6))  # a
COLUMNS = ("mix", "speaker", "a", "lag", "gain", "right", "cos")
STUDENT = "student"
MAX_LAG_S = 0.01
RISING = {"acc": False, "nmi": False, "ari": False, "sil": False, "eer": True}  # with a, where separation costs
TOLERANCE = 0.01  # by which a metric may go back and counts as monotone
DEV, LAST_PART = "dev/loss", 0.1


@dataclass(frozen=True)
class Outputs:
    """What a separator made of the test set, and what it is judged by.

    Attributes:
        separator: its folder, `exp/CORPUS/Nmix/NAME`.
        teacher: model file.
        student: model file.
        embeddings: folder of stage 4.
    """

    separator: Path
    teacher: Path
    student: Path
    embeddings: Path


@dataclass(frozen=True)
class Embedded:
    """A talker's output.

    Attributes:
        lag: samples by which it was late.
        gain: what it was multiplied by.
        emb: the teacher's embeddings of it, and of all steps from the clean source to it, [1 + A, D].
    """

    lag: int
    gain: float
    emb: np.ndarray


def separated_rows(
    outputs: Outputs, plans: Sequence[Plan], seed: int, device: str = "cpu", nj: int = 1
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The embeddings of a separator's outputs, judged as the student's are.

    Args:
        outputs: of the separator.
        plans: the mixtures.
        seed: of k-means.
        device: `cpu` or `cuda`.
        nj: processes or jobs; the result does not depend on it.

    Returns:
        Rows of separated.csv (COLUMNS), whose `a` is `separated` for the outputs as they are. And what they say:
        `separated` and `steps`, metrics as the student's; `setbacks` of those over the steps; `ahead`, Acc of the
        student minus that of the outputs; `training` (dev_history); the `tolerance`.

    Raises:
        UserError: an output is missing, silent or of another length.
    """
    embed = partial(_embed, outputs.teacher, outputs.separator / "test" / SEPARATED / "wav", device)
    found = in_groups(embed, plans, "embedding separated speech", device, nj)
    judged = in_a_job(partial(_judge, outputs, plans, np.stack([one.emb for one in found]), seed), "clustering")
    rows = [row for name in (SEPARATED, *STEPS) for row in _rows(name, judged[name], found)]
    steps = [{"a": step, **judged[step].metrics} for step in STEPS]
    return rows, {
        SEPARATED: judged[SEPARATED].metrics,
        "steps": steps,
        "setbacks": {name: setback([step[name] for step in steps], rising) for name, rising in RISING.items()},
        "ahead": _ahead(judged[STUDENT], judged[SEPARATED], plans),
        "training": dev_history(model_of(outputs.separator, SEPARATED).parent / "logs" / "csv"),
        "tolerance": TOLERANCE,
    }


def _embed(teacher: Path, wavs: Path, device: str, plans: Sequence[Plan]) -> list[Embedded]:
    import torch

    from wesep_mix.models.checkpoint import load_model

    model, found = load_model(teacher, "teachers").to(device), []
    for plan in plans:
        rendered = render(plan)
        for place, key in enumerate(speaker_keys(plan)):
            speech, lag, gain = stretches(Trial(plan, place, wavs / f"{key}.wav"), rendered)
            with torch.inference_mode():
                emb = model(torch.from_numpy(speech).to(device)).float().cpu().numpy()
            found.append(Embedded(lag, gain, emb))
    return found


def stretches(trial: Trial, rendered: Rendered) -> tuple[np.ndarray, int, float]:
    """An output, and all steps from the clean source to it, where the source speaks.

    Args:
        trial: the output.
        rendered: its mixture.

    Returns:
        float32 [1 + A, T]; the lag in samples and the gain of the alignment.

    Raises:
        UserError: the output is missing, silent or of another length.
    """
    source, clean = trial.plan.sources[trial.index], rendered.sources[trial.index]
    try:
        est = estimate(trial, rendered)
        aligned, lag, gain = align(est, clean, round(MAX_LAG_S * trial.plan.sample_rate))
    except UserError as err:
        raise UserError(f"{speaker_keys(trial.plan)[trial.index]}: {err}") from err
    steps = [(1 - step) * clean + step * aligned for step in STEPS]
    place = slice(source.offset, source.offset + source.num_samples)
    return np.stack([est, *steps])[:, place].astype(np.float32), lag, gain


def _judge(outputs: Outputs, plans: Sequence[Plan], emb: np.ndarray, seed: int) -> dict[str | float, Judged]:
    """The student, the outputs and every step, whose embeddings are [M, 1 + A, D] of M talkers in the plans' order."""
    from wesep_mix.evaluation.clustering import (  # imports torch, which the report doesn't need
        num_trainable,
        student_row,
    )

    trials, clean = fixed_trials(plans), read_embeddings(outputs.embeddings / "test" / TEACHER)
    trainable = num_trainable(model_of(outputs.separator, SEPARATED), "separators")
    judged: dict[str | float, Judged] = {STUDENT: student_row(outputs.embeddings, outputs.student, plans, trials, seed)}
    for place, name in enumerate((SEPARATED, *STEPS)):
        judged[name] = judge(Labelled.of(plans, [emb[:, place]]), trials, trainable, seed, clean)
    return judged


def _rows(name: str | float, judged: Judged, found: Sequence[Embedded]) -> list[dict[str, Any]]:
    talkers = zip(judged.labelled.plans, judged.labelled.sources, found, judged.correct, judged.cos, strict=True)
    return [
        {
            "mix": plan.id,
            "speaker": source.spk,
            "a": name,
            "lag": one.lag,
            "gain": round(one.gain, 6),
            "right": int(right),
            "cos": round(float(cos), 6),
        }
        for plan, source, one, right, cos in talkers
    ]


def _ahead(student: Judged, separated: Judged, plans: Sequence[Plan]) -> dict[str, Any] | None:
    ahead = compare_rows(*([right_outcomes(row.by_talker(plans))] for row in (student, separated)))
    return None if ahead is None else ahead.difference | {"num": ahead.mixtures[0], "num_speakers": ahead.speakers}


def dev_history(logs: Path) -> dict[str, Any] | None:
    """Whether a training's score on the dev set was still rising when it ended.

    Args:
        logs: folder of the training's `metrics*.csv`.

    Returns:
        `epochs`; `last_is_best`, whether its dev loss was lowest in the last one; `gain_db`, by how much the lowest of
        the last tenth of epochs is below the lowest before it; None where the log is not there.
    """
    losses: dict[int, float] = {}
    for path in sorted(logs.glob("metrics*.csv"), key=lambda path: path.stat().st_mtime):
        with open(path, encoding="utf-8", newline="") as file:
            losses |= {int(row["epoch"]): float(row[DEV]) for row in csv.DictReader(file) if row.get(DEV)}
    values = [losses[epoch] for epoch in sorted(losses)]
    if len(values) < 2:
        return None
    last = max(1, round(LAST_PART * len(values)))
    gain = min(values[:-last]) - min(values[-last:])
    return {"epochs": len(values), "last_is_best": values[-1] == min(values), "gain_db": gain, "last_epochs": last}
