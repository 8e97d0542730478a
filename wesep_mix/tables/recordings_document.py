"""The page of recordings without sources, such as TABLE3.md, a .json with the same numbers, and a plot of margins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, read_json, write_json
from wesep_mix.base.installed import revision, versions
from wesep_mix.base.installed import shown as shown_versions
from wesep_mix.base.stage import damage_of, outdated_by
from wesep_mix.evaluation.recording_rules import LEAST_RANKED, MARGINS, RULED, RULES
from wesep_mix.evaluation.recordings import DIFF, SCORES, read_rows
from wesep_mix.metrics.dnsmos import SCALES
from wesep_mix.preparation.recordings import RecordingEntry, read_recordings
from wesep_mix.report.plots import save_figure
from wesep_mix.report.results import rounded
from wesep_mix.report.tables import Table
from wesep_mix.tables.recordings import ABOUT, ANALYSIS, INPUT, MARGIN_NUMBERS, RULE_NUMBERS, RecordingsLayout

MAIN = "OVRL"  # of the scales the one that the plot shows
Numbers = Mapping[str, Any]
READING = """Ratings are DNSMOS P.835 at 16 kHz, of a recording and of a talker's speech out of it at its level there.
Means are over recordings; a difference is that to the same recordings as they are, in brackets a bootstrap interval of
95 % (1000 draws of files: clips of one file are drawn together). There are no sources: whether the right talker came
out, and whole, no number here says."""


def write_document(layout: RecordingsLayout, corpus: str, command: str) -> str:
    """Write the page with the rows of all models that have been compared.

    Args:
        layout: where everything lies.
        corpus: the recipe's name.
        command: what made the results.

    Returns:
        The table as text.

    Raises:
        UserError: no model was compared, or a file is damaged.
    """
    entries, name = read_recordings(layout.data), layout.config.document
    models, outdated = _models(layout.exp)
    found = {model: _read(layout.exp / model / ANALYSIS) for model in models}
    before = _input(layout.rated_input().out / SCORES)
    table = _table(layout, found, before)
    head = (
        f"# {layout.config.title}\n\nLast written by\n\n```\n{command}\n```\n\nGit revision {revision()}, "
        f"{shown_versions(versions())}. Stage 9 writes this file, and `{name.lower()}.json` with the same numbers."
    )
    blocks = [
        head,
        _of_set(entries, found),
        table.markdown(),
        *filter(None, [layout.config.note]),
        READING,
        _rules(layout, found),
    ]
    blocks += [*_statements(layout, found), *_margins(layout, found), *outdated]
    with atomic_write(layout.exp / f"{name}.md") as file:
        file.write("\n\n".join(blocks) + "\n")
    numbers = {"corpus": corpus, "git": revision(), "versions": versions(), "rule": layout.config.rule}
    numbers |= {"recordings": len(entries), INPUT: before, "models": found, "paper": layout.config.paper}
    write_json(layout.exp / f"{name.lower()}.json", rounded(numbers))
    return table.text()


def _models(exp: Path) -> tuple[list[str], list[str]]:
    """The models whose results are current, and a sentence for each that is left out."""
    current, told = [], []
    for folder in sorted(exp.glob(f"*/{ANALYSIS}")):
        model = folder.parent.name
        if (changed := outdated_by(folder)) is not None:
            told.append(f"Left out: `{model}`, which is older than `{changed.name}`; run its stages again.")
        elif (damage := damage_of(folder)) is not None:
            raise UserError(f"stage 9 (recordings): {damage}: stage 8 makes it again, run with --stage 8 first")
        else:
            current.append(model)
    if not current:
        raise UserError(
            f"stage 9 (recordings) needs results of a model in {exp}, found none that are current: stages 4 to 8 make "
            "them, run with --stage 4 first"
        )
    return current, told


def _read(folder: Path) -> dict[str, Any]:
    margins, rules = folder / MARGIN_NUMBERS, read_json(folder / RULE_NUMBERS)
    return {
        "rules": {rule: rules[rule] for rule in RULES if rule in rules},
        "about": read_json(folder / ABOUT),
        "margins": read_json(margins) if margins.is_file() else None,
    }


def _input(path: Path) -> dict[str, float]:
    rows = read_rows(path)
    return {scale: float(np.mean([row[scale] for row in rows])) for scale in rows[0] if scale != "recording"} | {
        "num": len(rows)
    }


def _of_set(entries: Sequence[RecordingEntry], found: Mapping[str, Numbers]) -> str:
    minutes = sum(entry.num_samples / entry.rate for entry in entries) / 60
    rates = ", ".join(f"{rate / 1000:g}" for rate in sorted({entry.rate for entry in entries}))
    files = len({entry.path for entry in entries})
    lines = [
        f"{len(entries)} recordings of {files} files, {minutes:.1f} minutes, at {rates} kHz; "
        f"{sum(bool(entry.enrolment) for entry in entries)} have an enrolment."
    ]
    for model, own in found.items():
        about = own["about"]
        lines.append(
            f"`{model}` hears {about['talkers']:.2f} talkers a recording, nobody in "
            f"{about['recordings'] - about['heard']}; {about['rated']} recordings are rated."
        )
    return " ".join(lines)


def _table(layout: RecordingsLayout, found: Mapping[str, Numbers], before: Numbers) -> Table:
    scales = [scale for scale in before if scale != "num"]
    titles = [scale.upper() for scale in scales]
    head = ["row", *titles, *(f"{title} less input" for title in titles), "recordings"]
    rows = [["recordings as they are", *_values(before, scales), *["-"] * len(scales), str(before["num"])]]
    for model, own in found.items():
        for rule, numbers in own["rules"].items():
            main = ", main row" if rule == layout.config.rule else ""
            differences = (_difference(numbers["difference"][scale]) for scale in scales)
            rows.append(
                [f"`{model}`, {rule}{main}", *_values(numbers["after"], scales), *differences, str(numbers["num"])]
            )
    rows += _printed(layout, scales)
    return Table(head, rows)


def _printed(layout: RecordingsLayout, scales: Sequence[str]) -> Iterator[list[str]]:
    printed = {name: vars(row) for name, row in layout.config.printed.items()}
    for name, row in printed.items():
        noisy = printed[INPUT]
        differences = [f"{row[scale] - noisy[scale]:+.2f}" if scale in row else "-" for scale in scales]
        own = differences if name != INPUT else ["-"] * len(scales)
        yield [f"the paper: {row['title']}", *_values(row, scales), *own, "-"]


def _ordered(scales: Iterable[str]) -> list[str]:
    """SIG, BAK and OVRL first."""
    found = set(scales)
    return [*(scale for scale in SCALES if scale in found), *sorted(found - set(SCALES))]


def _values(row: Numbers, scales: Sequence[str]) -> list[str]:
    return [f"{row[scale]:.2f}" if scale in row else "-" for scale in scales]


def _difference(numbers: Numbers, digits: int = 2) -> str:
    ends = f" ({numbers['low']:+.{digits}f} to {numbers['high']:+.{digits}f})" if "low" in numbers else ""
    return f"{numbers['value']:+.{digits}f}{ends}"


def _rules(layout: RecordingsLayout, found: Mapping[str, Numbers]) -> str:
    used = [rule for rule in RULES if any(rule in own["rules"] for own in found.values())]
    lines = [f"- `{rule}`: {RULES[rule]}{'; main row' if rule == layout.config.rule else ''}." for rule in used]
    return "Whose speech a row rates:\n\n" + "\n".join(lines)


def _statements(layout: RecordingsLayout, found: Mapping[str, Numbers]) -> Iterator[str]:
    """What the main rows say, better or worse."""
    lines = []
    for model, own in found.items():
        differences = own["rules"].get(layout.config.rule, {}).get("difference", {})
        for scale in _ordered(differences):
            lines.append(f"- {scale.upper()} of `{model}`, {layout.config.rule}: {verdict(differences[scale])}.")
    yield "## Better than the recordings?"
    yield "\n".join(lines) or f"No model has a row `{layout.config.rule}`, which its student says nothing for."


def verdict(numbers: Numbers) -> str:
    """What a difference and its interval say.

    Args:
        numbers: value, and low and high where they are known.

    Returns:
        Words that follow a colon.
    """
    text = _difference(numbers)
    if "low" not in numbers:
        return f"{text}, of one file: no interval"
    if numbers["low"] > 0:
        return f"{text}, better than the recordings"
    return f"{text}, {'**worse** than' if numbers['high'] < 0 else 'not told apart from'} the recordings"


def _margins(layout: RecordingsLayout, found: Mapping[str, Numbers]) -> Iterator[str]:
    known = {model: own["margins"] for model, own in found.items() if own["margins"]}
    if not known:
        return
    yield "## The enrolment, as analysis"
    yield (
        "Nothing is extracted with an enrolment. The margin is the cosine of the nearest talker's embedding to the "
        "enrolment's less that of the next; rank: Spearman's correlation with the margin, of the difference of the "
        f"talker whom the enrolment picks, and behind the stroke of `{layout.config.rule}`; where {LEAST_RANKED} "
        "recordings or more have a margin, that is two talkers."
    )
    ranks = next(iter(known.values()))["rank"]
    scales = _ordered(name.removesuffix(DIFF) for name in ranks if name.endswith(DIFF))
    head = ["model", "recordings", "with a margin", "margin", f"`{layout.config.rule}` picks the same %"]
    rows = []
    for model, numbers in known.items():
        cells = (" / ".join(_rank(numbers["rank"][f"{scale}{DIFF}{end}"]) for end in ("", RULED)) for scale in scales)
        margin = "-" if numbers["margin"] is None else f"{numbers['margin']:.3f}"
        same = "-" if numbers["same"] is None else f"{100 * numbers['same']:.1f}"
        rows.append([f"`{model}`", str(numbers["num"]), str(numbers["with_margin"]), margin, same, *cells])
    yield Table([*head, *(f"rank, {scale.upper()}" for scale in scales)], rows).markdown()
    for model in known:
        path = layout.exp / "plots" / f"margins_{model}.png"
        if draw_margins(read_rows(layout.exp / model / ANALYSIS / MARGINS), path):
            caption = f"{MAIN} after less before against the margin, `{model}`, the talker whom the enrolment picks"
            yield f"![{caption}]({path.relative_to(layout.exp)})\n\n{caption}."


def _rank(numbers: Numbers | None) -> str:
    return "-" if numbers is None else f"{numbers['value']:+.2f} ({numbers['low']:+.2f} to {numbers['high']:+.2f})"


def draw_margins(rows: Sequence[Numbers], path: Path) -> bool:
    """Draw the difference of OVRL against the margin.

    Args:
        rows: of margins.csv.
        path: of the PNG.

    Returns:
        Whether there was something to draw.
    """
    points = np.array([(row["margin"], row[f"{MAIN.lower()}{DIFF}"]) for row in rows if not np.isnan(row["margin"])])
    if not len(points):
        return False
    figure = Figure(figsize=(6, 4))
    panel = figure.subplots()
    panel.axhline(0, color="grey", linewidth=1)
    panel.scatter(*points.T, s=14, alpha=0.7)
    panel.set(xlabel="margin of the enrolment (cosine)", ylabel=f"{MAIN}, after less before")
    save_figure(figure, path)
    return True
