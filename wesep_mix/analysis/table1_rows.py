"""Metrics of one row of Table 1 for one seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wesep_mix.analysis.clustering_rows import kmeans_rows, student_row, teacher_row
from wesep_mix.analysis.trials import fixed_trials
from wesep_mix.errors import UserError
from wesep_mix.mixing.plan import Plan


def teacher_metrics(embeddings: Path, teacher: Path, plans: Sequence[Plan], seed: int) -> dict[str, float]:
    """The teacher on noisy single speech. embeddings: folder of stage 4; teacher: model file; plans: the test set."""
    return teacher_row(embeddings, teacher, plans, seed).metrics


def kmeans_metrics(teacher: Path, plans: Sequence[Plan], seed: int, device: str) -> dict[str, float]:
    """k-means over each mixture's frames, of the teacher's front-end as it was before its training.

    Raises: UserError when the teacher has no front-end.
    """
    rows = kmeans_rows(teacher, plans, fixed_trials(plans), seed, device, taught=False)
    if not rows:
        raise UserError(f"{teacher}: wanted a teacher with a front-end for frame k-means, this one has none; give the "
                        "row another teacher, or leave it out of table1.yaml")
    return rows["kmeans"].metrics


def student_metrics(embeddings: Path, student: Path, plans: Sequence[Plan], seed: int) -> dict[str, float]:
    """The student on mixtures; num_missing: talkers who got no head; count_acc: of students that count talkers."""
    return student_row(embeddings, student, plans, fixed_trials(plans), seed).metrics
