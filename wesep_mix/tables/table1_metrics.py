"""Metrics of one row of Table 1 for one seed, and which of its embeddings are right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.breakdown import break_down, flatten
from wesep_mix.evaluation.clustering import kmeans_rows, student_row, teacher_row
from wesep_mix.evaluation.judging import Judged
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.trials import fixed_trials


def measure_row(
    plans: Sequence[Plan],
    seed: int,
    device: str,
    teacher: Path,
    student: Path | None = None,
    embeddings: Path | None = None,
) -> tuple[dict[str, float], dict[str, dict[str, bool | None]]]:
    """Measure a row on its test set.

    With a student: the student on the mixtures. With embeddings alone: the teacher on noisy single speech. With
    neither: k-means over each mixture's frames.

    Args:
        plans: the test set.
        seed: of k-means.
        device: `cpu` or `cuda`.
        teacher: model file of stage 2.
        student: model file of stage 3.
        embeddings: folder of stage 4.

    Returns:
        The metrics of evaluation.clustering; on mixtures also those of the breakdown (breakdown.flatten). Beside them
        {mixture: {speaker: whether their embedding is in their cluster, None for a talker without one}}.

    Raises:
        UserError: the teacher has no front-end for k-means.
    """
    if student is None and embeddings is not None:
        row = teacher_row(embeddings, teacher, plans, seed)
        return row.metrics, row.by_talker(plans)
    row = (
        _kmeans_row(teacher, plans, seed, device)
        if student is None
        else student_row(embeddings, student, plans, fixed_trials(plans), seed)
    )
    return row.metrics | flatten(break_down({"": row}, plans)[""]), row.by_talker(plans)


def _kmeans_row(teacher: Path, plans: Sequence[Plan], seed: int, device: str) -> Judged:
    """With the teacher's front-end as it was before its training."""
    rows = kmeans_rows(teacher, plans, fixed_trials(plans), seed, device, with_trained=False)
    if not rows:
        raise UserError(
            f"{teacher}: wanted a teacher with a front-end for frame k-means, found one without; give the "
            "row another teacher, or leave it out of table1.yaml"
        )
    return rows["kmeans"]
