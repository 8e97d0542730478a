"""Tables 2 and 4 of arXiv 2604.03219 as one plan: which extractor or separator a row trains, extracts and scores.

The paper prints other numbers of the same extractors in Table 4, beside Conv-TasNet. Our reading: Table 2 scores one
target a mixture, as in training; Table 4 all talkers of each, as a separator gives them. A row becomes calls of the
entry points of stages 5 to 7; an extractor's teacher, student and embeddings are those of a row of Table 1. This module
imports no torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from wesep_mix.base.config import FILLED, Checked, at_least, load_config
from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.settings import Targets
from wesep_mix.inference.controls import ENROLMENTS
from wesep_mix.mixing.plan import PLANS
from wesep_mix.tables.jobs import TEST, Ahead, Job, Seeds, check_named, check_rows, job, missing_sets, overrides
from wesep_mix.tables.table1 import Table1Config, Table1Layout

Embedding = Literal["matched", "wrong", "random", "oracle", "enrolment", "enrolment_noisy"]
Paper = Literal["table2", "table4"]
TARGETS: dict[Paper, Targets] = {"table2": "one", "table4": "all"}


@dataclass(frozen=True)
class Table2Row(Checked):
    """A row of the table: what is made of the test mixtures of one number of talkers.

    Attributes:
        model: `mixture` is not processed.
        config: a file of conf/extractor or conf/separator.
        settings: `key: value`, as in `--set key=value`, over that file.
        student: the row of table1.yaml whose embeddings an extractor is given; with `model.fusion: none` they only tell
            its size.
        embedding: which one it is given in the test, the student's of the talker (`matched`) or a control's; rows that
            only differ in this have one network.
        paper: numbers of the row in the paper's Table 2 and in its Table 4.
    """

    title: str
    num_spk: Annotated[int, at_least(2, says="2 or more talkers")]
    model: Literal["mixture", "extractor", "separator"]
    config: str | None = None
    student: str | None = None
    embedding: Embedding = "matched"
    settings: dict[str, Any] = field(default_factory=dict)
    paper: dict[Paper, dict[Literal["si_sdri", "pesq", "stoi", "sig", "bak", "ovrl"], float]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.config is None) != (self.model == "mixture") or (self.model == "mixture" and self.settings):
            raise ValueError(
                f"model {self.model}: an extractor or separator has a config, the mixture has none and "
                f"no settings; found {self.config} and {self.settings}"
            )
        if (self.student is None) != (self.model != "extractor"):
            raise ValueError(f"model {self.model}: an extractor has a student, others have none; found {self.student}")
        if self.embedding != "matched" and self.condition != self.embedding:
            raise ValueError(
                f"embedding: wanted one of {', '.join(get_args(Embedding))} for an extractor with fusion, matched "
                f"for all others, found {self.embedding}"
            )
        if unprinted := sorted(set(self.paper) - set(self.tables)):
            raise ValueError(f"paper: model {self.model} is in {' and '.join(self.tables)} alone, found {unprinted[0]}")

    @property
    def tables(self) -> tuple[Paper, ...]:
        """The tables that it is a row of: a separator, which gives all talkers at once, is in Table 4 alone."""
        return ("table4",) if self.model == "separator" else ("table2", "table4")

    @property
    def condition(self) -> str:
        """What the stages call its speech, in the folder's name."""
        return self.embedding if self.trained == "matched" else self.trained

    @property
    def trained(self) -> str:
        """What the stages call its network, in the folder's name."""
        if self.model == "extractor":
            return "none" if self.settings.get("model.fusion") == "none" else "matched"
        return {"mixture": "mixture", "separator": "separated"}[self.model]


@dataclass(frozen=True)
class Table2Config(Checked):
    """conf/table2.yaml.

    Attributes:
        rows: the table's, by name.
        seeds: each of them trains every row.
        ahead: pairs of rows, a statement each: the first is ahead of the second in SI-SDRi.
    """

    rows: Annotated[dict[str, Table2Row], FILLED]
    seeds: Seeds = (0,)
    ahead: Ahead = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rows(self.rows, self.seeds)
        check_named(itertools.chain(*self.ahead), self.rows)


def load_tables(conf: Path, settings: Sequence[str]) -> tuple[Table1Config, Table2Config]:
    """Read conf/table1.yaml and conf/table2.yaml.

    Args:
        conf: egs/CORPUS/conf.
        settings: the `--set` values.

    Returns:
        Both.

    Raises:
        UserError: one is not valid, or they do not fit together.
    """
    first = load_config(Table1Config, conf / "table1.yaml", settings)
    second = load_config(Table2Config, conf / "table2.yaml", settings)
    for name, row in second.rows.items():
        wanted = [
            other
            for other, student in first.rows.items()
            if student.model == "student" and student.num_spk == student.num_trained == row.num_spk
        ]
        if row.student not in (None, *wanted):
            raise UserError(
                f"{conf / 'table2.yaml'}: row {name}: student: wanted a row of table1.yaml trained and "
                f"tested on {row.num_spk} talkers ({', '.join(wanted)}), found {row.student}"
            )
    return first, second


def check_seeds(table1: Table1Config, table2: Table2Config) -> None:
    """Check that Table 1 has students of all seeds of Table 2.

    Args:
        table1: conf/table1.yaml.
        table2: conf/table2.yaml.

    Raises:
        UserError: names the seeds that it lacks.
    """
    unknown = sorted(set(table2.seeds) - set(table1.seeds))
    if unknown:
        raise UserError(
            f"table2.seeds: wanted some of table1.seeds {list(table1.seeds)}, whose students are used; found {unknown}"
        )


def talker_numbers(table1: Table1Config, table2: Table2Config) -> list[int]:
    """The numbers of talkers of the mixtures that rows are trained or tested on.

    Args:
        table1: conf/table1.yaml.
        table2: conf/table2.yaml.

    Returns:
        Each number once, sorted, 1 left out.
    """
    rows = [number for row in table1.rows.values() for number in (row.num_spk, row.num_trained)]
    return sorted({*rows, *(row.num_spk for row in table2.rows.values())} - {1})


def config_path(conf: Path, row: Table2Row) -> Path:
    """The config of a row's extractor or separator.

    Args:
        conf: egs/CORPUS/conf.
        row: that has one.

    Returns:
        The path.
    """
    return conf / row.model / f"{row.config}.yaml"


def row_overrides(row: Table2Row) -> list[str]:
    """A row's settings in the form of `--set`."""
    return overrides(row.model, row.settings)


def same_network(rows: Mapping[str, Table2Row], name: str) -> list[str]:
    """The rows with the network of a row, which only differ in what they are given in the test.

    Args:
        rows: of the config.
        name: of the row.

    Returns:
        Their names, the row's own among them.
    """
    alike = {other: replace(row, title="", paper={}, embedding="matched") for other, row in rows.items()}
    return [other for other in alike if alike[other] == alike[name]]


@dataclass(frozen=True)
class Table2Layout:
    """Where everything of the table lies, and which calls of entry points make it.

    Attributes:
        table: conf/table2.yaml.
        table1: whose students the extractors use.
        exp: exp/CORPUS/table2.
    """

    table: Table2Config
    table1: Table1Layout
    exp: Path

    def missing(self, name: str) -> list[Path]:
        """Prepared sets that the row needs and that are not there."""
        row = self.table.rows[name]
        return missing_sets([self._data(name), *(self.table1.missing(row.student) if row.student else ())])

    def folder(self, name: str, seed: int) -> Path:
        """Folder of the row's network and speech; the unprocessed mixtures are the same for every seed.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            The folder.
        """
        return self.exp / (f"seed{seed}" if self.table.rows[name].config else "mixture") / self._network(name)

    def jobs(self, name: str, seed: int) -> list[Job]:
        """The calls of stages 2 to 7 for a row, each of which needs those before it.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            The calls.
        """
        row = self.table.rows[name]
        if row.model == "mixture":
            return [self._score_job(name, seed)]
        if row.model == "separator":
            return [self._separator_job(name, seed), self._separation_job(name, seed), self._score_job(name, seed)]
        return [
            *self.table1.jobs(row.student, seed),
            self._extractor_job(name, seed),
            *([self._enrolments_job(name, seed)] if row.condition in ENROLMENTS else []),
            self._extraction_job(name, seed),
            self._score_job(name, seed),
        ]

    def result(self, name: str, seed: int) -> Path:
        """File of the row's numbers, JSON.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            The path.
        """
        return self.jobs(name, seed)[-1].out / "summary.json"

    def is_measured(self, name: str, seed: int) -> bool:
        """Whether stage 7 has scored the row.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            Whether there are numbers.
        """
        return self.result(name, seed).is_file()

    def measured(self, name: str, seed: int) -> dict[Paper, dict[str, Any]]:
        """The row's numbers.

        Args:
            name: of the row.
            seed: of the trainings.

        Returns:
            For each table that it is a row of, the means over that table's targets.
        """
        from wesep_mix.evaluation.scoring import read_scored  # which a call that finds all done need not wait for

        folder = self.result(name, seed).parent
        found = {table: read_scored(folder, TARGETS[table])[1] for table in self.table.rows[name].tables}
        return {
            table: {
                **{key: value for key, value in summary.items() if key not in ("targets", "seed", "empty")},
                "num_empty": sum(summary.get("empty", {}).values()),
            }
            for table, summary in found.items()
        }

    def plans(self, name: str) -> Path:
        """The row's test mixtures."""
        return self._data(name) / TEST / PLANS

    def _data(self, name: str) -> Path:
        return self.table1.talkers(self.table.rows[name].num_spk)

    def _network(self, name: str) -> str:
        return same_network(self.table.rows, name)[0]

    def _extractor_job(self, name: str, seed: int) -> Job:
        row = self.table.rows[name]
        teacher, student = self.table1.teacher(row.student, seed), self.table1.student(row.student, seed)
        out = self.folder(name, seed)
        options = {
            "teacher": teacher / "model.pt",
            "student": student / "model.pt",
            "condition": row.trained,
            "embeddings_config": self.table1.conf / "embeddings.yaml",
        }
        return self._training_job(name, seed, out, options)

    def _separator_job(self, name: str, seed: int) -> Job:
        return self._training_job(name, seed, self.folder(name, seed) / "separated", {})

    def _training_job(self, name: str, seed: int, out: Path, options: dict[str, Any]) -> Job:
        row = self.table.rows[name]
        options = {
            "config": config_path(self.table1.conf, row),
            "out": out,
            "data": self._data(name),
            "num_spk": row.num_spk,
            **options,
        }
        settings = [*self.table1.settings, *row_overrides(row), f"{row.model}.seed={seed}"]
        return job(5, f"train_{row.model}", self.folder(name, seed) / row.trained, "model.pt", options, settings)

    def _enrolments(self, name: str, seed: int) -> Path:
        return self.exp / f"seed{seed}" / "enrolments" / self.table.rows[name].student

    def _enrolments_job(self, name: str, seed: int) -> Job:
        row, out = self.table.rows[name], self._enrolments(name, seed)
        options = {
            "config": self.table1.conf / "score.yaml",
            "out": out,
            "data": self._data(name) / TEST,
            "teacher": self.table1.teacher(row.student, seed) / "model.pt",
            "student": self.table1.student(row.student, seed) / "model.pt",
        }
        return job(6, "embed_enrolments", out, "", options, self.table1.settings)

    def _extraction_job(self, name: str, seed: int) -> Job:
        row, folder = self.table.rows[name], self.folder(name, seed)
        embeddings = self.table1.embeddings(row.student, seed) / TEST
        if row.condition in ENROLMENTS:
            embeddings = self._enrolments(name, seed)
        return self._test_job(
            6,
            "extract_speech",
            "wav",
            name,
            seed,
            {
                "score_config": self.table1.conf / "score.yaml",
                "embeddings": embeddings,
                "extractor": folder,
                "condition": row.condition,
            },
        )

    def _separation_job(self, name: str, seed: int) -> Job:
        return self._test_job(6, "separate_speech", "wav", name, seed, {"separator": self.folder(name, seed)})

    def _score_job(self, name: str, seed: int) -> Job:
        row = self.table.rows[name]
        options: dict[str, Any] = {"extractor": self.folder(name, seed), "condition": row.condition}
        if row.student:
            teacher, embeddings = self.table1.teacher(row.student, seed), self.table1.embeddings(row.student, seed)
            options |= {"teacher": teacher / "model.pt", "embeddings": embeddings / TEST}
        return self._test_job(7, "score", "scores", name, seed, options)

    def _test_job(self, stage: int, entry: str, folder: str, name: str, seed: int, options: dict[str, Any]) -> Job:
        config = {6: "extract.yaml", 7: "score.yaml"}[stage]
        options = {"config": self.table1.conf / config, "data": self._data(name) / TEST, **options}
        out = self.folder(name, seed) / TEST / self.table.rows[name].condition / folder
        return job(stage, entry, out, "", options, self.table1.settings)
