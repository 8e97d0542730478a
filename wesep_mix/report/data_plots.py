"""One picture of a prepared folder: hours, overlap, SNR and sex pairs of every group of sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot: no window, no display, whatever the backend

from wesep_mix.report.data_summary import Content, Histogram, by_group, histograms, mixture_hours
from wesep_mix.report.plots import save_figure

COLUMNS = ("hours", "overlap", "SNR dB", "sexes")


def data_plot(contents: Sequence[Content], path: Path) -> None:
    """Write a PNG: a row a group (single, 2mix), a column for hours and for each histogram.

    Bars of histograms are shares of their set in per cent, so that sets of different sizes compare.
    """
    groups = by_group([content for content in contents if content.plans])
    figure = Figure(figsize=(16, 3.2 * len(groups)))
    panels = figure.subplots(len(groups), len(COLUMNS), squeeze=False)
    for row, (group, members) in zip(panels, groups.items(), strict=True):
        _hours(row[0], group, members)
        drawn = {histogram.title: histogram for histogram in histograms(members)}
        for panel, column in zip(row[1:], COLUMNS[1:], strict=True):
            _histogram(panel, column, drawn.get(column))
    save_figure(figure, path)


def _hours(panel: Axes, group: str, contents: Sequence[Content]) -> None:
    mixtures, sources = np.array([mixture_hours(content) for content in contents]).T
    places = np.arange(len(contents))
    for shift, label, values in ((-0.2, "mixtures", mixtures), (0.2, "all sources", sources)):
        panel.bar_label(panel.bar(places + shift, values, 0.4, label=label), fmt="%.3g", fontsize="x-small")
    panel.set_xticks(places, [content.name for content in contents])
    panel.set(title=f"{group}: hours", ylabel="hours")
    _legend(panel)


def _histogram(panel: Axes, title: str, histogram: Histogram | None) -> None:
    if histogram is None:  # a single speaker has no overlap
        panel.set_axis_off()
        return
    width = 0.8 / len(histogram.counts)
    places = np.arange(len(histogram.bins))
    for number, (name, counts) in enumerate(histogram.counts.items()):
        shares = 100 * np.array(counts) / max(1, sum(counts))
        panel.bar(places + (number + 0.5) * width - 0.4, shares, width, label=f"{name} ({sum(counts)})")
    panel.set_xticks(places, histogram.bins, rotation=35 if len(histogram.bins) > 4 else 0, fontsize="x-small")
    panel.set(title=title, ylabel="%")
    _legend(panel)


def _legend(panel: Axes) -> None:
    """Above the bars, not over them."""
    panel.margins(y=0.4)
    panel.legend(fontsize="x-small", loc="upper right")
