"""Stage 8's table of embeddings: teacher, frame k-means and student on the test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wesep_mix.analysis.embedding_tables import clean_table, metrics_row, single_table, student_table
from wesep_mix.analysis.kmeans_baseline import kmeans_table, untaught
from wesep_mix.checkpoint import load_model, load_notes, num_parameters
from wesep_mix.io.embeddings import read_embeddings
from wesep_mix.mixing.plan import Plan


def clustering_rows(
    embeddings: Path, teacher: Path, student: Path, plans: Sequence[Plan], single: Sequence[Plan], seed: int,
    device: str,
) -> dict[str, dict[str, float]]:
    """{row: metrics} of `teacher` (noisy single speech), `teacher/clean` (the mixtures' clean sources),
    `kmeans`, `kmeans/teacher` (frames of the front-end before and after the teacher's training) and `student`
    (the mixtures).

    embeddings: folder with `single_test` and `test`; teacher, student: model files. `trainable` is the number
    of parameters that training changed, as noted in the model file.
    """
    clean = read_embeddings(embeddings / "test" / "teacher.scp")
    frontend = load_model(teacher, "teachers").frontend
    tables = {
        "teacher": single_table(read_embeddings(embeddings / "single_test" / "teacher.scp"), single),
        "teacher/clean": clean_table(clean, plans),
        "kmeans": kmeans_table(untaught(frontend, seed), plans, seed, device),
        "kmeans/teacher": kmeans_table(frontend, plans, seed, device),
        "student": student_table(read_embeddings(embeddings / "test" / "student.scp"), clean, plans),
    }
    taught = num_trainable(teacher, "teachers")
    trainable = {"teacher": taught, "teacher/clean": taught, "student": num_trainable(student, "students")}
    return {name: metrics_row(table, trainable.get(name, 0), seed) for name, table in tables.items()}


def num_trainable(path: Path, kind: str) -> int:
    """The model file's note of it (a teacher's counts its ArcFace weights too), else all its parameters."""
    noted = load_notes(path, kind).get("num_trainable")
    return num_parameters(load_model(path, kind)) if noted is None else int(noted)
