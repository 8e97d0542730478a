"""Sessions as a plan: what is drawn, which students are trained, what hears and tracks, and where it lies.

Nothing is trained here; students become calls of stage 3's entry point, as the rows of Table 1 do (tables.table1).
This module imports no torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from wesep_mix.base.config import FILLED, Checked, Count, CountOrZero, above, between, load_config, to_dict
from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import Need, Part
from wesep_mix.evaluation.settings import TrackRow
from wesep_mix.mixing.draw_session import SessionConfig
from wesep_mix.mixing.plan import PLANS
from wesep_mix.mixing.session import SESSIONS
from wesep_mix.tables.jobs import Job, Seeds, check_named, check_rows, job, overrides

NAME = "sessions"  # of the config, of the folders and of run.sh's option
MOST_TALKERS = 5
TRAIN = "train"
STAGE_OF = {"teacher": 2, "student": 3, "extractor": 5, "separator": 5}
PART = ".safetensors"  # of a model's folder


@dataclass(frozen=True)
class StudentRow(Checked):
    """A student that is trained for the sessions, or for numbers of talkers that it has never heard.

    Attributes:
        title: of the row, naming the numbers of talkers it is trained on.
        num_spk: its heads, and the most talkers of its training mixtures.
        student: `key: value`, as in `--set key=value`, over student.yaml.
        seeds: of its trainings; none: all of the config's.
    """

    title: str
    num_spk: Count = 3
    student: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[CountOrZero, ...] = ()


@dataclass(frozen=True)
class Statements(Checked):
    """What is wanted of a row; TRACKING.md says whether it holds.

    Attributes:
        row: whose claims they are.
        regimes: whose sessions count.
        again_few: least share of returns after 15 s that are recognised, of 2 or 3 talkers.
        again_many: the same of 4 or 5.
        exact: least share of sessions whose number of talkers is right in the end.
        near: the same, give or take one.
        ahead: rows that it is to be ahead of in IDF1, by more than the interval.
        bound: a row that it is to come within 10 points of.
        separated: a row that is to confuse more talkers.
    """

    row: str = "online"
    regimes: tuple[str, ...] = ("crowd", "talk")
    again_few: float = 0.8
    again_many: float = 0.65
    exact: float = 0.6
    near: float = 0.85
    ahead: tuple[str, ...] = ("stitch", "leader")
    bound: str = "average_known"
    separated: str = "separated"


@dataclass(frozen=True)
class SessionsConfig(Checked):
    """conf/sessions.yaml.

    Attributes:
        rows: of the table of tracking, by name.
        speech: the row whose talkers are extracted.
        tracked: the student that hears the sessions.
        students: by name; none: the recipe's own is the one.
        seeds: each of them trains every student.
        corpus: `key: value` over corpus.yaml for the sessions' own corpus, where the recipe's is too small for them;
            empty: they are drawn from the recipe's.
        drawn: how sessions are drawn.
        mixed: numbers of talkers of the mixtures that students are tried on, beside single speakers.
        window_s: seconds of a window.
        hop_s: seconds from window to window.
        extracted: sessions of each regime whose talkers are extracted.
        statements: what is wanted of a row.
    """

    rows: Annotated[dict[str, TrackRow], FILLED]
    speech: str
    tracked: str = "student"
    students: dict[str, StudentRow] = field(default_factory=dict)
    seeds: Seeds = (0, 1)
    corpus: dict[str, Any] = field(default_factory=dict)
    drawn: SessionConfig = SessionConfig()
    mixed: Annotated[tuple[Annotated[int, between(2, MOST_TALKERS)], ...], FILLED] = (2, 3, 4, 5)
    window_s: Annotated[float, above(0)] = 5.0
    hop_s: Annotated[float, above(0)] = 2.5
    extracted: Count = 8
    statements: Statements = Statements()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rows([*self.students, *self.rows], self.seeds)
        if self.students:
            check_named([self.tracked], self.students)
            if self.students[self.tracked].seeds:
                raise ValueError(f"students.{self.tracked}: hears the sessions of every seed, leave out its seeds")
        check_named([self.speech, self.statements.row], self.rows)
        if self.hop_s > self.window_s:
            raise ValueError(f"hop_s: wanted at most window_s, {self.window_s:g}, found {self.hop_s:g}")
        for name, row in self.rows.items():
            if row.like and getattr(self.rows.get(row.like), "memory", None) is None:
                raise ValueError(f"rows.{name}: like: wanted a row with a memory, found {row.like}")
        if self.rows[self.speech].how != "memory":
            raise ValueError(f"speech: wanted a row with how: memory, found {self.speech}")


def load_sessions(conf: Path, settings: Sequence[str]) -> SessionsConfig:
    """Read conf/sessions.yaml of a recipe.

    Args:
        conf: egs/CORPUS/conf.
        settings: the `--set` values of the run.

    Returns:
        The config.

    Raises:
        UserError: it is missing or not valid.
    """
    return load_config(SessionsConfig, conf / f"{NAME}.yaml", list(settings))


@dataclass(frozen=True)
class SessionsLayout:
    """Where everything of the sessions lies, and which calls of entry points make it.

    Attributes:
        config: conf/sessions.yaml.
        conf: egs/CORPUS/conf.
        data: data/CORPUS.
        exp: exp/CORPUS/sessions.
        networks: model files, of a stage or parts of a model's folder: `teacher`, `extractor`, `student` (the recipe's
            own, for a config that trains no other) and, where one is trained, `separator`.
        settings: the `--set` values of the run.
    """

    config: SessionsConfig
    conf: Path
    data: Path
    exp: Path
    networks: Mapping[str, Path]
    settings: Sequence[str] = ()

    @property
    def own_data(self) -> Path:
        """Where the sessions' corpus is prepared: with the recipe's, or beside it."""
        return self.data / NAME if self.config.corpus else self.data

    @property
    def drawn(self) -> Path:
        """The sessions of stage 1."""
        return self.own_data / "session"

    @property
    def corpus_settings(self) -> list[str]:
        """The `--set` values of the sessions' corpus."""
        return [*self.settings, *overrides("corpus", self.config.corpus)]

    def corpus_job(self) -> Job:
        """The call of stage 1 that lists the corpus and draws mixtures."""
        made = job(
            1,
            "prepare_data",
            self.own_data,
            "",
            {"config": self.conf / "corpus.yaml", "data": self.own_data},
            self.corpus_settings,
        )
        return dataclasses.replace(made, options=(*made.options, "--num_spk", *map(str, self.config.mixed)))

    def mixtures(self) -> dict[int, Path]:
        """Prepared mixtures by their number of talkers."""
        folders = {number: self.own_data / f"{number}mix" for number in sorted(self.config.mixed)}
        return {1: self.own_data / "single", **folders}

    def student(self, name: str, seed: int) -> Path:
        """Folder of a student.

        Args:
            name: of the student.
            seed: of its training.

        Returns:
            The folder.
        """
        return self.exp / f"seed{seed}" / "student" / name

    def student_jobs(self) -> list[Job]:
        """The calls of stage 3's entry point."""
        return [self._student_job(name, seed) for seed in self.config.seeds for name in self._trained(seed)]

    def _trained(self, seed: int) -> list[str]:
        """The students that are trained with a seed."""
        return [name for name, row in self.config.students.items() if not row.seeds or seed in row.seeds]

    def _student_job(self, name: str, seed: int) -> Job:
        row, out = self.config.students[name], self.student(name, seed)
        options = {
            "config": self.conf / "student.yaml",
            "data": self.data / f"{row.num_spk}mix",
            "teacher": self.networks["teacher"],
            "num_spk": row.num_spk,
            "out": out,
        }
        settings = [*self.settings, *overrides("student", row.student), f"student.seed={seed}"]
        return job(3, "train_student", out, "model.pt", options, settings)

    def ears(self) -> list[str]:
        """What hears the sessions whatever the student's seed is, as far as its models are there."""
        wanted = dict.fromkeys(row.ear for row in self.rows().values() if row.ear != "student")
        return ["references", *wanted]

    def rows(self) -> dict[str, TrackRow]:
        """The table's rows, without those of separated speech where no separator is trained."""
        there = "separator" in self.networks
        return {name: row for name, row in self.config.rows.items() if row.ear != "separated" or there}

    def models(self, ear: str, seed: int | None = None) -> dict[str, Path]:
        """The model files that an ear needs.

        Args:
            ear: what hears.
            seed: of the student's training.

        Returns:
            {kind: file}.
        """
        if ear == "student":
            return {"student": self.students(seed)[self.config.tracked]}
        wanted = ("teacher", "separator") if ear == "separated" else ("teacher",)
        return {kind: self.networks[kind] for kind in wanted}

    def students(self, seed: int) -> dict[str, Path]:
        """Model files of all students by name."""
        if not self.config.students:
            return {self.config.tracked: self.networks["student"]}
        return {name: self.student(name, seed) / "model.pt" for name in self._trained(seed)}

    def heard(self, ear: str, seed: int | None = None) -> Path:
        """Folder of what an ear heard.

        Args:
            ear: what hears.
            seed: of the student's training; no other ear depends on it.

        Returns:
            The folder.
        """
        return self.exp / f"seed{seed}" / "heard" if ear == "student" else self.exp / "heard" / ear

    def hearing(self, ear: str, seed: int | None = None) -> Part:
        """Stage 8's part of what an ear hears.

        Args:
            ear: what hears.
            seed: of the student's training.

        Returns:
            The part.
        """
        needs = self._made(self.models(ear, seed))
        if ear == "student":
            needs.append(Need(self.train() / PLANS, 1))
        settings = {"ear": ear, "window_s": self.config.window_s, "hop_s": self.config.hop_s, **self._folders()}
        title = f"sessions heard by {ear}" + (f", seed {seed}" if seed is not None else "")
        return Part(8, title, self.heard(ear, seed), settings, [Need(self.drawn / "test" / SESSIONS, 1), *needs])

    def train(self) -> Path:
        """Training mixtures, from which a memory takes others' voices for as_norm."""
        row = self.config.students.get(self.config.tracked, StudentRow(""))
        return self.data / f"{row.num_spk}mix" / TRAIN

    def _made(self, networks: Mapping[str, Path]) -> list[Need]:
        """What stages made of these networks; parts of a model's folder are of no stage."""
        return [Need(path, STAGE_OF[kind]) for kind, path in networks.items() if path.suffix != PART]

    def _folders(self) -> dict[str, str]:
        """The model's folder that networks are parts of, by the hash of its settings."""
        folders = {path.parent for path in self.networks.values() if path.suffix == PART}
        return {f"model {folder.name}": _hash(folder / "model.yaml") for folder in sorted(folders)}

    def choosing(self) -> Part:
        """Stage 8's part of each row's thresholds."""
        rows = {name: to_dict(row) for name, row in self.rows().items()}
        heard = [*(self.heard("student", seed) for seed in self.config.seeds), *map(self.heard, self.ears())]
        return Part(8, "thresholds on dev sessions", self.exp / "chosen", {"rows": rows}, _needs(heard))

    def tracking(self, seed: int) -> Part:
        """Stage 8's part of who is tracked how well."""
        heard = [self.heard("student", seed), *map(self.heard, self.ears())]
        needs = _needs([self.choosing().out, *heard])
        return Part(8, f"sessions tracked, seed {seed}", self.exp / f"seed{seed}" / "tracking", {}, needs)

    def speech(self, seed: int) -> Part:
        """Stage 8's part of speech extracted over sessions."""
        settings = {"row": self.config.speech, "extracted": self.config.extracted}
        settings |= self._folders()
        needs = [*_needs([self.tracking(seed).out]), *self._made({"extractor": self.networks["extractor"]})]
        return Part(8, f"sessions extracted, seed {seed}", self.exp / f"seed{seed}" / "speech", settings, needs)

    def cardinalities(self, seed: int) -> Part:
        """Stage 8's part of students on numbers of talkers that they have not heard."""
        students = [need for path in self.students(seed).values() for need in self._made({"student": path})]
        plans = [Need(folder / "test" / PLANS, 1) for folder in self.mixtures().values()]
        return Part(
            8,
            f"unseen numbers of talkers, seed {seed}",
            self.exp / f"seed{seed}" / "cardinalities",
            {"numbers": sorted(self.mixtures()), "seed": seed, **self._folders()},
            [*plans, *self._made({"teacher": self.networks["teacher"]}), *students],
        )

    def check_measured(self) -> None:
        """Raises: UserError for the first part of stage 8 that is not done."""
        for part in self.measured():
            if not part.is_done():
                raise UserError(
                    f"{part.out}: wanted what stage 8 ({part.title}) makes, found it {part.standing()}; run with "
                    "--sessions true --stage 8 --stop_stage 8 first"
                )

    def measured(self) -> Iterator[Part]:
        """All parts of stage 8."""
        yield from map(self.hearing, self.ears())
        yield from (self.hearing("student", seed) for seed in self.config.seeds)
        yield self.choosing()
        for seed in self.config.seeds:
            yield from (self.tracking(seed), self.speech(seed), self.cardinalities(seed))


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except FileNotFoundError as err:
        raise UserError(f"{path}: wanted a model's folder with it, found none") from err


def _needs(folders: Sequence[Path]) -> list[Need]:
    return [Need(folder, 8) for folder in folders]
