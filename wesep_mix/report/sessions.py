"""Sections of TRACKING.md beside the rows of tracking: speech over sessions, spaces of embeddings, drift of slots.

A session's value is the mean over its talkers and over seeds; intervals are over sessions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wesep_mix.metrics.diarisation import ERRORS
from wesep_mix.metrics.intervals import bootstrap, pooled
from wesep_mix.report.tables import Table

Row = Mapping[str, Any]
Number = dict[str, float | None]  # value, low and high
ORIGINS = {
    "own": "the window's own embedding of the talker, named by the truth",
    "memory": "the memory's at that time",
    "first": "that with which the slot was opened",
    "enrolled": "the teacher's, of other clean speech of the talker",
    "wrong": "the memory's of another slot",
    "heard": "the memory's, and only where it hears the slot: what a user gets over the whole session",
}
SPACE_COLUMNS = {"acc": "Acc %", "nmi": "NMI %", "eer": "EER %", "cos": "cos %"}
DRIFT_COLUMNS = {"before": "first half cos %", "after": "second half cos %"}


def by_session(rows: Sequence[Row], name: str) -> np.ndarray:
    """The mean of each session's values that are there.

    Args:
        rows: with `session`.
        name: of the value.

    Returns:
        float [M].
    """
    values: dict[str, list[float]] = {}
    for one in rows:
        if one[name] is not None:
            values.setdefault(one["session"], []).append(one[name])
    return np.array([np.mean(own) for own in values.values()])


def number(values: np.ndarray) -> Number:
    """The mean of sessions' values [M] and its interval, {value, low, high}; None where there are too few."""
    low, high = bootstrap(values, 0) or (None, None)
    return {"value": float(values.mean()) if len(values) else None, "low": low, "high": high}


def shown(found: Number, digits: int, factor: float = 1.0) -> str:
    """A number for a cell.

    Args:
        found: the number.
        digits: behind the point.
        factor: to what is shown.

    Returns:
        `2.31 (1.90-2.75)`; a dash where it is not defined.
    """
    if found["value"] is None:
        return "-"
    value, *ends = (None if one is None else f"{factor * one:.{digits}f}" for one in found.values())
    return f"{value} ({ends[0]}-{ends[1]})" if None not in ends else str(value)


def speech_numbers(speech: Sequence[Row], regimes: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Scores of extraction over sessions.

    Args:
        speech: of each seed, {"talkers": rows of evaluation.session_speech}.
        regimes: in order.

    Returns:
        {origin: {regime: {"si_sdri" and "leak_db": Number, "wrong": share of windows or None, "silent": share of
        talkers for whom nothing came out, "talkers": how many}}}.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for origin in ORIGINS:
        for regime in regimes:
            own = [
                one for each in speech for one in each["talkers"] if (one["origin"], one["regime"]) == (origin, regime)
            ]
            wrong, num = (sum(one[name] for one in own) for name in ("wrong", "num"))
            found.setdefault(origin, {})[regime] = {
                "si_sdri": number(by_session(own, "si_sdri")),
                "leak_db": number(by_session(own, "leak_db")),
                "wrong": wrong / num if num else None,
                "silent": sum(one["si_sdri"] is None for one in own) / len(own) if own else None,
                "talkers": len(own),
            }
    return found


def speech_table(numbers: Mapping[str, Mapping[str, Row]]) -> Table:
    """A row an origin of embeddings, four columns a regime; `numbers` are of `speech_numbers`."""
    regimes = list(next(iter(numbers.values())))
    header = ["embedding"]
    for regime in regimes:
        header += [f"{regime}: SI-SDRi dB", "leakage dB", "wrong talker %", "silent %"]
    rows = []
    for origin, own in numbers.items():
        cells = [origin]
        for regime in regimes:
            found = own[regime]
            shares = ("-" if found[name] is None else f"{100 * found[name]:.1f}" for name in ("wrong", "silent"))
            cells += [shown(found["si_sdri"], 2), shown(found["leak_db"] | {"low": None}, 1), *shares]
        rows.append(cells)
    return Table(header, rows)


def der_by_extraction(speech: Sequence[Row], regimes: Sequence[str]) -> dict[str, float | None]:
    """DER without a collar of diarisation by extraction.

    Args:
        speech: of each seed, {"der": rows with a `der` of metrics.diarisation}.
        regimes: in order.

    Returns:
        {regime: the share of all sessions' speech that is wrong}.
    """
    rates = {}
    for regime in regimes:
        own = [one["der"] for found in speech for one in found["der"] if one["regime"] == regime]
        pairs = [(sum(one[kind] for kind in ERRORS), one["total"]) for one in own]
        rates[regime] = pooled(np.array(pairs)) if pairs else None
    return rates


def space_numbers(spaces: Sequence[Mapping[str, Sequence[Row]]]) -> dict[str, dict[str, dict[str, Number]]]:
    """How well spaces hold over sessions without a memory.

    Args:
        spaces: of each seed, {ear: rows of evaluation.session_space.space}.

    Returns:
        {ear: {regime: {measure: Number}}}.
    """
    found: dict[str, dict[str, dict[str, Number]]] = {}
    for ear in dict.fromkeys(ear for one in spaces for ear in one):
        rows = [row for one in spaces for row in one.get(ear, ())]
        found[ear] = _by_regime(rows, SPACE_COLUMNS)
    return found


def drift_numbers(speech: Sequence[Row]) -> dict[str, dict[str, Number]]:
    """How near slots stay to their talkers.

    Args:
        speech: of each seed, {"drift": rows of evaluation.session_space.drift}.

    Returns:
        {regime: {"before" and "after": Number}}.
    """
    return _by_regime([row for one in speech for row in one["drift"]], DRIFT_COLUMNS)


def _by_regime(rows: Sequence[Row], names: Mapping[str, str]) -> dict[str, dict[str, Number]]:
    return {
        regime: {name: number(by_session([row for row in rows if row["regime"] == regime], name)) for name in names}
        for regime in dict.fromkeys(row["regime"] for row in rows)
    }


def space_table(numbers: Mapping[str, Mapping[str, Mapping[str, Number]]]) -> Table:
    """A row an ear and regime; `numbers` are of `space_numbers`."""
    return Table(
        ["heard by", *SPACE_COLUMNS.values()],
        [
            [f"{ear}, {regime}", *(shown(found[name], 1, 100) for name in SPACE_COLUMNS)]
            for ear, regimes in numbers.items()
            for regime, found in regimes.items()
        ],
    )


def drift_table(numbers: Mapping[str, Mapping[str, Number]]) -> Table:
    """A row a regime; `numbers` are of `drift_numbers`."""
    return Table(
        ["regime", *DRIFT_COLUMNS.values()],
        [[regime, *(shown(found[name], 1, 100) for name in DRIFT_COLUMNS)] for regime, found in numbers.items()],
    )
