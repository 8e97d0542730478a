"""Scores of the test set by properties of its mixtures: sexes of the talkers, level of the noise, overlap, and how
alike the voices are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.breakdown import PROPERTIES, Breakdown
from wesep_mix.inference.controls import CONTROLS
from wesep_mix.report.tables import EMBEDDING_COLUMNS, SPEECH_COLUMNS, Table, ordered_rows

TITLES = {"sexes": "sexes", "snr_db": "SNR dB", "overlap": "overlap", "cosine": "cosine"}
MEASURES = {measure: (EMBEDDING_COLUMNS | SPEECH_COLUMNS)[measure] for measure in ("acc", "cos", "si_sdri")}


def extraction_breakdown(
    scores: Mapping[str, Sequence[Mapping[str, Any]]], known: Mapping[str, Mapping[str, str]]
) -> dict[str, Breakdown]:
    """SI-SDRi of each row by the properties of its mixtures.

    Args:
        scores: {row: lines of its scores.csv}.
        known: {mixture: {property: value}}.

    Returns:
        {row: {property: {value: {"si_sdri", "num"}}}}.

    Raises:
        UserError: the properties of a scored mixture are not known.
    """
    return {name: _break_down(name, rows, known) for name, rows in scores.items()}


def breakdown_tables(results: Mapping[str, Any]) -> list[Table]:
    """One table a property of mixtures: a column a value, a line a row and measure; without controls."""
    embeddings, extraction = results["embeddings_by"], results["extraction_by"]
    rows = [(name, embeddings[name]) for name in ordered_rows(embeddings)]
    rows += [(name, extraction[name]) for name in ordered_rows(extraction) if name.partition("/")[2] not in CONTROLS]
    there = [each for each in PROPERTIES if all(each in breakdown for _, breakdown in rows)]
    return [_table(each, [(name, breakdown[each]) for name, breakdown in rows]) for each in there] if rows else []


def _break_down(name: str, rows: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, str]]) -> Breakdown:
    unknown = next((row["mix"] for row in rows if row["mix"] not in known), None)
    if unknown is not None:
        raise UserError(
            f"{name}: mixture {unknown} is scored, but stage 8 did not note its sexes, SNR and overlap; redo it with "
            "--stage 8 --force true"
        )
    improved = np.array([row["si_sdri"] for row in rows])
    breakdown: Breakdown = {}
    for each in (name for name in PROPERTIES if all(name in known[row["mix"]] for row in rows)):
        values = np.array([known[row["mix"]][each] for row in rows])
        breakdown[each] = {
            value: {"si_sdri": float(improved[values == value].mean()), "num": int((values == value).sum())}
            for value in np.unique(values).tolist()
        }
    return breakdown


def _table(kind: str, rows: Sequence[tuple[str, Mapping[str, Mapping[str, float]]]]) -> Table:
    values = in_order(value for _, groups in rows for value in groups)
    lines = [
        (f"{name}: {column.title}", *(column.cell(groups.get(value, {}), measure) for value in values))
        for name, groups in rows
        for measure, column in MEASURES.items()
        if any(measure in group for group in groups.values())
    ]
    most = [max(groups.get(value, {}).get("num", 0) for _, groups in rows) for value in values]
    return Table((TITLES[kind], *values), [*lines, ("num", *map(str, most))])


def in_order(values: Iterable[str]) -> list[str]:
    """Each value of a property once, in the order of its numbers."""
    return sorted(set(values), key=_by_number)


def _by_number(value: str) -> tuple:
    """`5` before `10`, words after numbers."""
    number = re.match(r"-?\d+(\.\d+)?", value)
    return (0, float(number[0]), value) if number else (1, 0.0, value)
