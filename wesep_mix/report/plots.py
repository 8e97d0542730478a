"""Plots for RESULTS.md, which show what the means hide, and pictures of a prepared folder and of a tracked recording.

No number depends on them. Those of RESULTS.md are written as PNG, as PDF for papers and as SVG for report.html. What
tells rows apart in them is more than a colour: a kind of line, a marker or a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot: no window, no display, whatever the backend

from wesep_mix.base.files import atomic_path
from wesep_mix.metrics.clustering import normalised
from wesep_mix.report.data_summary import FolderContent, Histogram, by_group, histograms, mixture_hours

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)))
MARKERS = "osD^vP*Xp<>hd"
COSINE_BINS = np.linspace(-1, 1, 81)
DATA_COLUMNS = ("hours", "overlap", "SNR dB", "sexes")
FOR_PAPERS = (".pdf", ".svg")  # beside the PNG
UNDATED = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
PLAIN = {  # text stays text, and the same numbers give the same file
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


def improvement_plot(improvements: Mapping[str, np.ndarray], path: Path) -> None:
    """Plot the SI-SDRi of every utterance: histograms beside box plots.

    Args:
        improvements: {row: SI-SDRi in dB, [num]}.
        path: of the PNG.
    """
    names = list(improvements)
    values = [improvements[name] for name in names]
    bins = np.linspace(*_range(np.concatenate(values)), 41)
    figure = Figure(figsize=(11, 4.2))
    left, right = figure.subplots(1, 2)
    for place, (name, condition) in enumerate(zip(names, values, strict=True)):
        left.hist(condition, bins, histtype="step", label=name, linestyle=LINES[place % len(LINES)])
    left.set(xlabel="SI-SDRi (dB)", ylabel="utterances")
    left.legend(fontsize="small")
    _boxes(right, dict(zip(names, values, strict=True)), "SI-SDRi (dB)")
    save_figure(figure, path, FOR_PAPERS)


def score_plot(scores: Mapping[str, Mapping[str, np.ndarray]], path: Path) -> None:
    """Plot how the other scores are spread: a panel a metric, a box a row.

    Args:
        scores: {title of the metric: {row: values, [num]}}; each row has as many values as it was scored with.
        path: of the PNG.
    """
    columns = min(3, len(scores))
    lines = -(-len(scores) // columns)
    figure = Figure(figsize=(11, 3.6 * lines))
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, (title, rows) in zip(panels, scores.items(), strict=False):
        _boxes(panel, rows, title)
    for panel in panels[len(scores) :]:
        panel.set_axis_off()
    save_figure(figure, path, FOR_PAPERS)


def _boxes(panel: Axes, rows: Mapping[str, np.ndarray], title: str) -> None:
    panel.boxplot(list(rows.values()), showmeans=True)
    panel.set_xticks(range(1, len(rows) + 1), list(rows), rotation=30, ha="right")
    panel.set_ylabel(title)
    panel.grid(axis="y", alpha=0.4)


def cosine_plot(embeddings: Mapping[str, np.ndarray], speakers: Sequence[str], path: Path) -> None:
    """Plot the cosines of all pairs, same speaker against different, a panel a kind of embedding.

    Args:
        embeddings: {title: [M, D]}.
        speakers: of the M embeddings.
        path: of the PNG.
    """
    figure = Figure(figsize=(5.5 * len(embeddings), 3.8))
    panels = figure.subplots(1, len(embeddings), squeeze=False)
    for panel, (name, emb) in zip(panels[0], embeddings.items(), strict=True):
        same, different = pair_cosines(emb, speakers)
        panel.hist(same, COSINE_BINS, density=True, alpha=0.6, label="same speaker")
        panel.hist(different, COSINE_BINS, density=True, histtype="step", linewidth=1.5, label="different")
        panel.set(title=name, xlabel="cosine", ylabel="density")
        panel.legend(fontsize="small")
    save_figure(figure, path, FOR_PAPERS)


def pair_cosines(emb: np.ndarray, speakers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of all same-speaker pairs and of all different-speaker pairs.

    Args:
        emb: [M, D].
        speakers: of each.

    Returns:
        float32 [number of pairs], twice.
    """
    unit = normalised(emb).astype(np.float32)
    ids = np.unique(np.asarray(speakers), return_inverse=True)[1]
    same = ids[:, None] == ids
    pairs = np.triu(np.ones_like(same), k=1)
    cosines = unit @ unit.T
    return cosines[pairs & same], cosines[pairs & ~same]


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [0.5, 99.5])
    return float(low) - 1.0, float(high) + 1.0


def save_figure(figure: Figure, path: Path, others: Sequence[str] = ()) -> None:
    """Write a figure, whole or not at all.

    Args:
        figure: matplotlib's.
        path: of the PNG.
        others: endings of further files beside it, such as FOR_PAPERS.
    """
    for panel in figure.axes:
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    with matplotlib.rc_context(PLAIN | {"svg.hashsalt": path.stem}):
        for place in (path, *map(path.with_suffix, others)):
            with atomic_path(place) as temporary:
                figure.savefig(temporary, dpi=110, metadata=UNDATED.get(place.suffix))


def data_plot(contents: Sequence[FolderContent], path: Path) -> None:
    """Write a PNG of prepared sets: a row a group (single, 2mix), a column for hours and for each histogram.

    Bars of histograms are shares of their set in per cent, so that sets of different sizes can be compared.

    Args:
        contents: the sets.
        path: of the PNG.
    """
    groups = by_group([content for content in contents if content.plans])
    figure = Figure(figsize=(16, 3.2 * len(groups)))
    panels = figure.subplots(len(groups), len(DATA_COLUMNS), squeeze=False)
    for row, (group, members) in zip(panels, groups.items(), strict=True):
        _hours(row[0], group, members)
        drawn = {histogram.title: histogram for histogram in histograms(members)}
        for panel, column in zip(row[1:], DATA_COLUMNS[1:], strict=True):
            _histogram(panel, column, drawn.get(column))
    save_figure(figure, path)


def timeline_plot(turns: Mapping[str, Sequence[tuple[float, float]]], seconds: float, path: Path) -> None:
    """Write a PNG of who speaks when: a row a talker, the first on top.

    Args:
        turns: {talker: (begin, end) in seconds}.
        seconds: of the recording.
        path: of the PNG.
    """
    figure = Figure(figsize=(11, 1.2 + 0.4 * max(1, len(turns))))
    panel = figure.subplots()
    draw_turns(panel, turns)
    panel.set(xlim=(0, seconds), xlabel="s")
    save_figure(figure, path)


def draw_turns(panel: Axes, turns: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Draw who speaks when, a row a talker, the first on top.

    Args:
        panel: to draw into.
        turns: {talker: (begin, end) in seconds}.
    """
    for row, spans in enumerate(turns.values()):
        panel.broken_barh([(begin, end - begin) for begin, end in spans], (row - 0.35, 0.7), color=f"C{row % 10}")
    panel.set_ylim(max(1, len(turns)) - 0.5, -0.5)
    panel.set_yticks(range(len(turns)), list(turns))
    panel.grid(axis="x", alpha=0.4)


def _hours(panel: Axes, group: str, contents: Sequence[FolderContent]) -> None:
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
    """Draw the legend above the bars, not over them."""
    panel.margins(y=0.4)
    panel.legend(fontsize="x-small", loc="upper right")
