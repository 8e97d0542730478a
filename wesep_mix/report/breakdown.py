"""Scores of the test set by what its mixtures are like: sexes of the talkers, level of the noise, overlap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.breakdown import CONDITIONS
from wesep_mix.inference.controls import CONTROLS
from wesep_mix.report.tables import EMBEDDING_COLUMNS, SPEECH_COLUMNS, Table, ordered_rows

TITLES = {"sexes": "sexes", "snr_db": "SNR dB", "overlap": "overlap"}
MEASURES = {measure: (EMBEDDING_COLUMNS | SPEECH_COLUMNS)[measure] for measure in ("acc", "cos", "si_sdri")}

Groups = Mapping[str, Mapping[str, Mapping[str, float]]]  # {condition: {value: {measure: number}}}


def extraction_by(
    scores: Mapping[str, Sequence[Mapping[str, Any]]], known: Mapping[str, Mapping[str, str]]
) -> dict[str, Groups]:
    """{row: {condition: {value: {"si_sdri", "num"}}}} of {row: lines of its scores.csv}.

    known: {mixture: {condition: value}}. Raises: UserError when a scored mixture is not among them.
    """
    return {name: _grouped(name, rows, known) for name, rows in scores.items()}


def condition_tables(results: Mapping[str, Any]) -> list[Table]:
    """One table a condition: a column a value, a line a row and measure; of the extraction no controls."""
    embeddings, extraction = results["embeddings_by"], results["extraction_by"]
    shown = [(name, embeddings[name]) for name in ordered_rows(embeddings)]
    shown += [(name, extraction[name]) for name in ordered_rows(extraction) if name.partition("/")[2] not in CONTROLS]
    return (
        [_table(condition, [(name, groups[condition]) for name, groups in shown]) for condition in CONDITIONS]
        if shown
        else []
    )


def _grouped(name: str, rows: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, str]]) -> Groups:
    unknown = next((row["mix"] for row in rows if row["mix"] not in known), None)
    if unknown is not None:
        raise UserError(
            f"{name}: mixture {unknown} is scored, but stage 8 did not tell its conditions; redo it with "
            "--stage 8 --force true"
        )
    improved = np.array([row["si_sdri"] for row in rows])
    groups: dict[str, dict] = {}
    for condition in CONDITIONS:
        values = np.array([known[row["mix"]][condition] for row in rows])
        groups[condition] = {
            value: {"si_sdri": float(improved[values == value].mean()), "num": int((values == value).sum())}
            for value in np.unique(values).tolist()
        }
    return groups


def _table(condition: str, shown: Sequence[tuple[str, Mapping[str, Mapping[str, float]]]]) -> Table:
    values = in_steps(value for _, groups in shown for value in groups)
    rows = [
        (f"{name}: {column.title}", *(column.cell(groups.get(value, {}), measure) for value in values))
        for name, groups in shown
        for measure, column in MEASURES.items()
        if any(measure in group for group in groups.values())
    ]
    most = [max(groups.get(value, {}).get("num", 0) for _, groups in shown) for value in values]
    return Table((TITLES[condition], *values), [*rows, ("num", *map(str, most))])


def in_steps(values: Iterable[str]) -> list[str]:
    """Each value of a condition once, in the order of its numbers."""
    return sorted(set(values), key=_by_number)


def _by_number(value: str) -> tuple:
    """`5` before `10`, words after numbers."""
    number = re.match(r"-?\d+(\.\d+)?", value)
    return (0, float(number[0]), value) if number else (1, 0.0, value)
