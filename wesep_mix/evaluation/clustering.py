"""Stage 8's table of embeddings: teacher, frame k-means and student on the test set, one function a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_table, write_json
from wesep_mix.evaluation.breakdown import BREAKDOWN, MIXTURES, TALKERS, break_down, write_properties
from wesep_mix.evaluation.judging import (
    Judged,
    clean_table,
    judge,
    single_table,
    student_table,
)
from wesep_mix.evaluation.kmeans_baseline import initial_frontend, kmeans_tables
from wesep_mix.inference.embeddings import COUNTS
from wesep_mix.io.embeddings import read_embeddings
from wesep_mix.mixing.plan import PLANS, Plan, read_plans, single_keys
from wesep_mix.mixing.trials import Trials, fixed_trials
from wesep_mix.models.checkpoint import load_model, load_notes, num_parameters

METRICS = "metrics.json"


def clustering_rows(
    embeddings: Path,
    teacher: Path,
    student: Path,
    plans: Sequence[Plan],
    single: Sequence[Plan],
    seed: int,
    device: str,
) -> dict[str, Judged]:
    """All rows of the table.

    Args:
        embeddings: folder of stage 4.
        teacher: model file.
        student: model file.
        plans: the test mixtures.
        single: plans of the noisy single speech.
        seed: of k-means.
        device: `cpu` or `cuda`.

    Returns:
        {row: judged}: `teacher` on noisy single speech, `teacher/clean` on the mixtures' clean sources, `kmeans` and
        `kmeans/teacher` on frames of the front-end before and after the teacher's training, `student` on the mixtures.
    """
    trials = fixed_trials(plans)
    return {
        "teacher": teacher_row(embeddings, teacher, single, seed),
        "teacher/clean": clean_row(embeddings, teacher, plans, trials, seed),
        **kmeans_rows(teacher, plans, trials, seed, device),
        "student": student_row(embeddings, student, plans, trials, seed),
    }


def write_rows(out: Path, rows: Mapping[str, Judged], plans: Sequence[Plan]) -> None:
    """Write the table, the breakdown of its rows on mixtures, whose embeddings are in their cluster, and the
    properties of every mixture.

    Args:
        out: folder.
        rows: from `clustering_rows`.
        plans: the test mixtures.
    """
    of_mixtures = {name: row for name, row in rows.items() if name != "teacher"}
    labelled = rows["teacher/clean"].labelled
    clean = dict(zip(labelled.keys, labelled.emb, strict=True))
    write_json(out / BREAKDOWN, break_down(of_mixtures, plans, clean))
    write_properties(out / MIXTURES, plans, clean)
    write_json(out / TALKERS, {name: row.by_talker(plans) for name, row in of_mixtures.items()})
    write_json(out / METRICS, {name: row.metrics for name, row in rows.items()})


def teacher_row(embeddings: Path, teacher: Path, single: Sequence[Plan], seed: int) -> Judged:
    """The teacher on noisy single speech.

    Args:
        embeddings: folder of stage 4.
        teacher: model file.
        single: plans of the noisy single speech.
        seed: of k-means.

    Returns:
        The row.
    """
    table = single_table(read_embeddings(embeddings / "single_test" / "teacher.scp"), single)
    return judge(table, fixed_trials(single, single_keys), num_trainable(teacher, "teachers"), seed)


def clean_row(embeddings: Path, teacher: Path, plans: Sequence[Plan], trials: Trials, seed: int) -> Judged:
    """The teacher on the mixtures' clean sources.

    Args:
        embeddings: folder of stage 4.
        teacher: model file.
        plans: the test mixtures.
        trials: pairs to verify.
        seed: of k-means.

    Returns:
        The row.
    """
    table = clean_table(read_embeddings(embeddings / "test" / "teacher.scp"), plans)
    return judge(table, trials, num_trainable(teacher, "teachers"), seed)


def kmeans_rows(
    teacher: Path, plans: Sequence[Plan], trials: Trials, seed: int, device: str, with_trained: bool = True
) -> dict[str, Judged]:
    """Frame k-means with the teacher's front-end before its training, and after it.

    Args:
        teacher: model file.
        plans: the test mixtures.
        trials: pairs to verify.
        seed: of k-means, and of a front-end's first weights.
        device: `cpu` or `cuda`.
        with_trained: whether the row after the training is wanted.

    Returns:
        {`kmeans`: before, `kmeans/teacher`: after}, which are the same for a frozen front-end; empty for a teacher
        without a front-end.
    """
    frontend = getattr(load_model(teacher, "teachers"), "frontend", None)
    if frontend is None:
        return {}
    frontends = {"kmeans": initial_frontend(frontend, seed)}
    if with_trained and frontends["kmeans"] is not frontend:
        frontends["kmeans/teacher"] = frontend
    tables = kmeans_tables(frontends, plans, seed, device)
    rows = {name: judge(table, trials, 0, seed) for name, table in tables.items()}
    if with_trained:
        rows.setdefault("kmeans/teacher", rows["kmeans"])
    return rows


def student_row(embeddings: Path, student: Path, plans: Sequence[Plan], trials: Trials, seed: int) -> Judged:
    """The student on the mixtures.

    Its metrics also have `cos`, to the teacher on the clean sources; `num_missing`, the talkers without a head; and
    `count_acc`, the share of mixtures whose talkers it counts right, for a student with presence.

    Args:
        embeddings: folder of stage 4.
        student: model file.
        plans: the test mixtures.
        trials: pairs to verify.
        seed: of k-means.

    Returns:
        The row.
    """
    matched, clean = (read_embeddings(embeddings / "test" / f"{kind}.scp") for kind in ("matched", "teacher"))
    table = student_table(matched, plans)
    missing = sum(len(plan.sources) for plan in plans) - len(table.keys)
    row = judge(table, trials, num_trainable(student, "students"), seed, clean, missing)
    row.metrics["num_missing"] = missing
    counts = counts_right(embeddings / "test" / COUNTS, plans)
    if counts is not None:
        row.metrics["count_acc"] = sum(counts.values()) / len(counts)
    return dataclasses.replace(row, counts_right=counts)


def counts_right(path: Path, plans: Sequence[Plan]) -> dict[str, bool] | None:
    """Whether the student counted the talkers of each mixture right.

    Args:
        path: file of stage 4 with a line `<mix> <count>` for each mixture.
        plans: the mixtures.

    Returns:
        {mixture: right or not}; None without the file.

    Raises:
        UserError: a mixture is missing, or its count is no number.
    """
    if not path.is_file():
        return None
    counts = read_table(path)
    for plan in plans:
        if not counts.get(plan.id, "").isdecimal():
            raise UserError(
                f"{path}: wanted the number of talkers of {plan.id}, found {counts.get(plan.id, 'none')}; redo stage 4"
            )
    return {plan.id: int(counts[plan.id]) == len(plan.sources) for plan in plans}


def num_trainable(path: Path, kind: str) -> int:
    """The number of parameters that training changed.

    Args:
        path: model file.
        kind: of the model, such as `students`.

    Returns:
        As noted in the file (a teacher's counts its ArcFace weights too), else all parameters of the model.
    """
    noted = load_notes(path, kind).get("num_trainable")
    return num_parameters(load_model(path, kind)) if noted is None else int(noted)


def cluster(
    embeddings: Path, models: tuple[Path, Path], data: Path, single: Path, seed: int, device: str, out: Path
) -> None:
    """Stage 8's measures of a test set's embeddings, computed and written.

    Args:
        embeddings: folder of stage 4.
        models: teacher and student.
        data: the test set's folder.
        single: that of the voices alone.
        seed: of k-means.
        device: `cpu` or `cuda`.
        out: folder to write.
    """
    plans, voices = (read_plans(folder / PLANS) for folder in (data, single))
    write_rows(out, clustering_rows(embeddings, *models, plans, voices, seed, device), plans)
