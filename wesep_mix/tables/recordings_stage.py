"""One stage of recordings without sources: the parts that it makes, and the functions that do their work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wesep_mix.base.files import write_json
from wesep_mix.base.locks import alone_in
from wesep_mix.base.stage import Part, run_part
from wesep_mix.evaluation.recording_rules import (
    MARGINS,
    Known,
    compare_rules,
    enrolment_cosines,
    margin_rows,
    margin_summary,
)
from wesep_mix.evaluation.recordings import SCORES, Rating, rate_recordings, rate_speech, read_rows, write_rows
from wesep_mix.preparation.recordings import prepare_recordings, read_recordings
from wesep_mix.tables.recordings import ABOUT, MARGIN_NUMBERS, RULE_NUMBERS, RecordingsLayout
from wesep_mix.tables.sessions_stage import Request

STAGES = (1, 4, 6, 7, 8, 9)
Step = tuple[Part, Callable[[], None]]


def title(stage: int) -> str:
    """What a stage is called in messages."""
    return f"stage {stage} (recordings)"


@dataclass(frozen=True)
class RecordingsStage:
    """A stage.

    Attributes:
        request: what is asked for.
        layout: where everything lies.
        hearing: makes inference.recordings.Hearing, which imports torch.
        command: gives what made the results, for the reader of the page to type.
    """

    request: Request
    layout: RecordingsLayout
    hearing: Callable[[], object]
    command: Callable[[], str]

    def run(self) -> int:
        """Do the stage's work.

        Returns:
            The exit status.

        Raises:
            UserError: an input is missing, or the work has failed.
        """
        for part, work in self._steps():
            run_part(part, self.request.force, work)
        if self.request.stage == 9:
            from wesep_mix.tables.recordings_document import write_document

            with alone_in(self.layout.exp, wait=True):
                print(f"\n{write_document(self.layout, self.request.corpus, self.command())}\n", flush=True)
        return 0

    def all_parts(self) -> list[Part]:
        """The folders that the stage makes."""
        return [part for part, _ in self._steps()]

    def _steps(self) -> list[Step]:
        layout = self.layout
        steps: dict[int, list[Step]] = {
            1: [(layout.listed(), self._list)],
            4: [(layout.embedded(), self._embed)],
            6: [(layout.extracted(), self._extract)],
            7: [(layout.rated_input(), self._rate_input), (layout.rated(), self._rate)],
            8: [(layout.compared(), self._compare)],
        }
        return steps.get(self.request.stage, [])

    def _list(self) -> None:
        prepare_recordings(self.layout.config.listing, self.layout.data, self.request.nj)

    def _embed(self) -> None:
        from wesep_mix.inference.recordings import embed_recordings

        entries, config = read_recordings(self.layout.data), self.layout.config
        embed_recordings(entries, self.hearing(), self.layout.embedded().out, self.request.nj, config.max_bad)

    def _extract(self) -> None:
        from wesep_mix.inference.recordings import extract_recordings, read_heard

        entries, heard = read_recordings(self.layout.data), read_heard(self.layout.embedded().out)
        extract_recordings(entries, heard, self.hearing(), self.layout.extracted().out / "wav", self.request.nj)

    def _rate_input(self) -> None:
        config, out = self.layout.config, self.layout.rated_input().out
        rate_recordings(read_recordings(self.layout.data), config.channel, out, self.request.nj, config.max_bad)

    def _rate(self) -> None:
        from wesep_mix.inference.recordings import read_heard

        layout, config = self.layout, self.layout.config
        keys, wavs = read_heard(layout.embedded().out).keys, layout.extracted().out / "wav"
        ratings = [
            Rating(key, entry, wavs / f"{key}.wav")
            for entry in read_recordings(layout.data)
            for key in keys.get(entry.id, ())
        ]
        before = layout.rated_input().out / SCORES
        rate_speech(ratings, before, config.channel, layout.rated().out, self.request.nj, config.max_bad)

    def _compare(self) -> None:
        from wesep_mix.inference.recordings import read_heard

        layout, config = self.layout, self.layout.config
        entries, heard = read_recordings(layout.data), read_heard(layout.embedded().out)
        rows, out = read_rows(layout.rated().out / SCORES), layout.compared().out
        known = Known(enrolment_cosines(heard.embeddings, heard.keys, heard.enrolments), heard.presence)
        files = {entry.id: entry.path for entry in entries}
        write_json(out / RULE_NUMBERS, compare_rules(rows, known, files, config.seed))
        counts = [len(keys) for keys in heard.keys.values()]
        about = {
            "recordings": len(entries),
            "heard": sum(count > 0 for count in counts),
            "talkers": sum(counts) / len(counts),
            "rated": len({row["recording"] for row in rows}),
        }
        write_json(out / ABOUT, about)
        if margins := margin_rows(rows, config.rule, known):
            write_rows(out / MARGINS, margins)
            write_json(out / MARGIN_NUMBERS, margin_summary(margins, config.seed))
