"""Plots of stage 8's analyses: the way between two embeddings, margins against gains, separation before embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wesep_mix.report.plots import FOR_PAPERS, save_figure
from wesep_mix.report.tables import EMBEDDING_COLUMNS, SPEECH_COLUMNS

SI_SDR, SI_SDRI = (SPEECH_COLUMNS[name].title for name in ("si_sdr", "si_sdri"))


def interpolation_plot(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot SI-SDR to both talkers by a, of every mixture and in the mean, beside where the mixtures cross.

    Args:
        found: interpolation.json.
        rows: interpolation.csv.
        path: of the PNG.
    """
    figure = Figure(figsize=(11, 4.2))
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    steps = [step["a"] for step in found["steps"]]
    for number, (which, line) in enumerate((("si_sdr_a", "-"), ("si_sdr_b", "--"))):
        for first in range(0, len(rows), len(steps)):
            curve = [row[which] for row in rows[first : first + len(steps)]]
            left.plot(steps, curve, line, color=f"C{number}", alpha=0.12, linewidth=0.8)
        label = f"{'first' if which == 'si_sdr_a' else 'second'} talker, mean and 95 % interval"
        _mean(left, steps, [step[which] for step in found["steps"]], label, f"C{number}{line}")
    left.set(xlabel="a", ylabel=SI_SDR)
    low = min(step[which]["low"] for step in found["steps"] for which in ("si_sdr_a", "si_sdr_b"))
    left.set_ylim(low - 12, None)  # single curves fall far where the other talker is all that comes out
    left.legend(fontsize="small")
    for by, (title, style) in {"by_si_sdri": ("SI-SDRi", "-"), "by_si_sdr": ("SI-SDR", ":")}.items():
        crossed = [one[by] for one in found["mixtures"].values() if one[by] is not None]
        right.hist(crossed, np.linspace(0, 1, 21), histtype="step", linestyle=style, label=f"by {title}")
    right.set(xlabel="a at which both talkers come out alike", ylabel="mixtures", xlim=(0, 1))
    right.legend(fontsize="small")
    for panel in (left, right):
        panel.grid(alpha=0.4)
    save_figure(figure, path, FOR_PAPERS)


def _mean(panel: Axes, places: Sequence[float], means: Sequence[Mapping[str, float]], label: str, style: str) -> None:
    """A line of means with a band."""
    (line,) = panel.plot(places, [one["value"] for one in means], style, label=label, linewidth=2)
    ends = ([one[end] for one in means] for end in ("low", "high"))
    panel.fill_between(places, *ends, color=line.get_color(), alpha=0.2)


def margin_plot(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot SI-SDRi by the margin between candidates: a point a talker, and means of bins.

    Args:
        found: margins.json.
        rows: margins.csv.
        path: of the PNG.
    """
    figure = Figure(figsize=(7, 4.2))
    panel = figure.subplots()
    panel.scatter([row["margin"] for row in rows], [row["si_sdri"] for row in rows], s=8, alpha=0.4, label="a talker")
    bins = [one for one in found["margin"]["bins"] if one["si_sdri"]]
    middles = [(one["low_end"] + one["high_end"]) / 2 for one in bins]
    means = [one["si_sdri"] for one in bins]
    # not error bars: an interval from few speakers need not hold the mean itself
    panel.vlines(middles, [one["low"] for one in means], [one["high"] for one in means], color="k")
    label = "a fifth of them: mean, 95 % interval"
    panel.plot(middles, [one["value"] for one in means], "sk-", label=label)
    panel.set(xlabel="margin between the candidates", ylabel=SI_SDRI)
    panel.grid(alpha=0.4)
    panel.legend(fontsize="small")
    save_figure(figure, path, FOR_PAPERS)


def separated_plot(found: Mapping[str, Any], student: Mapping[str, float] | None, path: Path) -> None:
    """Plot clustering metrics from the clean sources to the separated ones.

    Args:
        found: separated.json.
        student: metrics of its row, for comparison.
        path: of the PNG.
    """
    figure = Figure(figsize=(11, 3.8))
    panels = figure.subplots(1, 3)
    steps = [step["a"] for step in found["steps"]]
    for panel, metric in zip(panels, ("acc", "nmi", "ari"), strict=True):
        column = EMBEDDING_COLUMNS[metric]
        panel.plot(steps, [column.factor * step[metric] for step in found["steps"]], "o-", label="clean to separated")
        panel.axhline(column.factor * found["separated"][metric], linestyle=":", color="C1", label="separated as it is")
        if student:
            panel.axhline(column.factor * student[metric], linestyle="--", color="C2", label="student")
        panel.set(xlabel="a", ylabel=column.title)
        panel.grid(alpha=0.4)
    panels[0].legend(fontsize="small")
    save_figure(figure, path, FOR_PAPERS)
