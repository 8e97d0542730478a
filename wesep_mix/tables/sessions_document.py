"""TRACKING.md, tracking.json and timelines: the sessions' tables over all seeds, with what was wanted of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.files import atomic_write, read_json, write_json
from wesep_mix.base.installed import revision, versions
from wesep_mix.base.installed import shown as shown_versions
from wesep_mix.metrics.intervals import bootstrap, pooled
from wesep_mix.report import tracking
from wesep_mix.report.markdown import command
from wesep_mix.report.results import rounded
from wesep_mix.report.tables import Table
from wesep_mix.report.tracking import FEW, MANY, MEASURES, Scored
from wesep_mix.tables.sessions import PART, SessionsLayout, Statements

DOCUMENT, RESULTS = "TRACKING.md", "tracking.json"
SHORT = ("idf1", "attribution", "error", "confusion", "reid", "exact", "near", "der")
LONG = ("count", "switches", "purity", "coverage", "der_collar")
ORIGINS = {
    "own": "the window's own embedding of the talker, named by the truth",
    "memory": "the memory's at that time",
    "first": "that with which the slot was opened",
    "enrolled": "the teacher's, of other clean speech of the talker",
    "wrong": "the memory's of another slot",
    "heard": "the memory's, and only where it hears the slot: what a user gets over the whole session",
}


def write_document(layout: SessionsLayout, corpus: str, sessions_of: Callable[[int], Any]) -> str:
    """Write EXP/TRACKING.md, tracking.json and plots of what is done.

    Args:
        layout: where everything lies.
        corpus: the recipe's name.
        sessions_of: where sessions lie and what was heard of them, for a seed (evaluation.session_work.Sessions).

    Returns:
        The table of regimes as text for a terminal.

    Raises:
        UserError: nothing has been measured.
    """
    layout.check_measured()
    found = _read(layout)
    folder = layout.exp.parent
    plots = list(_timelines(layout, sessions_of))
    blocks = [
        _head(layout, corpus, found),
        *_tracking(layout, found["rows"]),
        *_spaces(found["spaces"]),
        *_drift(found["speech"]),
        *_statements(layout.config.statements, found),
        *_speech(found["speech"], layout),
        *_cardinalities(found["cardinalities"], layout),
        "## Timelines",
        *(f"![{caption}]({path.relative_to(folder)})\n\n{caption}." for caption, path in plots),
    ]
    write_json(folder / RESULTS, rounded(_numbers(layout, corpus, found)))
    with atomic_write(folder / DOCUMENT) as file:
        file.write("\n\n".join(blocks) + "\n")
    rows, titles = found["rows"], _titles(layout)
    return tracking.rows_table(rows, titles, ("idf1", "reid", "exact", "der")).text()


def _titles(layout: SessionsLayout) -> dict[str, str]:
    return {name: row.title for name, row in layout.rows().items()}


def _read(layout: SessionsLayout) -> dict[str, Any]:
    """All that stage 8 measured, of all seeds together."""
    from wesep_mix.evaluation.session_work import CARDINALITIES, SPACES, SPEECH, read_row

    seeds = layout.config.seeds
    rows = {
        name: [one for seed in seeds for one in read_row(layout.tracking(seed).out, name)[0]] for name in layout.rows()
    }
    speech = [read_json(layout.speech(seed).out / SPEECH) for seed in seeds]
    cardinalities = {seed: read_json(layout.cardinalities(seed).out / CARDINALITIES) for seed in seeds}
    spaces = [read_json(layout.tracking(seed).out / SPACES) for seed in seeds]
    return {"rows": rows, "speech": speech, "cardinalities": cardinalities, "spaces": spaces}


def _head(layout: SessionsLayout, corpus: str, found: Mapping[str, Any]) -> str:
    config, scored = layout.config, next(iter(found["rows"].values()))
    drawn = config.drawn
    separator = layout.networks.get("separator")
    options = ("--sessions", "true", *(("--separator", separator.parents[1].name) if separator else ()))
    line = command(layout.exp.parent, corpus, options, layout.settings)
    regimes = ", ".join(
        f"`{name}` ({100 * regime.deep:.0f} % of turns overlap by {drawn.deep_overlap[0]:g} to "
        f"{drawn.deep_overlap[1]:g} of the shorter, {100 * regime.short:.0f} % begin a moment early)"
        for name, regime in drawn.regimes.items()
    )
    counts = ", ".join(map(str, drawn.talkers))
    return (
        f"# Tracking: {corpus}\n\nProduced by\n\n```\n{line}\n```\n\n"
        f"Seeds {', '.join(map(str, config.seeds))} of the students' training; git revision {revision()}, "
        f"{shown_versions(versions())}. Stage 9 writes this file, and `{RESULTS}` with the same numbers.\n\n"
        f"Simulated conversations of {drawn.length_s[0]:g} to {drawn.length_s[1]:g} s and {counts} talkers: "
        f"{len(scored) // len(config.seeds)} of the test set. Each talker but one leaves once for "
        f"{drawn.away_s[0]:g} to {drawn.away_s[1]:g} s. Regimes: {regimes}. Windows of {config.window_s:g} s, every "
        f"{config.hop_s:g} s. {_student(layout)}\n\n"
        "Numbers are means over sessions, shares sums over sessions; in brackets a bootstrap interval of 95 % over "
        "sessions (1000 draws). A session's value is the mean over seeds. Thresholds of each row were chosen on dev "
        "sessions alone (best IDF1 less 0.05 for each talker miscounted), for each seed apart; `chosen.yaml` has them."
    )


def _student(layout: SessionsLayout) -> str:
    name = layout.config.tracked
    if name in layout.config.students:
        return f"The student is `{name}`: {layout.config.students[name].title}."
    path = layout.networks["student"]
    return (
        f"The student is that of the model `{path.parent.name}`."
        if path.suffix == PART
        else "The student is stage 3's."
    )


def _tracking(layout: SessionsLayout, rows: Mapping[str, Sequence[Scored]]) -> Iterator[str]:
    titles = _titles(layout)
    for regime in layout.config.drawn.regimes:
        own = {name: tracking.chosen(scored, regime) for name, scored in rows.items()}
        yield f"## Regime `{regime}`"
        yield tracking.rows_table(own, titles, SHORT).markdown()
    yield "## All regimes, other measures"
    yield tracking.rows_table(rows, titles, LONG).markdown()
    yield "Columns:\n\n" + "\n".join(f"- {one.title}: {one.rule}." for one in MEASURES.values())
    yield f"## Returns, {titles[layout.config.speech]}"
    yield tracking.gaps_table(rows[layout.config.speech]).markdown()
    yield "Known: talkers whose slot had been heard before. Over all seeds."


def _statements(wanted: Statements, found: Mapping[str, Any]) -> Iterator[str]:
    lines = [*_of_rows(wanted, found["rows"]), *_of_speech(wanted, found["speech"])]
    if lines:
        yield "## Statements"
        yield "\n".join(f"- {line}." for line in lines)


def _of_rows(wanted: Statements, rows: Mapping[str, Sequence[Scored]]) -> Iterator[str]:
    regimes = wanted.regimes
    where = " and ".join(f"`{regime}`" for regime in regimes)
    own = [one for one in rows[wanted.row] if one["regime"] in regimes]
    for talkers, least in ((FEW, wanted.again_few), (MANY, wanted.again_many)):
        value = tracking.summary([one for one in own if tracking.group_of(one) == talkers])["reid"]
        text = tracking.shown(MEASURES["reid"], value)
        yield (
            f"Re-identified after more than 15 s, {talkers} talkers, {where}: {text} % of {value['num']}; wanted "
            f"{100 * least:.0f}: {_verdict((value['value'] or 0) >= least)}"
        )
    for other in wanted.ahead:
        if other in rows:
            difference, interval = tracking.ahead(rows, wanted.row, other, regimes)
            low, high = interval or (float("nan"), float("nan"))
            yield (
                f"IDF1 of `{wanted.row}` less that of `{other}`, {where}: {100 * difference:+.1f} points "
                f"({100 * low:+.1f} to {100 * high:+.1f}, paired); wanted above 0: {_verdict(low > 0)}"
            )
    if wanted.bound in rows:
        difference, _ = tracking.ahead(rows, wanted.bound, wanted.row, regimes)
        yield (
            f"IDF1 of `{wanted.bound}`, which knows the number of talkers and all of the session, less that of "
            f"`{wanted.row}`, {where}: {100 * difference:+.1f} points; wanted at most 10: {_verdict(difference <= 0.1)}"
        )
    found = tracking.summary(own)
    for name, least in (("exact", wanted.exact), ("near", wanted.near)):
        yield (
            f"Final {MEASURES[name].title.removesuffix(' %')}, {where}: "
            f"{tracking.shown(MEASURES[name], found[name])} %; wanted {100 * least:.0f}: "
            f"{_verdict((found[name]['value'] or 0) >= least)}"
        )
    if wanted.separated in rows:
        ours, theirs = (
            tracking.summary([one for one in rows[row] if one["regime"] in regimes])["confusion"]["value"]
            for row in (wanted.row, wanted.separated)
        )
        yield (
            f"Confused talkers of `{wanted.separated}` and of `{wanted.row}`, {where}: {100 * theirs:.1f} % and "
            f"{100 * ours:.1f} %; wanted more: {_verdict(theirs > ours)}"
        )


def _of_speech(wanted: Statements, speech: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    values = {origin: _improvements(speech, origin, wanted.regimes) for origin in ("own", "memory")}
    if all(map(len, values.values())):
        own, memory = (float(np.mean(values[origin])) for origin in ("own", "memory"))
        yield (
            f"SI-SDRi with the memory's embedding less that with the window's own: {memory - own:+.2f} dB; wanted -0.5 "
            f"or more: {_verdict(memory - own >= -0.5)}"
        )


def _spaces(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Whether the spaces hold: Acc, NMI, EER and cosines of the heads of a session, without a memory."""
    ears = list(dict.fromkeys(ear for one in found for ear in one))
    regimes = list(dict.fromkeys(row["regime"] for row in found[0][ears[0]]))
    columns = {"acc": "Acc %", "nmi": "NMI %", "eer": "EER %", "cos": "cos %"}
    rows = []
    for ear in ears:
        for regime in regimes:
            own = [row for one in found for row in one[ear] if row["regime"] == regime]
            rows.append([f"{ear}, {regime}", *(_mean_shown(_by_session(own, name)) for name in columns)])
    yield "## Embeddings of a session without a memory"
    yield Table(["heard by", *columns.values()], rows).markdown()
    yield (
        "Of the heads that are some talker's by the clean voices: k-means of a session's embeddings into its talkers "
        "(Acc, NMI), cosines of pairs of different windows (EER), and of each to the teacher's embedding of the clean "
        "voice in the window (cos)."
    )


def _mean_shown(values: np.ndarray) -> str:
    if not len(values):
        return "-"
    interval = bootstrap(values, 0)
    shown = f"{100 * values.mean():.1f}"
    return f"{shown} ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})" if interval else shown


def _drift(speech: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How near slots stay to their talkers, with and without another noise from the middle on."""
    regimes = dict.fromkeys(row["regime"] for row in speech[0]["drift"])
    rows = []
    for regime in regimes:
        own = [row for one in speech for row in one["drift"] if row["regime"] == regime]
        rows.append([regime, *(_mean_shown(_by_session(own, name)) for name in ("before", "after"))])
    yield "## Drift of slots"
    yield Table(["regime", "first half cos %", "second half cos %"], rows).markdown()
    yield (
        "Mean cosine of a talker's slot to the mean of the teacher's embeddings of the clean voice, over the windows "
        "of the session's first and second half. In `drift` the noise changes in the middle."
    )


def _verdict(holds: bool) -> str:
    return "it is" if holds else "**it is not**"


def _rows_of(speech: Sequence[Mapping[str, Any]], origin: str, regimes: Sequence[str]) -> list[Mapping[str, Any]]:
    return [one for found in speech for one in found["talkers"] if one["origin"] == origin and one["regime"] in regimes]


def _improvements(speech: Sequence[Mapping[str, Any]], origin: str, regimes: Sequence[str]) -> np.ndarray:
    """SI-SDRi of each session, the mean over its talkers: [M]."""
    return _by_session(_rows_of(speech, origin, regimes), "si_sdri")


def _by_session(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    values: dict[str, list[float]] = {}
    for one in rows:
        if one[name] is not None:
            values.setdefault(one["session"], []).append(one[name])
    return np.array([np.mean(own) for own in values.values()])


def _speech(speech: Sequence[Mapping[str, Any]], layout: SessionsLayout) -> Iterator[str]:
    yield "## Extraction over sessions"
    header = ["embedding"]
    regimes = list(layout.config.drawn.regimes)
    for regime in regimes:
        header += [f"{regime}: SI-SDRi dB", "leakage dB", "wrong talker %", "silent %"]
    rows = []
    for origin in ORIGINS:
        cells = [origin]
        for regime in regimes:
            cells += _speech_cells(_rows_of(speech, origin, [regime]))
        rows.append(cells)
    yield Table(header, rows).markdown()
    path = layout.networks["extractor"]
    name = path.parent.name if path.suffix == PART else path.parents[1].name
    yield (
        f"By `{name}`, {layout.config.extracted} sessions of each regime, row `{layout.config.speech}`. Each window's "
        "middle counts. The first five embeddings are compared on the same places: where the talker speaks, has a head "
        "and has a slot by then. SI-SDRi: over the talker's active stretches, mean over sessions of the mean over "
        "talkers. Leakage: level of the output where the talker is silent against where the talker speaks. Wrong "
        "talker: windows whose output is nearer, by SI-SDR, to another talker who speaks in it. Silent: talkers for "
        "whom nothing came out.\n\n" + "\n".join(f"- `{origin}`: {note}." for origin, note in ORIGINS.items())
    )
    yield _der_by_extraction(speech, regimes)


def _speech_cells(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["-"] * 4
    improvements, leaks = _by_session(rows, "si_sdri"), _by_session(rows, "leak_db")
    interval = bootstrap(improvements, 0)
    shown = f"{improvements.mean():.2f}" + (f" ({interval[0]:.2f}-{interval[1]:.2f})" if interval else "")
    wrong, num = (sum(one[name] for one in rows) for name in ("wrong", "num"))
    silent = sum(one["si_sdri"] is None for one in rows)
    return [
        shown if len(improvements) else "-",
        f"{leaks.mean():.1f}" if len(leaks) else "-",
        f"{100 * wrong / num:.1f}" if num else "-",
        f"{100 * silent / len(rows):.1f}",
    ]


def _der_by_extraction(speech: Sequence[Mapping[str, Any]], regimes: Sequence[str]) -> str:
    lines = []
    for regime in regimes:
        own = [one["der"] for found in speech for one in found["der"] if one["regime"] == regime]
        pairs = [(sum(one[kind] for kind in ("miss", "false_alarm", "confusion")), one["total"]) for one in own]
        if pairs and (value := pooled(np.array(pairs))) is not None:
            lines.append(f"{regime} {100 * value:.1f} %")
    floors = ", ".join(f"{found['floor_db']:g}" for found in speech)
    return (
        f"Diarisation by extraction (a slot speaks where its extracted speech is not more than so many dB below its "
        f"loudest, chosen on dev: {floors}), DER without a collar: {', '.join(lines)}."
    )


def _cardinalities(found: Mapping[int, Any], layout: SessionsLayout) -> Iterator[str]:
    from wesep_mix.report.cardinalities import cardinality_plot, cardinality_sections

    yield "## Unseen numbers of talkers"
    titles = "\n".join(f"- `{name}`: {row.title}." for name, row in layout.config.students.items())
    yield f"Students, and what they were trained on:\n\n{titles}"
    for seed, result in found.items():
        yield f"### Seed {seed}"
        yield from cardinality_sections(result)
        path = layout.exp / "plots" / f"cardinalities{seed}.png"
        cardinality_plot(result, path)
        yield f"![Unseen numbers of talkers, seed {seed}]({path.relative_to(layout.exp.parent)})"


def _timelines(layout: SessionsLayout, sessions_of: Callable[[int], Any]) -> Iterator[tuple[str, Path]]:
    """A plot of one session of each regime, the first with four talkers where there is one."""
    from wesep_mix.evaluation.session_work import read_row
    from wesep_mix.evaluation.timeline import timeline

    seed, config = layout.config.seeds[0], layout.config
    row, sessions = config.rows[config.speech], sessions_of(seed)
    _, setting = read_row(layout.tracking(seed).out, config.speech)
    cases, cohort = sessions.cases(row.ear, "test"), sessions.cohort(row.ear, setting.memory)
    for regime in config.drawn.regimes:
        own = [case for case in cases if case.session.regime == regime]
        case = next((case for case in own if len(case.session.talkers) == 4), own[0])
        path = layout.exp / "plots" / f"{case.session.id}.png"
        title = f"{case.session.id}, row {config.speech}"
        tracking.session_plot(*timeline(case, setting.memory, cohort), title, path)
        yield f"Session `{case.session.id}`: who spoke, and whom the memory heard, with what it told", path


def _numbers(layout: SessionsLayout, corpus: str, found: Mapping[str, Any]) -> dict[str, Any]:
    rows = {}
    for name, scored in found["rows"].items():
        groups = {"all": scored}
        for regime in layout.config.drawn.regimes:
            for talkers in (FEW, MANY):
                groups[f"{regime} {talkers}"] = tracking.chosen(scored, regime, talkers)
        rows[name] = {group: tracking.summary(own) for group, own in groups.items() if own}
    return {
        "corpus": corpus,
        "seeds": list(layout.config.seeds),
        "git": revision(),
        "versions": versions(),
        "rows": rows,
        "spaces": [dict(one) for one in found["spaces"]],
        "speech": [dict(one) for one in found["speech"]],
        "cardinalities": {str(seed): one for seed, one in found["cardinalities"].items()},
    }
