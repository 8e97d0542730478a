"""One stage of the sessions: the parts that it makes, and the functions that do their work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from wesep_mix.base.config import load_config, to_dict
from wesep_mix.base.jobs import THREADS, TRAIN_CMD, in_a_job, wrapper
from wesep_mix.base.locks import alone_in
from wesep_mix.base.processes import run_together
from wesep_mix.base.stage import Part, run_part
from wesep_mix.mixing.prepare_sessions import prepare_sessions, sessions_part
from wesep_mix.preparation.relocation import folders_now
from wesep_mix.preparation.settings import CorpusConfig
from wesep_mix.tables.sessions import SessionsLayout

STAGES = (1, 3, 8, 9)


@dataclass(frozen=True)
class Request:
    """What a call of a stage asks for.

    Attributes:
        stage: its number.
        corpus: the recipe's name.
        nj: parallel jobs.
        ngpu: GPUs; 0 works on the CPU.
        force: redo what is done.
    """

    stage: int
    corpus: str
    nj: int = 1
    ngpu: int = 0
    force: bool = False

    @property
    def device(self) -> str:
        """Where networks compute."""
        return "cuda" if self.ngpu else "cpu"


def title(stage: int) -> str:
    """What a stage is called in messages."""
    return f"stage {stage} (sessions)"


class SessionsStage:
    """A stage of the sessions.

    Args:
        request: what is asked for.
        layout: where everything lies.
        entries: by name the modules of the entry points that are called, each with `main(options)` and
            `parts(options)`.
    """

    def __init__(self, request: Request, layout: SessionsLayout, entries: Mapping[str, ModuleType]):
        self.request, self.layout, self.entries = request, layout, entries

    def run(self) -> int:
        """Do the stage's work.

        Returns:
            The exit status.

        Raises:
            UserError: an input is missing, or the work has failed.
        """
        return {1: self._draw, 3: self._train, 8: self._measure, 9: self._write}[self.request.stage]()

    def all_parts(self) -> list[Part]:
        """The folders that the stage makes."""
        layout = self.layout
        if self.request.stage == 1:
            corpus = layout.corpus_job()
            return [*self.entries[corpus.entry].parts(list(corpus.options)), self._drawn()]
        if self.request.stage == 3:
            return [part for job in layout.student_jobs() for part in self.entries[job.entry].parts(list(job.options))]
        return [part for part, _ in self._measuring()] if self.request.stage == 8 else []

    def _draw(self) -> int:
        job, layout = self.layout.corpus_job(), self.layout
        force = f"--force={str(self.request.force and layout.own_data != layout.data).lower()}"  # the recipe's own stay
        if status := self.entries[job.entry].main([*job.options, f"--nj={self.request.nj}", force]):
            return status
        lists = layout.own_data / "corpus" / "lists"
        work = partial(prepare_sessions, layout.config.drawn, self._corpus(), lists, layout.drawn, self.request.nj)
        run_part(self._drawn(), self.request.force, work)
        return 0

    def _corpus(self) -> CorpusConfig:
        return load_config(CorpusConfig, self.layout.conf / "corpus.yaml", self.layout.corpus_settings)

    def _drawn(self) -> Part:
        layout, corpus = self.layout, self._corpus()
        settings = {"sessions": to_dict(layout.config.drawn), "seed": corpus.seed, "mixing": to_dict(corpus.mixing)}
        folder = layout.own_data / "corpus"
        return sessions_part(layout.drawn, settings, folder, folders_now(folder))

    def _train(self) -> int:
        """Train the students; on the CPU one thread each, so that --nj changes nothing in them."""
        request = self.request
        own = [f"--ngpu={request.ngpu}", f"--force={str(request.force).lower()}"]
        commands = [
            [sys.executable, "-m", self.entries[job.entry].__name__, *job.options, *own]
            for job in self.layout.student_jobs()
        ]
        if not request.ngpu:
            return run_together(commands, request.nj, {THREADS: "1"})
        return run_together(commands, request.nj if wrapper(TRAIN_CMD) else 1)

    def _measure(self) -> int:
        for part, work in self._measuring():
            run_part(part, self.request.force, work)
        return 0

    def _measuring(self) -> list[tuple[Part, Callable[[], None]]]:
        """The parts of stage 8, each with its work."""
        layout = self.layout
        steps: list[tuple[Part, Callable[[], None]]] = []
        for ear in layout.ears():
            steps.append((layout.hearing(ear), partial(self._hear, ear, None)))
        for seed in layout.config.seeds:
            steps.append((layout.hearing("student", seed), partial(self._hear, "student", seed)))
        steps.append((layout.choosing(), self._choose))
        for seed in layout.config.seeds:
            steps.append((layout.tracking(seed), partial(self._track, seed)))
            steps.append((layout.speech(seed), partial(self._extract, seed)))
            steps.append((layout.cardinalities(seed), partial(self._count, seed)))
        return steps

    def _hear(self, ear: str, seed: int | None) -> None:
        from wesep_mix.evaluation.hearing import Hearing, hear_cohort, hear_sets

        layout, config = self.layout, self.layout.config
        models, out = layout.models(ear, seed), layout.heard(ear, seed)
        hearing = Hearing(ear, models, config.window_s, config.hop_s, device=self.request.device)
        if ear == "student":
            in_a_job(partial(hear_cohort, hearing, layout.train(), out), "cohort")
        hear_sets(hearing, layout.drawn, out, 1 if self.request.ngpu else self.request.nj)

    def _choose(self) -> None:
        from wesep_mix.evaluation.session_work import choose_rows

        layout = self.layout
        heard = [self.sessions(seed) for seed in layout.config.seeds]
        choose_rows(layout.rows(), heard, layout.choosing().out, self.request.nj)

    def _track(self, seed: int) -> None:
        from wesep_mix.evaluation.session_work import track_rows

        layout = self.layout
        out = layout.tracking(seed).out
        track_rows(layout.rows(), layout.choosing().out, self.sessions(seed), out, self.request.nj)

    def sessions(self, seed: int) -> object:
        """Where sessions lie, and what was heard of them with the student of a seed."""
        from wesep_mix.evaluation.session_work import Sessions

        layout = self.layout
        heard = {ear: layout.heard(ear) for ear in layout.ears()} | {"student": layout.heard("student", seed)}
        return Sessions(layout.drawn, heard)

    def _extract(self, seed: int) -> None:
        from wesep_mix.evaluation.session_work import chosen_for, extract_sessions

        layout, config = self.layout, self.layout.config
        setting = chosen_for(layout.rows(), config.speech, layout.choosing().out)
        row, out = config.rows[config.speech], layout.speech(seed).out
        work = partial(
            extract_sessions,
            row,
            setting,
            self.sessions(seed),
            layout.networks["extractor"],
            config.extracted,
            self.request.device,
            out,
        )
        in_a_job(work, "speech over sessions")

    def _count(self, seed: int) -> None:
        from wesep_mix.evaluation.session_work import try_students

        layout = self.layout
        students, teacher = layout.students(seed), layout.networks["teacher"]
        out = layout.cardinalities(seed).out
        work = partial(try_students, students, teacher, layout.mixtures(), seed, self.request.device, out)
        in_a_job(work, "unseen numbers of talkers")

    def _write(self) -> int:
        from wesep_mix.tables.sessions_document import write_document

        with alone_in(self.layout.exp, wait=True):
            print(f"\n{write_document(self.layout, self.request.corpus, self.sessions)}\n", flush=True)
        return 0
