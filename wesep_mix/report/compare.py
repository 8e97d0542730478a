"""Runs side by side: the same rows of their tables, and by how much they differ, with bootstrap intervals.

Runs are comparable on the same test set alone: the same mixtures of the same speakers, and the same input. That is
checked by what the scores themselves tell: SI-SDR less SI-SDRi is the SI-SDR of the mixture as it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.outcomes import Outcomes, compare_rows
from wesep_mix.evaluation.scoring import read_scored
from wesep_mix.report.results import embedding_rows, scored_conditions, scored_targets
from wesep_mix.report.tables import EMBEDDING_COLUMNS, SPEECH_COLUMNS, TARGETS, Column, Table, ordered_rows, shown

SAME_DB = 0.01  # inputs that differ by more are others; machines differ by less
Key = tuple[str, str]  # mixture and speaker
Scores = Mapping[Key, Mapping[str, Any]]  # a line of scores.csv each


@dataclass(frozen=True)
class Run:
    """What one run has for a number of talkers.

    Attributes:
        name: in the header of a table.
        targets: what its means are of, `all` or `one`.
        embeddings: {row: {metric: number}}.
        scores: {row: {mixture and speaker: line of scores.csv}}, of the targets.
        tested: every talker that some row has a score of, and the SI-SDR of its mixture in dB.
        num_bad: how many talkers a row lacks at most, since their estimates could not be scored.
    """

    name: str
    targets: str
    embeddings: Mapping[str, Mapping[str, float]]
    scores: Mapping[str, Scores]
    tested: Mapping[Key, float]
    num_bad: int


def read_run(name: str, mixtures: Path, targets: str) -> Run:
    """Read the results of a run.

    Args:
        name: of the run.
        mixtures: folder of the experiment, `exp/<N>mix`.
        targets: whose scores are wanted, `all` talkers' or `one` of each mixture.

    Returns:
        The run.

    Raises:
        UserError: it has no scores.
    """
    folders = scored_conditions(mixtures)
    if not folders:
        raise UserError(f"{mixtures}: wanted scores to compare, found none; stages 7 and 8 make them")
    found = {row: read_scored(folders[row], targets) for row in ordered_rows(folders)}
    scores = {row: _by_talker(lines) for row, (lines, _) in found.items()}
    everyone = [_by_talker(read_scored(folders[row], "all")[0]) for row in scores]
    tested = {key: line["si_sdr"] - line["si_sdri"] for lines in everyone for key, line in lines.items()}
    num_bad = max(summary.get("num_bad", 0) for _, summary in found.values())
    return Run(name, targets, embedding_rows(mixtures), scores, tested, num_bad)


def _by_talker(lines: Sequence[Mapping[str, Any]]) -> dict[Key, Mapping[str, Any]]:
    return {(line["mix"], line["speaker"]): line for line in lines}


def check_same_test(first: Run, other: Run) -> None:
    """Check that two runs were tested on the same mixtures.

    Args:
        first: a run.
        other: another one.

    Raises:
        UserError: naming a talker that one lacks, beyond those that could not be scored, or whose input differs.
    """
    for own, theirs in ((first, other), (other, first)):
        lacking = sorted(own.tested.keys() - theirs.tested.keys())
        if len(lacking) > theirs.num_bad:
            raise UserError(
                f"{own.name} and {theirs.name}: wanted the same test set, found {len(lacking)} of {len(own.tested)} "
                f"talkers of {own.name} that {theirs.name} lacks, such as {lacking[0][1]} in {lacking[0][0]}; compare "
                "runs on the same data"
            )
    for key in sorted(first.tested.keys() & other.tested.keys()):
        one, two = first.tested[key], other.tested[key]
        if not abs(one - two) <= SAME_DB:
            raise UserError(
                f"{first.name} and {other.name}: wanted the same test set, found {key[1]} in {key[0]} at an SI-SDR of "
                f"{one:.2f} dB in the mixture of {first.name} and {two:.2f} dB in that of {other.name}; compare runs "
                "on the same data"
            )


def compare_runs(exps: Sequence[Path], num_spk: int) -> str:
    """Compare the results of runs.

    Args:
        exps: folders of two or more experiments; the first is what the others are held against.
        num_spk: talkers in a mixture.

    Returns:
        Markdown: a table for the embeddings and one for the extraction, of the rows that all runs have, and how to read
        them.

    Raises:
        UserError: a run has no results, or was tested on other mixtures.
    """
    folders = {name: exp / f"{num_spk}mix" for name, exp in zip(run_names(exps), exps, strict=True)}
    averaged = {scored_targets(folder) for folder in folders.values()}
    targets = averaged.pop() if len(averaged) == 1 else "all"
    first, *others = [read_run(name, folder, targets) for name, folder in folders.items()]
    for other in others:
        check_same_test(first, other)
    runs = [first, *others]
    tables = {"Embeddings": embedding_comparison(runs), "Extraction": extraction_comparison(runs)}
    blocks = [f"# {' and '.join(run.name for run in runs)}, {num_spk} talkers"]
    for title, table in tables.items():
        blocks += [f"## {title}", table.markdown()] if table.rows else []
    return "\n\n".join([*blocks, _rules(runs), *_not_shared(runs)]) + "\n"


def run_names(exps: Sequence[Path]) -> list[str]:
    """Names that tell runs apart: their folders', or their paths where two folders are called the same."""
    names = [exp.resolve().name for exp in exps]
    return names if len(set(names)) == len(names) else [os.fspath(exp) for exp in exps]


def _rules(runs: Sequence[Run]) -> str:
    over, _ = TARGETS[runs[0].targets]
    return (
        f"Extraction: means over {over}, of the `num` for whom all runs have a value. In brackets the 95 % "
        "interval of the difference, paired: the speakers of the test set are drawn again, and their mixtures with "
        "them, the same ones for all runs. Behind one that does not hold 0 stands a *. It says nothing about other "
        "seeds. Embeddings: numbers of the test set as a whole, without intervals."
    )


def _not_shared(runs: Sequence[Run]) -> list[str]:
    """A sentence for each run that has rows of its own."""
    rows = [{**run.embeddings, **run.scores}.keys() for run in runs]
    shared = set.intersection(*map(set, rows))
    lines = [
        f"{run.name} alone or not in all: {', '.join(f'`{row}`' for row in own if row not in shared)}."
        for run, own in zip(runs, rows, strict=True)
        if set(own) - shared
    ]
    return lines


def embedding_comparison(runs: Sequence[Run]) -> Table:
    """The metrics of the rows of embeddings that all runs have, a line a row and metric."""
    first, *others = (run.embeddings for run in runs)
    lines = []
    for row in ordered_rows({row: first[row] for row in first if all(row in other for other in others)}):
        found = [first[row], *(other[row] for other in others)]
        for metric, column in shown(EMBEDDING_COLUMNS, {row: first[row]}).items():
            if all(metric in one for one in found):
                values = [one[metric] for one in found]
                differences = [_signed(column, value - values[0]) for value in values[1:]]
                lines.append((row, column.title, *map(column.number, values), *differences))
    return Table(_header(runs), lines)


def extraction_comparison(runs: Sequence[Run]) -> Table:
    """The mean scores of the rows of speech that all runs have, with intervals of the differences."""
    first, *others = (run.scores for run in runs)
    speakers = mixture_speakers(key for run in runs for key in run.tested)
    lines = []
    for row in ordered_rows({row: {} for row in first if all(row in other for other in others)}):
        found = [first[row], *(other[row] for other in others)]
        for metric, column in SPEECH_COLUMNS.items():
            keys = sorted(set.intersection(*({key for key in one if _has(one[key], metric)} for one in found)))
            if keys:
                values = np.array([[one[key][metric] for key in keys] for one in found])
                lines.append((row, column.title, *_cells(column, keys, values, speakers), str(len(keys))))
    return Table((*_header(runs), "num"), lines)


def _has(line: Mapping[str, float], metric: str) -> bool:
    return metric in line and not np.isnan(line[metric])


def _header(runs: Sequence[Run]) -> list[str]:
    first, *others = (run.name for run in runs)
    return ["row", "measure", first, *others, *(f"{other} - {first}" for other in others)]


def mixture_speakers(keys: Iterable[Key]) -> dict[str, frozenset[str]]:
    """The speakers of each mixture.

    Args:
        keys: mixture and speaker of every talker.

    Returns:
        {mixture: its speakers}.
    """
    members: dict[str, set[str]] = {}
    for mix, speaker in keys:
        members.setdefault(mix, set()).add(speaker)
    return {mix: frozenset(names) for mix, names in members.items()}


def _cells(
    column: Column, keys: Sequence[Key], values: np.ndarray, speakers: Mapping[str, frozenset[str]]
) -> list[str]:
    """The mean of each run, then the difference of each but the first from it; values [runs, talkers]."""
    means = [column.number(float(mean)) for mean in values.mean(axis=1)]
    mixes = [mix for mix, _ in keys]
    return [*means, *(_difference(column, difference(other, values[0], mixes, speakers)) for other in values[1:])]


def difference(
    first: np.ndarray, second: np.ndarray, mixes: Sequence[str], speakers: Mapping[str, frozenset[str]]
) -> dict[str, float]:
    """The difference of two means over the same talkers, with a bootstrap interval over speakers.

    Args:
        first: the talkers' values in one run, [K].
        second: and in another, [K].
        mixes: the mixture of each of the K talkers.
        speakers: of each mixture, all of them.

    Returns:
        `value`, the mean of first - second, and `low` and `high` (evaluation.outcomes.compare_rows); the value
        alone where all mixtures have the same speakers, so that drawing them tells nothing.
    """
    members = {mix: tuple(sorted(speakers[mix])) for mix in mixes}
    rows = [[Outcomes.of(members, zip(mixes, values, np.ones(len(mixes)), strict=True))] for values in (first, second)]
    found = compare_rows(*rows)
    return {"value": float(np.mean(first - second))} if found is None else found.difference


def _signed(column: Column, value: float) -> str:
    return f"{column.factor * value:+.{column.digits}f}"


def _difference(column: Column, found: Mapping[str, float]) -> str:
    value = _signed(column, found["value"])
    if "low" not in found:
        return f"{value} (no interval)"
    sure = "*" if found["low"] > 0 or found["high"] < 0 else ""
    return f"{value} ({_signed(column, found['low'])} to {_signed(column, found['high'])}){sure}"
