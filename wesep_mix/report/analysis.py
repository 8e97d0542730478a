"""Sections of RESULTS.md on stage 8's analyses; each says what it shows in sentences made of its own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wesep_mix.base.files import read_json
from wesep_mix.evaluation.analysis import FOLDER, INTERPOLATION, MARGINS, SEPARATED, WORST, read_rows
from wesep_mix.evaluation.interpolation import MIDDLE
from wesep_mix.evaluation.separated import MAX_LAG_S, RISING
from wesep_mix.report.analysis_plots import interpolation_plot, margin_plot, separated_plot
from wesep_mix.report.tables import EMBEDDING_COLUMNS, Table

PAGE = "WORST.md"
METRICS = tuple(RISING)
CAPTIONS = {
    INTERPOLATION: "{name}: SI-SDR to the first and the second talker on the way from one embedding to the other",
    MARGINS: "{name}: SI-SDRi by the margin between the candidates",
    SEPARATED: "{name}: embeddings from clean to separated speech",
}
INTERPOLATED = (
    "The extractor is given (1 - a) e1 + a e2 of the matched embeddings of a mixture's two talkers (of more talkers, "
    "the first two), scaled to the length that they have."
)
MARGIN = (
    "The margin of a talker is |cos(e1, r) - cos(e2, r)|: e1 is the embedding that the extractor was given, e2 the "
    "candidate of the mixture that is next nearest to r, and r the embedding of the talker's clean source. The paper's "
    "r is an enrolment."
)
SEPARATED_FIRST = (
    "The teacher embeds the separator's outputs where their talker speaks (`separated`), and (1 - a) clean + a "
    f"separated, each output brought to its clean source's level and, by up to {1000 * MAX_LAG_S:g} ms, to its time."
)
BRACKETS = "Brackets hold 95 % intervals by draws of the test set's speakers, as in the statements above."


def draw_analyses(
    folder: Path, analyses: Mapping[str, Mapping[str, Any]], student: Mapping[str, float] | None
) -> dict[str, Path]:
    """Draw the plots of all analyses.

    Args:
        folder: of the experiment, `exp/<N>mix`.
        analyses: {model: {analysis: what it says}}.
        student: its row in the table of embeddings.

    Returns:
        {caption: PNG}, by model and analysis.
    """
    drawn = {}
    for name, kind in ((name, kind) for name, kinds in analyses.items() for kind in kinds if kind in CAPTIONS):
        stem, path = folder / name / FOLDER / kind, folder / "plots" / f"{kind}_{name}.png"
        found = read_json(stem.with_suffix(".json"))
        if kind == SEPARATED:
            separated_plot(found, student, path)
        else:
            plot = interpolation_plot if kind == INTERPOLATION else margin_plot
            plot(found, read_rows(stem.with_suffix(".csv")), path)
        drawn[CAPTIONS[kind].format(name=name)] = path
    return drawn


def analysis_sections(results: Mapping[str, Any], plots: Mapping[str, str], worst: str = "") -> list[str]:
    """The sections.

    Args:
        results: as `report.results.gather` gives them.
        plots: {caption: path relative to the document}.
        worst: the same of WORST.md.

    Returns:
        Blocks of Markdown; none where stage 8 wrote no analysis.
    """
    analyses = results["analysis"]
    titles = {
        INTERPOLATION: ("Between two embeddings", INTERPOLATED, interpolation_text),
        MARGINS: ("Margin between the candidates", MARGIN, margin_text),
        SEPARATED: ("Separate first, then embed", SEPARATED_FIRST, separated_text),
        WORST: ("Worst mixtures", "", worst_text),
    }
    blocks: list[str] = []
    for kind, (title, what, text) in titles.items():
        there = {name: kinds[kind] for name, kinds in analyses.items() if kind in kinds}
        if there:
            blocks += [f"## {title}", *filter(None, [what])]
        for name, found in there.items():
            caption = CAPTIONS.get(kind, "").format(name=name)
            more = [separated_table(name, found, results).markdown()] if kind == SEPARATED else []
            blocks += [*more, *text(name, found)]
            blocks += [f"![{caption}]({plots[caption]})\n\n{caption}."] if caption in plots else []
        if there and kind == WORST and worst:
            blocks.append(f"Their audio, with what was extracted: [{PAGE}]({worst}).")
    return [*blocks, BRACKETS] if blocks else []


def captions(results: Mapping[str, Any]) -> set[str]:
    """Captions of the plots that stand in these sections."""
    return {text.format(name=name) for name in results["analysis"] for text in CAPTIONS.values()}


def with_interval(found: Mapping[str, float] | None, digits: int, factor: float = 1) -> str:
    """A number and its 95 % interval.

    Args:
        found: `value`, `low`, `high`; None where there is none.
        digits: behind the decimal point.
        factor: from the number to what is shown.

    Returns:
        `0.50 (0.46 to 0.54)`.
    """
    if found is None:
        return "not defined"
    value, low, high = (f"{factor * found[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def interpolation_text(name: str, found: Mapping[str, Any]) -> list[str]:
    """What the curves of an extractor show.

    Args:
        name: of the extractor.
        found: interpolation.json.

    Returns:
        Paragraphs.
    """
    first, last = found["steps"][0], found["steps"][-1]
    ends = [with_interval(step[which], 1) for which in ("si_sdr_a", "si_sdr_b") for step in (first, last)]
    louder, alike = found["by_si_sdr"], found["by_si_sdri"]
    return [
        f"`{name}`, {found['num']} mixtures of {found['num_speakers']} speakers: from a = 0 to 1 the mean SI-SDR to "
        f"the first talker goes from {ends[0]} to {ends[1]} dB, to the second from {ends[2]} to {ends[3]} dB. The two "
        f"means cross at a = {with_interval(louder['of_means'], 2)}, those of SI-SDRi at "
        f"{with_interval(alike['of_means'], 2)}.",
        f"Single mixtures cross at {with_interval(alike['mean'], 2)} on average by SI-SDRi, "
        f"{with_interval(alike['near_middle'], 0, 100)} % of them between {MIDDLE[0]:g} and {MIDDLE[1]:g}; "
        f"{alike['num_uncrossed']} do not, since an end gives the wrong talker. By SI-SDR, in which a louder talker is "
        f"ahead from the beginning, at {with_interval(louder['mean'], 2)}, "
        f"{with_interval(louder['near_middle'], 0, 100)} % there, and {louder['num_uncrossed']} do not.",
        f"In {with_interval(found['monotone'], 0, 100)} % of the mixtures both curves of SI-SDR are monotone: neither "
        f"goes back by more than {found['tolerance_db']:g} dB between any two steps. The mean curves go back by "
        f"{found['setback_db']:.2f} dB.",
    ]


def margin_text(name: str, found: Mapping[str, Any]) -> list[str]:
    """How margins go with gains.

    Args:
        name: of the extractor.
        found: margins.json.

    Returns:
        Paragraphs.
    """
    bins = found["margin"]["bins"]
    low, high = (with_interval(each["si_sdri"], 2) for each in (bins[0], bins[-1]))
    between = with_interval(found["margin_talkers"]["spearman"], 2)
    return [
        f"`{name}`, {found['num']} talkers: Spearman's correlation of margin and SI-SDRi is "
        f"{with_interval(found['margin']['spearman'], 2)}. The fifth with the lowest margins (up to "
        f"{bins[0]['high_end']:.2f}) has a mean SI-SDRi of {low} dB, the one with the highest (from "
        f"{bins[-1]['low_end']:.2f}) of {high} dB. For e1 alone, its cosine to r against that to the nearest other "
        f"talker's, the correlation is {between}."
    ]


def separated_table(name: str, found: Mapping[str, Any], results: Mapping[str, Any]) -> Table:
    """Metrics of the student, of the separated speech and of the steps to it.

    Args:
        name: of the separator.
        found: separated.json.
        results: with the student's row.

    Returns:
        The table.
    """
    rows = {"student": results["embeddings"].get("student"), f"{name}/{SEPARATED}": found[SEPARATED]}
    rows |= {f"a = {step['a']:.1f}": step for step in found["steps"]}
    columns = {metric: EMBEDDING_COLUMNS[metric] for metric in (*METRICS, "cos")}
    cells = [
        (title, *(column.cell(row, metric) for metric, column in columns.items())) for title, row in rows.items() if row
    ]
    return Table(("embedding", *(column.title for column in columns.values())), cells)


def separated_text(name: str, found: Mapping[str, Any]) -> list[str]:
    """What separation does to embeddings.

    Args:
        name: of the separator.
        found: separated.json.

    Returns:
        Paragraphs.
    """
    return [f"{_beside(name, found['ahead'])} {_degraded(found)}", _trained(name, found["training"])]


def _beside(name: str, ahead: Mapping[str, Any] | None) -> str:
    if ahead is None:
        return "The student cannot be held against it: the mixtures all have the same speakers."
    above = "above 0" if ahead["low"] > 0 else "not above 0"
    return (
        f"The student's Acc minus that of `{name}/{SEPARATED}` is {with_interval(ahead, 1, 100)} points "
        f"({ahead['num']} mixtures of {ahead['num_speakers']} speakers): the interval is {above}."
    )


def _degraded(found: Mapping[str, Any]) -> str:
    """Which metrics only get worse from clean to separated."""
    back = {metric: value for metric, value in found["setbacks"].items() if value > found["tolerance"]}
    only = ", ".join(EMBEDDING_COLUMNS[metric].name for metric in METRICS if metric not in back)
    others = ", ".join(f"{EMBEDDING_COLUMNS[metric].name} (by {value:.3f})" for metric, value in back.items())
    told = [f"never get better by more than {found['tolerance']:g}: {only}"] if only else []
    told += [f"get better on the way: {others}"] if back else []
    return f"From clean to separated, these {'; these '.join(told)}."


def _trained(name: str, training: Mapping[str, Any] | None) -> str:
    if training is None:
        return f"The log of `{name}`'s training is not there, so whether its dev score had stopped rising is not known."
    gain = f"{training['gain_db']:+.2f} dB in the last {training['last_epochs']} of {training['epochs']} epochs"
    if training["last_is_best"]:
        return f"`{name}` was not trained until its dev score stopped rising: the last epoch was the best ({gain})."
    return f"`{name}` was trained until its dev score no longer rose: the last epoch was not the best ({gain})."


def worst_text(name: str, found: Mapping[str, Any]) -> list[str]:
    """What the worst mixtures have in common.

    Args:
        name: of the extractor.
        found: worst.json.

    Returns:
        Paragraphs.
    """
    worst, every = found["worst"], found["all"]
    shares = [f"{100 * each[key]:.0f}" for key in ("same_sex", "wrong_talker") for each in (worst, every)]
    means = [f"{each[key]:.2f}" for key in ("si_sdri", "cosine", "overlap") for each in (worst, every)]
    snr = [f"{each['snr_db']:.1f}" for each in (worst, every)]
    return [
        f"`{name}`: the {worst['num']} worst of {every['num']} mixtures have a mean SI-SDRi of {means[0]} dB "
        f"({means[1]} in all). Talkers are of one sex in {shares[0]} % of them ({shares[1]} % in all); means: cosine "
        f"of two voices {means[2]} ({means[3]}), overlap {means[4]} ({means[5]}), SNR {snr[0]} dB ({snr[1]}). The "
        f"wrong talker came out in {shares[2]} % of the cases ({shares[3]} %)."
    ]
