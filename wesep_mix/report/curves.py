"""Learning curves: what the trainings of an experiment wrote while they went on, and a plot of it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wesep_mix.base.errors import UserError
from wesep_mix.report.plots import FOR_PAPERS, save_figure

LOGS = "logs/csv"  # in a training's folder
LOSSES = ("train/loss", "dev/loss")
OTHERS = {"dev/eer": "EER of the dev set", "dev/count_acc": "talkers counted right, dev set"}  # scales of their own
Curve = list[tuple[int, float]]  # (optimiser step, value), by step


def learning_curves(mixtures: Path) -> dict[str, dict[str, Curve]]:
    """What the trainings behind the results wrote.

    Args:
        mixtures: folder of the experiment, `exp/<N>mix`.

    Returns:
        {model: {measure: curve}}, the teacher and the student first; a model whose log is not there is left out.

    Raises:
        UserError: a log is damaged.
    """
    first = {"teacher": mixtures.parent / "teacher", "student": mixtures / "student"}
    others = [path.parents[1] for path in sorted(mixtures.glob(f"*/*/{LOGS}"))]
    models = first | {path.relative_to(mixtures).as_posix(): path for path in others}
    curves = {name: read_curves(path / LOGS) for name, path in models.items()}
    return {name: measures for name, measures in curves.items() if measures}


def read_curves(folder: Path) -> dict[str, Curve]:
    """The losses, and the other measures of the dev set, of one training.

    Args:
        folder: with metrics.csv, and metrics.1.csv and so on of the runs before a stop. Where a later run repeats a
            step, its value counts.

    Returns:
        {measure: curve}, of measures with a value.

    Raises:
        UserError: a value is no number.
    """
    stopped = sorted(folder.glob("metrics.*.csv"), key=lambda path: int(path.stem.partition(".")[2]))
    curves: dict[str, dict[int, float]] = {}
    for path in (*stopped, folder / "metrics.csv"):
        for row in _rows(path) if path.is_file() else ():
            for measure in (*LOSSES, *OTHERS):
                if row.get(measure):
                    try:
                        curves.setdefault(measure, {})[int(row["step"])] = float(row[measure])
                    except (KeyError, TypeError, ValueError) as err:
                        raise UserError(f"{path}: not a log of a training ({err}); remove it") from err
    return {measure: sorted(values.items()) for measure, values in curves.items()}


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def curve_plot(curves: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]], path: Path) -> None:
    """Plot the loss of each training, and on an axis of its own what else was measured on the dev set.

    Args:
        curves: {model: {measure: curve}}, at least one.
        path: of the PNG.
    """
    columns = min(3, len(curves))
    lines = -(-len(curves) // columns)
    figure = Figure(figsize=(11 if columns > 1 else 6, 3.4 * lines))
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, (name, measures) in zip(panels, curves.items(), strict=False):
        _draw(panel, name, measures)
    for panel in panels[len(curves) :]:
        panel.set_axis_off()
    save_figure(figure, path, FOR_PAPERS)


def _draw(panel: Axes, name: str, measures: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    styles = {"train/loss": ("C0", "-", ""), "dev/loss": ("C1", "--", "o")}
    handles = []
    for measure in filter(measures.get, LOSSES):
        color, line, marker = styles[measure]
        handles += panel.plot(
            *zip(*measures[measure], strict=True),
            color=color,
            linestyle=line,
            marker=marker,
            markersize=3.5,
            label=measure.replace("/", " "),
        )
    panel.set(title=name, xlabel="optimiser step", ylabel="loss")
    for measure in filter(measures.get, OTHERS):
        right = panel.twinx()
        right.set_ylim(0, 1)
        handles += right.plot(*zip(*measures[measure], strict=True), "C2:s", markersize=3.5, label=OTHERS[measure])
    panel.legend(handles=handles, fontsize="x-small")
