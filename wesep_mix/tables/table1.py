"""Table 1 of arXiv 2604.03219 as a plan: what every row trains and is tested on, and which models rows share.

Nothing is trained here. A row becomes calls of the entry points of stages 2 to 4, with its settings over those of the
recipe; so each call is skipped, resumed and redone as in the recipe. This module imports no torch.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from wesep_mix.base.config import FILLED, Checked, Count, at_least
from wesep_mix.base.files import read_json
from wesep_mix.base.stage import Need, Part
from wesep_mix.mixing.plan import PLANS
from wesep_mix.tables.jobs import TEST, Ahead, Job, Seeds, check_named, check_rows, job, missing_sets, overrides

METRICS, TALKERS = "metrics.json", "talkers.json"  # of a row: its numbers, and whose embeddings are in their cluster


@dataclass(frozen=True)
class Table1Row(Checked):
    """A row of the table: one way of training, tested on the test set of one number of talkers.

    Attributes:
        num_spk: talkers of what it is tested on; 1 is noisy single speech.
        trained_on: talkers of the mixtures that its student is trained on, where that is not `num_spk`.
        teacher: `key: value`, as in `--set key=value`, over teacher.yaml.
        student: the same over student.yaml.
        embeddings: the same over embeddings.yaml, for a harder test of a teacher.
        paper: Acc of the paper's row in per cent.
    """

    title: str
    num_spk: Annotated[int, at_least(1, says="1 or more talkers")]
    model: Literal["teacher", "kmeans", "student"]
    trained_on: Count | None = None
    teacher: dict[str, Any] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)
    embeddings: dict[str, Any] = field(default_factory=dict)
    paper: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model != "student" and (self.student or self.trained_on is not None):
            raise ValueError(f"model {self.model}: it trains no student, leave out student and trained_on")
        if (self.model == "teacher") != (self.num_spk == 1) and self.model != "student":
            raise ValueError(f"num_spk: a teacher is tested on 1 talker, kmeans on 2 or more, found {self.num_spk}")
        if self.model != "teacher" and self.embeddings:
            raise ValueError(f"model {self.model}: embeddings is a teacher's test, leave it out")

    @property
    def num_trained(self) -> int:
        return self.num_spk if self.trained_on is None else self.trained_on

    def over(self, teacher: Mapping[str, Any], student: Mapping[str, Any]) -> Table1Row:
        """The row with these settings where it has none of its own; only a student's row has a student's."""
        under = student if self.model == "student" else {}
        return dataclasses.replace(self, teacher={**teacher, **self.teacher}, student={**under, **self.student})


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
class Table1Config(Checked):
    """conf/table1.yaml. `shares`, `ahead` and `counts` are statements below the table.

    Attributes:
        rows: the table's, by name; after loading they have `teacher` and `student` where they have none of their own.
        seeds: each of them trains every row.
        teacher: settings of all rows over teacher.yaml, over which a row's own go.
        student: the same over student.yaml.
        ahead: pairs of rows; the first is ahead of the second in Acc.
    """

    rows: Annotated[dict[str, Table1Row], FILLED]
    seeds: Seeds = (0, 1, 2)
    teacher: dict[str, Any] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)
    shares: tuple[ShareConfig, ...] = ()
    ahead: Ahead = ()
    counts: CountConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = {name: row.over(self.teacher, self.student) for name, row in self.rows.items()}
        object.__setattr__(self, "rows", whole)
        check_rows(self.rows, self.seeds)
        named = [name for share in self.shares for name in (share.row, share.of)]
        check_named([*named, *itertools.chain(*self.ahead), *(self.counts.rows if self.counts else ())], self.rows)


def row_overrides(row: Table1Row) -> list[str]:
    """A row's settings in the form of `--set`."""
    sections = ("teacher", "student", "embeddings")
    return [setting for section in sections for setting in overrides(section, getattr(row, section))]


@dataclass(frozen=True)
class Table1Layout:
    """Where everything of the table lies, and which calls of entry points make it.

    Attributes:
        table: conf/table1.yaml.
        conf: egs/CORPUS/conf.
        data: data/CORPUS.
        single: its single-speaker sets.
        exp: exp/CORPUS/table1.
        settings: the `--set` values of the run; a row's own settings have precedence.
    """

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
        return missing_sets([self.talkers(row.num_spk), *([self.talkers(row.num_trained)] * (row.model == "student"))])

    def teacher(self, name: str, seed: int) -> Path:
        """Folder of the row's teacher, which all rows with its settings share; the first of them names it.

        Args:
            name: of the row.
            seed: of the training.

        Returns:
            The folder.
        """
        wanted = self.table.rows[name].teacher
        owners = [other for other, row in self.table.rows.items() if row.teacher == wanted]
        first = next((other for other in owners if self.table.rows[other].model == "teacher"), owners[0])
        return self.exp / f"seed{seed}" / "teacher" / first

    def student(self, name: str, seed: int) -> Path:
        """Folder of the row's student, which rows share that differ only in their test set; the first of them names it.

        Args:
            name: of the row.
            seed: of the training.

        Returns:
            The folder.
        """
        wanted = self._training(name)
        first = next(other for other in self.table.rows if self._training(other) == wanted)
        return self.exp / f"seed{seed}" / "student" / first

    def embeddings(self, name: str, seed: int) -> Path:
        """Folder of the row's embeddings.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            The folder.
        """
        return self.exp / f"seed{seed}" / "embeddings" / name

    def jobs(self, name: str, seed: int) -> list[Job]:
        """The calls of stages 2 to 4 for a row, each of which needs those before it.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            The calls.
        """
        makers = {
            "teacher": (self._teacher_job, self._single_job),
            "kmeans": (self._teacher_job,),
            "student": (self._teacher_job, self._student_job, self._mixtures_job),
        }
        return [make(name, seed) for make in makers[self.table.rows[name].model]]

    def metrics(self, name: str, seed: int) -> Part:
        """The row's part of stage 8, which needs the row's test set and the products of its jobs.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            The part.
        """
        row = self.table.rows[name]
        needs = [Need(each.product, each.stage) for each in self.jobs(name, seed)]
        plans = Need(self.talkers(row.num_spk) / TEST / PLANS, 1)
        return Part(
            8,
            f"table 1, {name}, seed {seed}",
            self.exp / f"seed{seed}" / "metrics" / name,
            {"model": row.model, "seed": seed, "files": [METRICS, TALKERS]},
            [plans, *needs],
        )

    def result(self, name: str, seed: int) -> Path:
        """File of the row's numbers, JSON.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            The path.
        """
        return self.metrics(name, seed).out / METRICS

    def is_measured(self, name: str, seed: int) -> bool:
        """Whether stage 8 has measured the row, and none of its inputs has changed since.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            Whether the numbers can be used.
        """
        return self.metrics(name, seed).is_done()

    def measured(self, name: str, seed: int) -> dict[str, Any]:
        """The row's numbers.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            {metric: number}.
        """
        return read_json(self.result(name, seed))

    def _training(self, name: str) -> tuple | None:
        """What tells two students apart; None for a row without one."""
        row = self.table.rows[name]
        return (row.teacher, row.student, row.num_trained) if row.model == "student" else None

    def _teacher_job(self, name: str, seed: int) -> Job:
        return self._job(2, "teacher", self.teacher(name, seed), name, seed, {"data": self.single})

    def _student_job(self, name: str, seed: int) -> Job:
        num_spk = self.table.rows[name].num_trained
        options = {"data": self.talkers(num_spk), "teacher": self.teacher(name, seed) / "model.pt", "num_spk": num_spk}
        return self._job(3, "student", self.student(name, seed), name, seed, options)

    def _job(self, stage: int, network: str, out: Path, name: str, seed: int, options: dict[str, Any]) -> Job:
        own = overrides(network, getattr(self.table.rows[name], network))
        return job(
            stage,
            f"train_{network}",
            out,
            "model.pt",
            {"config": self.conf / f"{network}.yaml", "out": out, **options},
            [*self.settings, *own, f"{network}.seed={seed}"],
        )

    def _single_job(self, name: str, seed: int) -> Job:
        return self._embeddings_job(name, seed, {"single": self.single})

    def _mixtures_job(self, name: str, seed: int) -> Job:
        return self._embeddings_job(name, seed, {"student": self.student(name, seed) / "model.pt"})

    def _embeddings_job(self, name: str, seed: int, options: dict[str, Any]) -> Job:
        row, out = self.table.rows[name], self.embeddings(name, seed)
        common = {
            "config": self.conf / "embeddings.yaml",
            "out": out,
            "data": self.talkers(row.num_spk),
            "teacher": self.teacher(name, seed) / "model.pt",
        }
        settings = [*self.settings, *overrides("embeddings", row.embeddings), f"embeddings.sets=[{TEST}]"]
        return job(4, "extract_embeddings", out, "", {**common, **options}, settings)
