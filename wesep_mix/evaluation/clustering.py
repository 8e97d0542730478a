"""Stage 8's table of embeddings: teacher, frame k-means and student on the test set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_table, write_json
from wesep_mix.evaluation.breakdown import BY_CONDITION, MIXTURES, by_condition, write_conditions
from wesep_mix.evaluation.judging import (
    Judged,
    clean_table,
    judge,
    single_table,
    student_table,
)
from wesep_mix.evaluation.kmeans_baseline import kmeans_tables, untaught
from wesep_mix.inference.embeddings import COUNTS
from wesep_mix.io.embeddings import read_embeddings
from wesep_mix.mixing.plan import Plan, single_keys
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
    """{row: judged} of `teacher` (noisy single speech), `teacher/clean` (the mixtures' clean sources),
    `kmeans`, `kmeans/teacher` (frames of the front-end before and after the teacher's training) and `student`
    (the mixtures).

    embeddings: folder of stage 4; teacher, student: model files. `trainable` is the number of parameters that
    training changed, as noted in the model file.
    """
    trials = fixed_trials(plans)
    return {
        "teacher": teacher_row(embeddings, teacher, single, seed),
        "teacher/clean": clean_row(embeddings, teacher, plans, trials, seed),
        **kmeans_rows(teacher, plans, trials, seed, device),
        "student": student_row(embeddings, student, plans, trials, seed),
    }


def write_rows(out: Path, rows: Mapping[str, Judged], plans: Sequence[Plan]) -> None:
    """Write the table, its rows on the mixtures by condition, and the condition of every mixture to folder `out`."""
    mixed = {name: row for name, row in rows.items() if name != "teacher"}  # which hears no mixtures
    write_json(out / BY_CONDITION, by_condition(mixed, plans))
    write_conditions(out / MIXTURES, plans)
    write_json(out / METRICS, {name: row.metrics for name, row in rows.items()})


def teacher_row(embeddings: Path, teacher: Path, single: Sequence[Plan], seed: int) -> Judged:
    """The teacher on noisy single speech."""
    table = single_table(read_embeddings(embeddings / "single_test" / "teacher.scp"), single)
    return judge(table, fixed_trials(single, single_keys), num_trainable(teacher, "teachers"), seed)


def clean_row(embeddings: Path, teacher: Path, plans: Sequence[Plan], trials: Trials, seed: int) -> Judged:
    """The teacher on the mixtures' clean sources."""
    table = clean_table(read_embeddings(embeddings / "test" / "teacher.scp"), plans)
    return judge(table, trials, num_trainable(teacher, "teachers"), seed)


def kmeans_rows(
    teacher: Path, plans: Sequence[Plan], trials: Trials, seed: int, device: str, taught: bool = True
) -> dict[str, Judged]:
    """Frame k-means with the teacher's front-end as it was before training and, if `taught`, with it as it is now.

    Empty for a teacher without a front-end; of a frozen one both are the same, and computed once.
    """
    frontend = getattr(load_model(teacher, "teachers"), "frontend", None)
    if frontend is None:
        return {}
    frontends = {"kmeans": untaught(frontend, seed)}
    if taught and frontends["kmeans"] is not frontend:
        frontends["kmeans/teacher"] = frontend
    tables = kmeans_tables(frontends, plans, seed, device)
    rows = {name: judge(table, trials, 0, seed) for name, table in tables.items()}
    if taught:
        rows.setdefault("kmeans/teacher", rows["kmeans"])
    return rows


def student_row(embeddings: Path, student: Path, plans: Sequence[Plan], trials: Trials, seed: int) -> Judged:
    """The student on the mixtures. Beside the usual: `cos` to the teacher on the clean sources; `num_missing`, talkers
    who got no head; `count_acc`, the share of mixtures whose number of talkers it told, where stage 4 wrote that.
    """
    matched, clean = (read_embeddings(embeddings / "test" / f"{kind}.scp") for kind in ("matched", "teacher"))
    row = judge(student_table(matched, plans), trials, num_trainable(student, "students"), seed, references=clean)
    row.metrics["num_missing"] = sum(len(plan.sources) for plan in plans) - row.metrics["num"]
    counted = counted_right(embeddings / "test" / COUNTS, plans)
    if counted is not None:
        row.metrics["count_acc"] = sum(counted.values()) / len(counted)
    return dataclasses.replace(row, counted=counted)


def counted_right(path: Path, plans: Sequence[Plan]) -> dict[str, bool] | None:
    """{mixture: whether the file has its number of talkers right}; None without the file.

    path: `<mix> <count>` a line. Raises: UserError when a mixture is missing or its count is no number.
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
    """The model file's note of it (a teacher's counts its ArcFace weights too), else all its parameters."""
    noted = load_notes(path, kind).get("num_trainable")
    return num_parameters(load_model(path, kind)) if noted is None else int(noted)
