"""TRACKING.md, tracking.json and timelines: the sessions' tables over all seeds, with what was wanted of them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wesep_mix.base.files import atomic_write, read_json, write_json
from wesep_mix.base.installed import revision, versions
from wesep_mix.base.installed import shown as shown_versions
from wesep_mix.evaluation.settings import AGAIN_GAIN, COUNT_COST
from wesep_mix.report import sessions, tracking
from wesep_mix.report.markdown import command, portable
from wesep_mix.report.results import rounded
from wesep_mix.report.tracking import FEW, MANY, MEASURES, Scored
from wesep_mix.tables.sessions import PART, SessionsLayout, Statements

DOCUMENT, RESULTS = "TRACKING.md", "tracking.json"
SHORT = ("idf1", "attribution", "error", "confusion", "reid", "exact", "near", "der")
LONG = ("count", "switches", "purity", "coverage", "der_collar")


def write_document(layout: SessionsLayout, corpus: str, tracks_of: Callable[[int], Any]) -> str:
    """Write EXP/TRACKING.md, tracking.json and plots of what is done.

    Args:
        layout: where everything lies.
        corpus: the recipe's name.
        tracks_of: where sessions lie and what was heard of them, for a seed (evaluation.session_work.Sessions).

    Returns:
        The table of regimes as text for a terminal.

    Raises:
        UserError: nothing has been measured.
    """
    layout.check_measured()
    found = _read(layout)
    folder = layout.exp.parent
    plots = list(_timelines(layout, tracks_of))
    blocks = [
        _head(layout, corpus, found),
        *_tracking(layout, found["rows"]),
        *_spaces(found["spaces"]),
        *_drift(found["drift"]),
        *_statements(layout.config.statements, found),
        *_speech(found, layout),
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
        name: [one for seed in seeds for one in read_row(layout.tracking(seed).out, name)] for name in layout.rows()
    }
    speech = [read_json(layout.speech(seed).out / SPEECH) for seed in seeds]
    cardinalities = {seed: read_json(layout.cardinalities(seed).out / CARDINALITIES) for seed in seeds}
    spaces = [read_json(layout.tracking(seed).out / SPACES) for seed in seeds]
    regimes = list(layout.config.drawn.regimes)
    return {
        "rows": rows,
        "speech": speech,
        "speech_numbers": sessions.speech_numbers(speech, regimes),
        "der_by_extraction": sessions.der_by_extraction(speech, regimes),
        "drift": sessions.drift_numbers(speech),
        "spaces": sessions.space_numbers(spaces),
        "cardinalities": cardinalities,
    }


def _head(layout: SessionsLayout, corpus: str, found: Mapping[str, Any]) -> str:
    config, scored = layout.config, next(iter(found["rows"].values()))
    drawn = config.drawn
    line = _command(layout, corpus)
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
        f"sessions alone (best IDF1, less {COUNT_COST:g} for each talker miscounted, plus {AGAIN_GAIN:g} times the "
        "share of returns after 15 s that are recognised), over all seeds: `sessions/chosen/chosen.yaml`."
    )


def _command(layout: SessionsLayout, corpus: str) -> str:
    """What made the numbers, for its reader to type."""
    student = layout.networks.get("student", Path())
    if student.suffix == PART:
        own = ["--egs", f"egs/{corpus}", "--data", str(layout.data), "--exp", str(layout.exp.parent)]
        words = ["python", "-m", "wesep_mix.bin.sessions", *own, "--model", student.parent.name]
        words += [word for setting in layout.settings for word in ("--set", portable(setting))]
        return "\n".join(shlex.join([*words, "--stage_number", str(stage)]) for stage in (1, 8, 9))
    separator = layout.networks.get("separator")
    options = ("--sessions", "true", *(("--separator", separator.parents[1].name) if separator else ()))
    return command(layout.exp.parent, corpus, options, layout.settings)


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
    together = layout.config.statements.regimes
    both = {name: [one for one in scored if one["regime"] in together] for name, scored in rows.items()}
    yield f"## Regimes {' and '.join(f'`{regime}`' for regime in together)} together"
    yield tracking.rows_table(both, titles, SHORT).markdown()
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
    rows = [one for found in speech for one in found["talkers"] if one["regime"] in wanted.regimes]
    own, memory = (
        sessions.by_session([one for one in rows if one["origin"] == origin], "si_sdri") for origin in ("own", "memory")
    )
    if len(own) and len(memory):
        difference = float(memory.mean() - own.mean())
        yield (
            f"SI-SDRi with the memory's embedding less that with the window's own: {difference:+.2f} dB; wanted -0.5 "
            f"or more: {_verdict(difference >= -0.5)}"
        )


def _verdict(holds: bool) -> str:
    return "it is" if holds else "**it is not**"


def _spaces(numbers: Mapping[str, Any]) -> Iterator[str]:
    yield "## Embeddings of a session without a memory"
    yield sessions.space_table(numbers).markdown()
    yield (
        "Of the heads that are some talker's by the clean voices: k-means of a session's embeddings into its talkers "
        "(Acc, NMI), cosines of pairs of different windows (EER), and of each to the teacher's embedding of the clean "
        "voice in the window (cos)."
    )


def _drift(numbers: Mapping[str, Any]) -> Iterator[str]:
    yield "## Drift of slots"
    yield sessions.drift_table(numbers).markdown()
    yield (
        "Mean cosine of a talker's slot to the mean of the teacher's embeddings of the clean voice, over the windows "
        "of the session's first and second half. In `drift` the noise changes in the middle."
    )


def _speech(found: Mapping[str, Any], layout: SessionsLayout) -> Iterator[str]:
    yield "## Extraction over sessions"
    yield sessions.speech_table(found["speech_numbers"]).markdown()
    path = layout.networks["extractor"]
    name = path.parent.name if path.suffix == PART else path.parents[1].name
    yield (
        f"By `{name}`, {layout.config.extracted} sessions of each regime, row `{layout.config.speech}`. Each window's "
        "middle counts. The first five embeddings are compared on the same places: where the talker speaks, has a head "
        "and has a slot by then. SI-SDRi: over the talker's active stretches, mean over sessions of the mean over "
        "talkers. Leakage: level of the output where the talker is silent against where the talker speaks. Wrong "
        "talker: windows whose output is nearer, by SI-SDR, to another talker who speaks in it. Silent: talkers for "
        "whom nothing came out.\n\n" + "\n".join(f"- `{origin}`: {note}." for origin, note in sessions.ORIGINS.items())
    )
    rates = (f"{name} {100 * rate:.1f} %" for name, rate in found["der_by_extraction"].items() if rate is not None)
    floors = ", ".join(f"{one['floor_db']:g}" for one in found["speech"])
    yield (
        f"Diarisation by extraction (a slot speaks where its extracted speech is not more than so many dB below its "
        f"loudest, chosen on dev: {floors}), DER without a collar: {', '.join(rates)}."
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


def _timelines(layout: SessionsLayout, tracks_of: Callable[[int], Any]) -> Iterator[tuple[str, Path]]:
    """A plot of one session of each regime, the first with four talkers where there is one."""
    from wesep_mix.evaluation.session_work import chosen_for
    from wesep_mix.evaluation.timeline import timeline

    seed, config = layout.config.seeds[0], layout.config
    row, heard = config.rows[config.speech], tracks_of(seed)
    setting = chosen_for(layout.rows(), config.speech, layout.choosing().out)
    cases, cohort = heard.cases(row.ear, "test"), heard.cohort(row.ear, setting.memory)
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
        "spaces": found["spaces"],
        "drift": found["drift"],
        "speech": found["speech_numbers"],
        "der_by_extraction": found["der_by_extraction"],
        "cardinalities": {str(seed): one for seed, one in found["cardinalities"].items()},
    }
