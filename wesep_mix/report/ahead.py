"""Which rows of RESULTS.md are ahead of which, with bootstrap intervals by draws of the test set's speakers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wesep_mix.evaluation.outcomes import Ahead, Outcomes, compare_rows, right_outcomes, score_outcomes
from wesep_mix.inference.controls import SEPARATED
from wesep_mix.report.statements import DRAWS, SAME_SPEAKERS, said_ahead
from wesep_mix.report.tables import EMBEDDING_COLUMNS, SPEECH_COLUMNS, ordered_rows

AGAINST = ("none", "wrong", "oracle", "enrolment")  # conditions that an extractor's own row is held against
STUDENT_AGAINST = ("kmeans", "kmeans/teacher")
SHOWN = {"embeddings": EMBEDDING_COLUMNS["acc"], "extraction": SPEECH_COLUMNS["si_sdri"]}
RULE = (
    f"{DRAWS} Draws are the same for both rows. Models and clusters stay as they are: the interval is one of speakers "
    "and mixtures, and says nothing about other trainings."
)

Talkers = Mapping[str, Mapping[str, bool | None]]  # {mixture: {speaker: whether the embedding is in its cluster}}


def differences(
    talkers: Mapping[str, Talkers], scores: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """Compare the rows of both tables that are to be held against each other.

    Args:
        talkers: of rows of embeddings.
        scores: {row of the table of extraction: lines of its scores.csv, of the targets}.

    Returns:
        {"embeddings", "extraction"}: `first`, `second`, and `difference` with its interval, `mixtures`, `speakers` and
        `paired` of each pair; the last four None where the speakers are always the same.
    """
    right = {name: right_outcomes(rows) for name, rows in talkers.items()}
    gains = {name: score_outcomes(_speakers(scores.values()), rows) for name, rows in scores.items()}
    return {
        "embeddings": [_compared(pair, right) for pair in _embedding_pairs(right)],
        "extraction": [_compared(pair, gains) for pair in _extraction_pairs(gains)],
    }


def _speakers(tables: Iterable[Sequence[Mapping[str, Any]]]) -> dict[str, list[str]]:
    """The speakers of each mixture, whoever of them is scored in which table."""
    found: dict[str, set[str]] = {}
    for row in (row for rows in tables for row in rows):
        found.setdefault(row["mix"], set()).add(row["speaker"])
    return {mix: sorted(names) for mix, names in found.items()}


def _embedding_pairs(rows: Mapping[str, Outcomes]) -> list[tuple[str, str]]:
    others = [name for name in ordered_rows(rows) if name in STUDENT_AGAINST or name.endswith(f"/{SEPARATED}")]
    return [("student", other) for other in others] if "student" in rows else []


def _extraction_pairs(rows: Mapping[str, Outcomes]) -> list[tuple[str, str]]:
    names = [name for name in ordered_rows(rows) if "/" not in name and name != "mixture"]
    separated = [name for name in ordered_rows(rows) if name.endswith(f"/{SEPARATED}")]
    pairs = [(name, other) for name in names for other in (*(f"{name}/{each}" for each in AGAINST), *separated)]
    return [(name, other) for name, other in pairs if other in rows]


def _compared(pair: tuple[str, str], rows: Mapping[str, Outcomes]) -> dict[str, Any]:
    ahead = compare_rows(*([rows[name]] for name in pair))
    unknown = dict.fromkeys(field.name for field in dataclasses.fields(Ahead))
    return {"first": pair[0], "second": pair[1]} | (unknown if ahead is None else vars(ahead))


def ahead_block(compared: Sequence[Mapping[str, Any]], table: str) -> str:
    """The statements below a table.

    Args:
        compared: as `differences` gives them.
        table: `embeddings` or `extraction`.

    Returns:
        Markdown; empty without any.
    """
    if not compared:
        return ""
    return "\n".join(["Statements:", "", *(f"- {_sentence(one, table)}" for one in compared), "", RULE])


def _sentence(one: Mapping[str, Any], table: str) -> str:
    column = SHOWN[table]
    text = f"`{one['first']}` is ahead of `{one['second']}` in {column.name}"
    if one["difference"] is None:
        return f"{text}: unknown, {SAME_SPEAKERS}."
    ahead = Ahead(one["difference"], tuple(one["mixtures"]), one["speakers"], one["paired"])
    return said_ahead(text, ahead, column).text
