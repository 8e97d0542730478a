"""TRACKING.md and its plots: how well talkers are tracked through sessions, row by row, with intervals.

A session is the unit. Where several seeds trained the student, a session's value is the mean over them, and its counts
are their sums; intervals are drawn over sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wesep_mix.metrics.diarisation import ERRORS
from wesep_mix.metrics.intervals import bootstrap, mean, paired_bootstrap, pooled
from wesep_mix.metrics.tracking import LONG
from wesep_mix.report.plots import draw_turns, save_figure
from wesep_mix.report.tables import Table

Scored = Mapping[str, Any]  # a session, as evaluation.tracking.measure gives it
ALL = "all"
FEW, MANY = "2-3", "4-5"  # talkers


@dataclass(frozen=True)
class Measure:
    """A column: `of` gives a session's value, or its (part, whole) to be summed.

    Attributes:
        title: of the column.
        of: from a scored session.
        digits: behind the point.
        factor: to what is shown.
        rule: what it is.
    """

    title: str
    of: Callable[[Scored], float | None | tuple[float, float]]
    rule: str
    digits: int = 1
    factor: float = 100.0


def _errors(*names: str) -> Callable[[Scored], tuple[float, float]]:
    return lambda one: (sum(one["errors"][name] for name in names), one["errors"]["num"])


def _der(name: str) -> Callable[[Scored], tuple[float, float]]:
    return lambda one: (sum(one[name][kind] for kind in ERRORS), one[name]["total"])


MEASURES = {
    "idf1": Measure(
        "IDF1 %",
        lambda one: one["identity"]["idf1"],
        "F1 of (window, talker) cells, each talker's slot being one for the whole session",
    ),
    "attribution": Measure(
        "right %", _errors("correct"), "of the windows in which a talker speaks, those in which the talker's slot does"
    ),
    "error": Measure(
        "errors %",
        _errors(*ERRORS),
        "missed, false and confused talkers of a window, of those who speak: DER with windows for seconds",
    ),
    "confusion": Measure("confused %", _errors("confusion"), "of these the confused ones alone"),
    "reid": Measure(
        "again %",
        lambda one: one["returns"][LONG],
        "returns after more than 15 s whose first window has the talker's slot",
    ),
    "exact": Measure(
        "count %", lambda one: one["count"]["exact"], "sessions whose number of talkers is right in the end"
    ),
    "near": Measure(
        "within 1 %",
        lambda one: None if one["count"]["final"] is None else float(abs(one["count"]["final"]) <= 1),
        "the same, give or take one",
    ),
    "count": Measure(
        "count error", lambda one: one["count"]["mean_abs"], "talkers too many or too few, mean over windows", 2, 1.0
    ),
    "switches": Measure(
        "switches/min",
        lambda one: one["identity"]["switches_per_min"],
        "changes of the slot that covers a talker",
        2,
        1.0,
    ),
    "purity": Measure("purity %", lambda one: one["identity"]["purity"], "of slots"),
    "coverage": Measure("coverage %", lambda one: one["identity"]["coverage"], "of talkers"),
    "der": Measure(
        "DER %",
        _der("der"),
        "diarisation error rate without a collar; a slot speaks in the middle of its "
        "windows where Silero VAD hears speech in the mixture",
    ),
    "der_collar": Measure("DER .25 %", _der("der_collar"), "the same with a collar of 0.25 s"),
}


def group_of(one: Scored) -> str:
    """2-3 or 4-5 talkers."""
    return FEW if one["num_talkers"] <= 3 else MANY


def chosen(scored: Iterable[Scored], regime: str = ALL, talkers: str = ALL) -> list[Scored]:
    """The sessions of a regime and of some numbers of talkers.

    Args:
        scored: sessions.
        regime: its name, or all.
        talkers: 2-3, 4-5, or all.

    Returns:
        Those of the sessions.
    """
    return [one for one in scored if regime in (ALL, one["regime"]) and talkers in (ALL, group_of(one))]


def by_session(scored: Iterable[Scored], measure: Measure) -> np.ndarray:
    """Each session's value over all seeds.

    Args:
        scored: sessions, of several seeds.
        measure: the measure.

    Returns:
        A value a session, [M], NaN where it is not defined; or its part and whole, [M, 2].
    """
    values: dict[str, list[Any]] = {}
    for one in scored:
        values.setdefault(one["session"], []).append(measure.of(one))
    rows = []
    for own in values.values():
        if isinstance(own[0], (tuple, list)):
            rows.append(np.sum(own, axis=0))
        else:
            defined = [value for value in own if value is not None]
            rows.append(np.mean(defined) if defined else np.nan)
    return np.array(rows, dtype=np.float64)


def summary(scored: Sequence[Scored], seed: int = 0) -> dict[str, dict[str, float | None]]:
    """Every measure over sessions.

    Args:
        scored: sessions of all seeds.
        seed: of the intervals.

    Returns:
        {measure: {"value", "low", "high", "num"}}; num is of sessions, or of what is counted; values are None where
        nothing is defined.
    """
    found = {}
    for name, measure in MEASURES.items():
        rows = by_session(scored, measure)
        defined = rows[~np.isnan(rows)] if rows.ndim == 1 else rows
        value = (mean(defined) if len(defined) else None) if rows.ndim == 1 else pooled(rows)
        low, high = bootstrap(rows, seed) or (None, None)
        num = len(defined) if rows.ndim == 1 else int(rows[:, 1].sum())
        found[name] = {"value": value, "low": low, "high": high, "num": num}
    return found


def shown(measure: Measure, found: Mapping[str, float | None]) -> str:
    """`82.1 (78.0-85.9)`; a dash where it is not defined.

    Args:
        measure: of the number.
        found: its value and interval.

    Returns:
        The text.
    """
    if found["value"] is None:
        return "-"
    text = f"{measure.factor * found['value']:.{measure.digits}f}"
    if found["low"] is None:
        return text
    low, high = (f"{measure.factor * found[name]:.{measure.digits}f}" for name in ("low", "high"))
    return f"{text} ({low}-{high})"


def rows_table(rows: Mapping[str, Sequence[Scored]], titles: Mapping[str, str], names: Sequence[str]) -> Table:
    """A row a system, a column a measure.

    Args:
        rows: scored sessions of each.
        titles: of the rows.
        names: of the measures.

    Returns:
        The table.
    """
    found = {name: summary(scored) for name, scored in rows.items() if scored}
    return Table(
        ["row", *(MEASURES[name].title for name in names)],
        [[titles[row], *(shown(MEASURES[name], values[name]) for name in names)] for row, values in found.items()],
    )


def gaps_table(scored: Sequence[Scored]) -> Table:
    """Re-identification by how long a talker was away, for few and many talkers, of all and of known ones."""
    names = list(scored[0]["returns"])
    rows = []
    for regime in dict.fromkeys(one["regime"] for one in scored):
        for talkers in (FEW, MANY):
            for kind, title in (("returns", "all"), ("known_returns", "known")):
                own = chosen(scored, regime, talkers)
                counts = [np.sum([one[kind][name] for one in own], axis=0) if own else (0, 0) for name in names]
                cells = [f"{100 * right / num:.0f} % of {num:.0f}" if num else "-" for right, num in counts]
                rows.append([f"{regime}, {talkers} talkers, {title}", *cells])
    return Table(["returns", *(f"away {name} s" for name in names)], rows)


def ahead(
    rows: Mapping[str, Sequence[Scored]], first: str, second: str, regimes: Sequence[str], name: str = "idf1"
) -> tuple[float, tuple[float, float] | None]:
    """By how much one row is ahead of another in a measure, over the same sessions.

    Args:
        rows: scored sessions of each.
        first: a row.
        second: another.
        regimes: whose sessions count.
        name: of the measure.

    Returns:
        The mean difference over sessions, and its interval.
    """
    values = []
    for row in (first, second):
        own = [one for one in rows[row] if one["regime"] in regimes]
        found = by_session(own, MEASURES[name])
        values.append(found if found.ndim == 1 else found[:, 0] / np.maximum(found[:, 1], 1))
    return float(np.nanmean(values[0] - values[1])), paired_bootstrap(*values, 0)


def session_plot(
    turns: Mapping[str, Sequence[tuple[float, float]]],
    slots: Mapping[str, Sequence[tuple[float, float]]],
    events: Sequence[tuple[float, str]],
    title: str,
    path: Path,
) -> None:
    """Write a PNG of who spoke when, and below it who was said to.

    Args:
        turns: {talker: stretches in seconds}, of the truth.
        slots: {slot: stretches in seconds}, those of a talker first, in the talkers' order.
        events: (seconds, what the memory told).
        title: of the plot.
        path: of the PNG.
    """
    figure = Figure(figsize=(12, 1.2 + 0.32 * (len(turns) + len(slots))))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[len(turns) or 1, len(slots) or 1])
    for panel, rows, label in ((above, turns, "spoke"), (below, slots, "heard")):
        draw_turns(panel, rows)
        panel.set_ylabel(label)
    for second, what in events:
        below.axvline(second, color="0.4", linewidth=0.8, linestyle=":")
        below.annotate(
            what, (second, 1.0), xycoords=("data", "axes fraction"), fontsize="xx-small", rotation=90, va="top"
        )
    above.set_title(title)
    below.set_xlabel("seconds")
    save_figure(figure, path)
