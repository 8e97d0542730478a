"""Metrics of one row of Table 1 for one seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.breakdown import by_condition, flat
from wesep_mix.evaluation.clustering import kmeans_rows, student_row, teacher_row
from wesep_mix.evaluation.judging import Judged
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.trials import fixed_trials


def row_metrics(
    plans: Sequence[Plan],
    seed: int,
    device: str,
    teacher: Path,
    student: Path | None = None,
    embeddings: Path | None = None,
) -> dict[str, float]:
    """The metrics of a row on its test set `plans`, of what stages 2 to 4 made for it: two model files and a folder.

    With a student: of the student on the mixtures. With embeddings alone: of the teacher on noisy single speech. With
    neither: of k-means over each mixture's frames. Beside the clustering and verification metrics there are num and
    trainable, of students also cos, num_missing (talkers who got no head) and, where they count talkers, count_acc; on
    mixtures also acc, cos and count_acc by condition (by_condition.flat).
    Raises: UserError when k-means has no front-end to take.
    """
    if student is None and embeddings is not None:
        return teacher_row(embeddings, teacher, plans, seed).metrics
    row = (
        _kmeans_row(teacher, plans, seed, device)
        if student is None
        else student_row(embeddings, student, plans, fixed_trials(plans), seed)
    )
    return row.metrics | flat(by_condition({"": row}, plans)[""])


def _kmeans_row(teacher: Path, plans: Sequence[Plan], seed: int, device: str) -> Judged:
    """Of the teacher's front-end as it was before its training."""
    rows = kmeans_rows(teacher, plans, fixed_trials(plans), seed, device, taught=False)
    if not rows:
        raise UserError(
            f"{teacher}: wanted a teacher with a front-end for frame k-means, this one has none; give the "
            "row another teacher, or leave it out of table1.yaml"
        )
    return rows["kmeans"]
