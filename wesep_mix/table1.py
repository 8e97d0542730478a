"""Table 1 of arXiv 2604.03219 as a plan: what every row trains and is tested on, and which models rows share.

Nothing is trained here. A row becomes calls of the entry points of stages 2 to 4, with settings laid over those of the
recipe, so each of them is skipped, resumed and redone as it is there. This module imports no torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODELS = ("teacher", "kmeans", "student")
STAGES = {2: "train_teacher", 3: "train_student", 4: "extract_embeddings"}  # stage: entry point
TABLE, TEST = "table1.yaml", "test"


@dataclass(frozen=True)
class RowConfig:
    """A row of the table: one way of training, tested on the test set of one number of talkers.

    num_spk: talkers of what it is tested on; 1 is noisy single speech. trained_on: talkers of the mixtures that its
    student is trained on, where that is not `num_spk`. teacher, student: `key: value`, as in `--set key=value`, over
    teacher.yaml and student.yaml. paper: Acc of the paper's row in per cent.
    """

    title: str
    num_spk: int
    model: str
    trained_on: int | None = None
    teacher: dict[str, Any] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)
    paper: float | None = None

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"model: wanted one of {', '.join(MODELS)}, found {self.model}")
        if min(self.num_spk, self.num_trained) < 1:
            raise ValueError(f"num_spk and trained_on: wanted 1 or more talkers, found {self.num_spk}, "
                             f"{self.trained_on}")
        if self.model != "student" and (self.student or self.trained_on is not None):
            raise ValueError(f"model {self.model}: it trains no student, leave out student and trained_on")
        if (self.model == "teacher") != (self.num_spk == 1) and self.model != "student":
            raise ValueError(f"num_spk: a teacher is tested on 1 talker, kmeans on 2 or more, found {self.num_spk}")

    @property
    def num_trained(self) -> int:
        return self.num_spk if self.trained_on is None else self.trained_on


@dataclass(frozen=True)
class ShareConfig:
    """A statement below the table: Acc of `row` is at least `wanted` (a share) of the Acc of row `of`."""

    row: str
    of: str
    wanted: float


@dataclass(frozen=True)
class CountConfig:
    """A statement below the table: the number of talkers is right in at least `wanted` (a share) of the mixtures."""

    rows: tuple[str, ...]
    wanted: float


@dataclass(frozen=True)
class Table1Config:
    """conf/table1.yaml. shares, ahead (pairs of rows, the first is ahead of the second) and counts are statements."""

    rows: dict[str, RowConfig]
    seeds: tuple[int, ...] = (0, 1, 2)
    shares: tuple[ShareConfig, ...] = ()
    ahead: tuple[tuple[str, ...], ...] = ()
    counts: CountConfig | None = None

    def __post_init__(self) -> None:
        if not self.rows or not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"wanted rows, and seeds from 0 on, each once; found seeds {list(self.seeds)}")
        for name in self.rows:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", str(name)):
                raise ValueError(f"rows: {name}: a row's name, which names folders, takes letters, digits, _ and -")
        for pair in self.ahead:
            if len(pair) != 2:
                raise ValueError(f"ahead: wanted pairs of rows, found {list(pair)}")
        for name in self._named():
            if name not in self.rows:
                raise ValueError(f"no row {name} in rows; there are: {', '.join(self.rows)}")

    def _named(self) -> list[str]:
        """The rows that statements are about."""
        named = [name for share in self.shares for name in (share.row, share.of)]
        named += [name for pair in self.ahead for name in pair]
        return named + (list(self.counts.rows) if self.counts else [])


def row_overrides(row: RowConfig, section: str) -> list[str]:
    """A row's settings for teacher or student in the form of `--set`; JSON, which is YAML too."""
    return [f"{section}.{key}={json.dumps(value, default=str)}" for key, value in getattr(row, section).items()]


@dataclass(frozen=True)
class Job:
    """One call of an entry point: what it makes, and its options."""

    entry: str
    out: Path
    options: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Where everything of the table lies. conf: egs/CORPUS/conf; data: data/CORPUS; single: its single-speaker sets;
    exp: exp/CORPUS/table1; settings: the `--set` values of the run, which a row's own go over."""

    table: Table1Config
    conf: Path
    data: Path
    single: Path
    exp: Path
    settings: Sequence[str] = ()

    def talkers(self, num_spk: int) -> Path:
        """The prepared sets of that number of talkers."""
        return self.single if num_spk == 1 else self.data / f"{num_spk}mix"

    def missing(self, name: str) -> list[Path]:
        """Prepared sets that the row needs and that are not there."""
        row = self.table.rows[name]
        needed = [self.talkers(row.num_spk)]
        needed += [self.talkers(row.num_trained)] if row.model == "student" else []
        return [folder for folder in dict.fromkeys(needed) if not (folder / TEST / "plan.jsonl").is_file()]

    def teacher(self, name: str, seed: int) -> Path:
        """Folder of the row's teacher: named by the first row with these settings, for all that have them."""
        wanted = self.table.rows[name].teacher
        owners = [other for other, row in self.table.rows.items() if row.teacher == wanted]
        first = next((other for other in owners if self.table.rows[other].model == "teacher"), owners[0])
        return self.exp / f"seed{seed}" / "teacher" / first

    def student(self, name: str, seed: int) -> Path:
        """Folder of the row's student; rows that only differ in what they are tested on have one."""
        wanted = self._training(name)
        first = next(other for other in self.table.rows if self._training(other) == wanted)
        return self.exp / f"seed{seed}" / "student" / first

    def embeddings(self, name: str, seed: int) -> Path:
        return self.exp / f"seed{seed}" / "embeddings" / name

    def metrics(self, name: str, seed: int) -> Path:
        return self.exp / f"seed{seed}" / "metrics" / name

    def jobs(self, stage: int, names: Sequence[str], seeds: Sequence[int]) -> list[Job]:
        """The calls of a stage (2 to 4) for these rows and seeds, each once; no call needs another's result."""
        makers = {2: self._teacher_job, 3: self._student_job, 4: self._embeddings_job}
        made = [makers[stage](name, seed) for seed in seeds for name in names]
        return list({job.out: job for job in made if job is not None}.values())

    def _training(self, name: str) -> tuple | None:
        """What tells two students apart; None for a row without one."""
        row = self.table.rows[name]
        return (row.teacher, row.student, row.num_trained) if row.model == "student" else None

    def _teacher_job(self, name: str, seed: int) -> Job:
        row, out = self.table.rows[name], self.teacher(name, seed)
        settings = [*row_overrides(row, "teacher"), f"teacher.seed={seed}"]
        return self._job(2, "teacher", out, settings, data=self.single)

    def _student_job(self, name: str, seed: int) -> Job | None:
        row = self.table.rows[name]
        if row.model != "student":
            return None
        settings = [*row_overrides(row, "student"), f"student.seed={seed}"]
        return self._job(3, "student", self.student(name, seed), settings, data=self.talkers(row.num_trained),
                         teacher=self.teacher(name, seed) / "model.pt", num_spk=row.num_trained)

    def _embeddings_job(self, name: str, seed: int) -> Job | None:
        row = self.table.rows[name]
        if row.model == "kmeans":
            return None
        student = {"student": self.student(name, seed) / "model.pt"} if row.model == "student" else {}
        return self._job(4, "embeddings", self.embeddings(name, seed), [f"embeddings.sets=[{TEST}]"],
                         data=self.talkers(row.num_spk), single=self.single,
                         teacher=self.teacher(name, seed) / "model.pt", **student)

    def _job(self, stage: int, section: str, out: Path, settings: Sequence[str], **options: Any) -> Job:
        named = {"config": self.conf / f"{section}.yaml", "out": out, **options}
        sets = [f"--set={setting}" for setting in (*self.settings, *settings)]
        return Job(STAGES[stage], out, (*(f"--{key}={value}" for key, value in named.items()), *sets))
