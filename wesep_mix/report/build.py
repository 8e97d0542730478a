"""Stage 9: write results.json, RESULTS.md, report.html, tables.tex and the plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, write_json
from wesep_mix.base.stage import damage_of
from wesep_mix.evaluation.analysis import WORST
from wesep_mix.evaluation.breakdown import MIXTURES, read_properties
from wesep_mix.evaluation.scoring import read_scored
from wesep_mix.io.embeddings import read_embeddings
from wesep_mix.report.analysis import PAGE as WORST_PAGE
from wesep_mix.report.analysis import draw_analyses
from wesep_mix.report.curves import curve_plot, learning_curves
from wesep_mix.report.examples import to_listen_to
from wesep_mix.report.html import page
from wesep_mix.report.latex import results_latex
from wesep_mix.report.maps import FEWEST, map_plot
from wesep_mix.report.markdown import Context, commands, document, empty_told, terminal
from wesep_mix.report.plots import cosine_plot, improvement_plot, score_plot
from wesep_mix.report.results import empty_cells, left_out, metrics_file, outdated_rows, scored_conditions
from wesep_mix.report.tables import SPEECH_COLUMNS, ordered_rows
from wesep_mix.report.worst import Worst, read_worst, worst_page

PLOTS, TEXT, TABLES, PAGE = "plots", "RESULTS.md", "tables.tex", "report.html"


def write_report(exp: Path, results: dict[str, Any], settings: Sequence[str] = (), data: Path | None = None) -> str:
    """Write results.json, RESULTS.md, report.html and tables.tex to `exp` and `exp/<N>mix`, and plots to the latter.

    Args:
        exp: folder of the experiment.
        results: as `report.results.gather` gives them.
        settings: the `--set` values of the run, for the command line in RESULTS.md.
        data: the test set, to listen to some of its mixtures in report.html.

    Returns:
        Both tables as text, and what is left out.
    """
    mixtures = exp / f"{results['num_spk']}mix"
    for folder in (mixtures, exp):
        write_json(folder / "results.json", results)
    plots = draw_plots(mixtures) | draw_analyses(mixtures, results["analysis"], results["embeddings"].get("student"))
    worst = write_worst(mixtures, results)
    lines, empty = commands(exp, results, settings), empty_cells(mixtures)
    outdated = [
        f"`{name}`, which is older than {changed.relative_to(exp) if changed.is_relative_to(exp) else changed}; run "
        "its stages again"
        for name, changed in outdated_rows(mixtures).items()
    ]
    heard, silent = to_listen_to(mixtures, results, data)
    for folder in (mixtures, exp):
        links = {caption: plot.relative_to(folder).as_posix() for caption, plot in plots.items()}
        link = worst.relative_to(folder).as_posix() if worst else ""
        text = document(results, Context(lines, links, left_out(mixtures), empty, outdated, link))
        _write(folder / TEXT, text)
        _write(folder / TABLES, results_latex(results))
        _write(folder / PAGE, page(text, {links[caption]: plot for caption, plot in plots.items()}, heard, silent))
    outdated += [f"audio in {PAGE}: {silent}"] if silent else []
    return "\n".join([terminal(results), *empty_told(empty), *(f"left out: {line}" for line in outdated)])


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text)


def write_worst(mixtures: Path, results: dict[str, Any]) -> Path | None:
    """Write `<N>mix/WORST.md`.

    Args:
        mixtures: folder of the experiment, `exp/<N>mix`.
        results: as `report.results.gather` gives them.

    Returns:
        The file; None where there is nothing to write.
    """
    names = [name for name, kinds in results["analysis"].items() if WORST in kinds]
    path, table = mixtures / WORST_PAGE, metrics_file(mixtures).with_name(MIXTURES)
    if not names:
        path.unlink(missing_ok=True)
        return None
    properties = read_properties(table) if table.is_file() else {}
    scores = {name: read_scored(mixtures / name / "test" / "matched" / "scores", "all")[0] for name in names}
    found = [Worst(name, read_worst(mixtures, name), scores[name], properties) for name in names]
    with atomic_write(path) as file:
        file.write(worst_page(found, f"{results['corpus']}, {results['num_spk']} speakers"))
    return path


def draw_plots(mixtures: Path) -> dict[str, Path]:
    """Draw the plots that there is data for into `<N>mix/plots`, as PNG, PDF and SVG: {caption: PNG}."""
    drawn, folder = {}, mixtures / PLOTS
    scores = {name: read_scored(place)[0] for name, place in scored_conditions(mixtures).items()}
    if curves := learning_curves(mixtures):
        drawn["Learning curves: the loss of each training, and what else was measured on its dev set"] = (
            folder / "curves.png"
        )
        curve_plot(curves, folder / "curves.png")
    improved = {
        name: np.array([row["si_sdri"] for row in scores[name]]) for name in ordered_rows(scores) if name != "mixture"
    }
    if improved:
        drawn["SI-SDRi of every mixture and speaker by condition"] = folder / "si_sdri.png"
        improvement_plot(improved, folder / "si_sdri.png")
    if others := other_scores(scores):
        drawn["Other scores of every mixture and speaker by condition"] = folder / "scores.png"
        score_plot(others, folder / "scores.png")
    embeddings, speakers = speaker_embeddings(mixtures, max(scores.values(), key=len, default=[]))
    if embeddings:
        drawn["Cosine of embeddings of the test set, same speaker against different"] = folder / "cosines.png"
        cosine_plot(embeddings, speakers, folder / "cosines.png")
        if len(speakers) >= FEWEST:
            drawn["Map of the same embeddings (t-SNE), a marker and a name a speaker"] = folder / "map.png"
            map_plot(embeddings, speakers, 0, folder / "map.png")
    return drawn


def other_scores(scores: Mapping[str, Sequence[dict]]) -> dict[str, dict[str, np.ndarray]]:
    """The values of each metric but SI-SDRi and shares: {title: {row: [num]}}, of rows and cells that have it."""
    columns = {
        metric: column for metric, column in SPEECH_COLUMNS.items() if not column.is_share and metric != "si_sdri"
    }
    found = {}
    for metric, column in columns.items():
        rows = {name: np.array([row[metric] for row in scores[name] if metric in row]) for name in ordered_rows(scores)}
        rows = {name: values[~np.isnan(values)] for name, values in rows.items()}
        if any(map(len, rows.values())):
            found[column.title] = {name: values for name, values in rows.items() if len(values)}
    return found


def speaker_embeddings(mixtures: Path, rows: Sequence[dict]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The embeddings of the scored talkers.

    Args:
        mixtures: folder of the experiment, `exp/<N>mix`.
        rows: {mix, speaker} of each talker.

    Returns:
        {title: [M, D]} of those that are all there, and the speaker of each row.

    Raises:
        UserError: stage 4's files are damaged.
    """
    keys = {f"{row['mix']}-{row['speaker']}": row["speaker"] for row in rows}
    found = {}
    if (damage := damage_of(mixtures / "embeddings")) is not None:
        raise UserError(f"stage 9 (report): {damage}: stage 4 makes it again, run with --stage 4 --stop_stage 4 first")
    for title, name in (("teacher, clean sources", "teacher"), ("student, matched", "matched")):
        try:
            table = read_embeddings(mixtures / "embeddings" / "test" / f"{name}.scp")
            found[title] = np.stack([table[key] for key in keys])
        except (UserError, KeyError, ValueError):  # one panel fewer; no number is lost
            continue
    return found, list(keys.values())
