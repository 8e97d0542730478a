"""Statements of the form 'this row is ahead of that one', with a verdict computed from an interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wesep_mix.evaluation.outcomes import Ahead
from wesep_mix.report.tables import Column

DRAWS = (
    "A row is ahead of another where the 95 % interval of the difference lies above 0. It is from 1000 draws of the "
    "test set's speakers, with replacement. A mixture is in a draw as often as its speakers are, their numbers "
    "multiplied."
)
SAME_SPEAKERS = "since the mixtures of a row all have the same speakers"


@dataclass(frozen=True)
class Statement:
    """A sentence about the numbers.

    Attributes:
        text: the sentence.
        holds: whether it does; None where the table lacks what it takes to say.
        difference: of the two rows that it compares, `value`, and `low` and `high` of its interval.
    """

    text: str
    holds: bool | None
    difference: Mapping[str, float] | None = None


def said_ahead(text: str, ahead: Ahead, column: Column) -> Statement:
    """The first row is ahead of the second: the interval of the difference lies above 0.

    Args:
        text: which row is ahead of which in what.
        ahead: by how much.
        column: how the metric is shown, of which more is better.

    Returns:
        The statement.
    """
    value, low, high = (
        f"{column.factor * ahead.difference[name]:+.{column.digits}f}" for name in ("value", "low", "high")
    )
    mixtures = (
        f"{ahead.mixtures[0]} mixtures"
        if ahead.paired
        else "not paired: {} and {} other mixtures".format(*ahead.mixtures)
    )
    holds = ahead.difference["low"] > 0
    by = " ".join(filter(None, (value, column.unit.replace("%", "points"))))
    return Statement(
        f"{text}: by {by}, 95 % interval {low} to {high} ({mixtures} of {ahead.speakers} speakers); {verdict(holds)}.",
        holds,
        ahead.difference,
    )


def verdict(holds: bool) -> str:
    """In words."""
    return "holds" if holds else "does not hold"
