"""Stages 7 and 8 of recordings without sources: DNSMOS before and after extraction, and what an enrolment would pick.

Which of a recording's talkers counts, where one is to, is a rule (`RULES`); the score of each talker is in the table.
With an enrolment, the margin of a recording is the largest cosine of its talkers' embeddings to the enrolment's less
the next, for two talkers |cos(e1, enrolment) - cos(e2, enrolment)|.

Torch is not imported here, so that workers start fast.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import Journal, atomic_write, write_json
from wesep_mix.base.parallel import map_items
from wesep_mix.io.audio import read_audio
from wesep_mix.metrics.dnsmos import SCALES, dnsmos
from wesep_mix.metrics.intervals import bootstrap
from wesep_mix.preparation.recordings import RecordingEntry

Rule = Literal["loudest", "present", "mean", "enrolment", "best"]
RULES: dict[Rule, str] = {
    "loudest": "the talker whose speech is the loudest",
    "present": "the talker of whom the student says most surely that there is such a one",
    "mean": "the mean of all talkers of a recording",
    "enrolment": "analysis alone: the talker whose embedding is nearest to the enrolment's",
    "best": "a bound: the talker whose speech has the highest OVRL",
}
SCORES, MARGINS, RATED = "scores.csv", "margins.csv", "rated.jsonl"
SUMMARY = "summary.json"
FLOOR_DB = -120.0
LEAST_RANKED = 10  # recordings, from which on a correlation says something
INPUT, DIFF = "_input", "_diff"  # behind a scale's name: of the recording itself, and the difference to it
RULED = "_rule"  # behind that: of the talker that the rule takes
Row = dict[str, Any]


@dataclass(frozen=True)
class Rating:
    """What is to be rated: a recording, or the wav of a talker of it.

    Attributes:
        id: key of it in the table.
        entry: the recording.
        wav: the talker's speech; None: the recording itself.
    """

    id: str
    entry: RecordingEntry
    wav: Path | None = None


def rate_recordings(entries: Sequence[RecordingEntry], channel: str, out: Path, nj: int, max_bad: int = 0) -> None:
    """Write DNSMOS of the recordings as they are to `out/scores.csv`: {recording, sig, bak, ovrl, ...}.

    Args:
        entries: the recordings.
        channel: of them.
        out: folder to write; a run that was stopped goes on with what lies there.
        nj: parallel processes; the result does not depend on it.
        max_bad: recordings that may fail, each named and left out.

    Raises:
        UserError: too many cannot be rated.
    """
    rated = _rated([Rating(entry.id, entry) for entry in entries], channel, out, nj, max_bad)
    rows = [{"recording": name, **_scales(row)} for name, row in rated.items()]
    write_rows(out / SCORES, rows)
    write_json(out / SUMMARY, {"num": len(rows), "num_bad": len(entries) - len(rows)})
    (out / RATED).unlink()


def rate_speech(ratings: Sequence[Rating], before: Path, channel: str, out: Path, nj: int, max_bad: int = 0) -> None:
    """Write DNSMOS of talkers' speech to `out/scores.csv`, a row a talker.

    A row has recording, head, `level_db` (its power against the recording's), each scale, the same of the recording
    as `<scale>_input` and the difference as `<scale>_diff`.

    Args:
        ratings: talkers, whose ids are `<recording>-<head>`.
        before: scores.csv of the recordings as they are.
        channel: of the recordings.
        out: as for `rate_recordings`.
        nj: likewise.
        max_bad: likewise, of talkers.

    Raises:
        UserError: too many cannot be rated, or a recording is not in `before`.
    """
    unprocessed = {row["recording"]: row for row in read_rows(before)}
    known = [one for one in ratings if one.entry.id in unprocessed]
    rated = _rated(known, channel, out, nj, max_bad)
    write_rows(out / SCORES, [_compared(one, rated[one.id], unprocessed) for one in known if one.id in rated])
    write_json(out / SUMMARY, {"num": len(rated), "num_bad": len(ratings) - len(rated)})
    (out / RATED).unlink()


def _compared(one: Rating, row: Row, unprocessed: Mapping[str, Row]) -> Row:
    found, before = _scales(row), unprocessed[one.entry.id]
    return {
        "recording": one.entry.id,
        "head": int(one.id.rpartition("-")[2]),
        "level_db": row["level_db"],
        **found,
        **{f"{scale}{INPUT}": before[scale] for scale in found},
        **{f"{scale}{DIFF}": found[scale] - before[scale] for scale in found},
    }


def _scales(row: Row) -> dict[str, float]:
    return {key: value for key, value in row.items() if key not in ("id", "level_db")}


def _rated(ratings: Sequence[Rating], channel: str, out: Path, nj: int, max_bad: int) -> dict[str, Row]:
    title = f"DNSMOS of {'speech' if any(one.wav for one in ratings) else 'recordings'}"
    with Journal(out / RATED) as journal:
        missing = [one for one in ratings if one.id not in journal.rows]
        rate = partial(_rate, channel)
        pairs = map_items(rate, missing, nj, title, max_bad, journal.add, "recordings.max_bad")
        rows = journal.rows | {one.id: row for one, row in pairs}
    if not rows:
        raise UserError(f"{title}: nothing was rated, {len(ratings)} wanted")
    return {name: rows[name] for name in sorted(rows, key=str.encode)}


def _rate(channel: str, one: Rating) -> Row:
    """DNSMOS, rounded as the table has it, so that a run that goes on writes what an undisturbed one does."""
    mix = np.asarray(one.entry.read(channel).samples)
    try:
        wav = mix if one.wav is None else _read_speech(one.wav, len(mix))
        scores = {scale: round(value, 6) for scale, value in dnsmos(wav).items()}
    except UserError as err:
        raise UserError(f"{one.id}: {err}") from err
    return {"id": one.id, "level_db": level_db(wav, mix), **scores}


def _read_speech(wav: Path, num_samples: int) -> np.ndarray:
    speech = read_audio(wav)
    if len(speech) != num_samples:
        raise UserError(f"{wav}: wanted {num_samples} samples as in the recording, found {len(speech)}; redo stage 6")
    return speech


def level_db(wav: np.ndarray, mix: np.ndarray) -> float:
    """Power of a talker's speech [T] against that of the recording [T], in dB, rounded to six digits."""
    ratio = np.square(wav, dtype=np.float64).sum() / max(np.square(mix, dtype=np.float64).sum(), 1e-12)
    return round(max(10 * float(np.log10(max(ratio, 1e-12))), FLOOR_DB), 6)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a table, its columns those of the first row; numbers that are not known are empty cells.

    Args:
        path: CSV file.
        rows: at least one; floats get six decimals.
    """
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        for row in rows:
            writer.writerow(_cell(row[name]) for name in rows[0])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6f}"
    return str(value)


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote.

    Args:
        path: CSV file.

    Returns:
        A mapping a row: `recording` is text, `head` and `picked` whole numbers, the rest floats, NaN in empty cells.

    Raises:
        UserError: it is missing, or no such table.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; redo the stage that makes it")
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [{name: _value(name, cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    except (TypeError, ValueError, AttributeError, csv.Error) as err:
        raise UserError(f"{path}: not a table of scores ({err}); redo its stage with --force true") from err


def _value(name: str, cell: str) -> Any:
    if name == "recording":
        return cell
    return int(cell) if name in ("head", "picked") else float(cell or "nan")


def scales_of(rows: Sequence[Row]) -> list[str]:
    """The scales that a table has, SIG, BAK and OVRL first."""
    found = [name.removesuffix(DIFF) for name in rows[0] if name.endswith(DIFF)]
    return [*(scale for scale in SCALES if scale in found), *(scale for scale in found if scale not in SCALES)]


def by_recording(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each recording's talkers."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["recording"], []).append(row)
    return found


@dataclass(frozen=True)
class Known:
    """What the rules need beside the scores, by `<recording>-<head>`: cosines to the enrolment, and presence."""

    cosines: Mapping[str, float]
    presence: Mapping[str, float]


def chosen_rows(rows: Sequence[Row], rule: Rule, known: Known) -> dict[str, Row]:
    """The scores that count by a rule.

    Args:
        rows: of the talkers of all recordings.
        rule: which of a recording's talkers counts.
        known: of the talkers.

    Returns:
        {recording: its row}, for the mean one of means; without the recordings for which the rule says nothing.
    """
    if rule == "mean":
        return {name: _mean(own) for name, own in by_recording(rows).items()}
    worth = _worth(rule, known)
    usable = by_recording([row for row in rows if worth(row) is not None])
    return {name: max(own, key=worth) for name, own in usable.items()}


def _worth(rule: Rule, known: Known) -> Callable[[Row], float | None]:
    if rule in ("loudest", "best"):
        return lambda row: row["level_db" if rule == "loudest" else "ovrl"]
    told = known.cosines if rule == "enrolment" else known.presence
    return lambda row: told.get(f"{row['recording']}-{row['head']}")


def _mean(rows: Sequence[Row]) -> Row:
    names = [name for name, value in rows[0].items() if isinstance(value, float)]
    return {"recording": rows[0]["recording"]} | {name: float(np.mean([row[name] for row in rows])) for name in names}


def enrolment_cosines(
    embeddings: Mapping[str, np.ndarray], keys: Mapping[str, Sequence[str]], enrolments: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Cosines of talkers to the enrolment of their recording.

    Args:
        embeddings: {`<recording>-<head>`: [D]}.
        keys: {recording: the keys of its talkers}.
        enrolments: {recording: [D]}.

    Returns:
        {`<recording>-<head>`: cosine}, of recordings with an enrolment.
    """
    return {key: _cosine(embeddings[key], wanted) for name, wanted in enrolments.items() for key in keys[name]}


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-12))


def margin_rows(rows: Sequence[Row], rule: Rule, known: Known) -> list[Row]:
    """The margin of each recording with an enrolment, beside the differences of DNSMOS.

    Args:
        rows: scores of the talkers.
        rule: whose differences stand beside those of the talker that the enrolment picks.
        known: of the talkers.

    Returns:
        {recording, margin, cos_first, cos_second, picked (a head), same (1 where the rule takes it too, else 0),
        <scale>_diff of the one picked, <scale>_diff_rule}; margin, cos_second and same are NaN where there is one
        talker, and same where the rule takes none.
    """
    picked, ruled = (chosen_rows(rows, each, known) for each in ("enrolment", rule))
    talkers, scales = by_recording(rows), scales_of(rows)
    found = []
    for name, row in picked.items():
        cosines = sorted((known.cosines[f"{name}-{one['head']}"] for one in talkers[name]), reverse=True)
        second = cosines[1] if len(cosines) > 1 else float("nan")
        other = ruled.get(name, {})
        is_choice = len(cosines) > 1 and "head" in other
        found.append(
            {"recording": name, "margin": cosines[0] - second, "cos_first": cosines[0], "cos_second": second}
            | {"picked": row["head"], "same": float(other["head"] == row["head"]) if is_choice else float("nan")}
            | {f"{scale}{DIFF}": row[f"{scale}{DIFF}"] for scale in scales}
            | {f"{scale}{DIFF}{RULED}": other.get(f"{scale}{DIFF}", float("nan")) for scale in scales}
        )
    return found


def margin_summary(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """How margins go with the differences of DNSMOS.

    Args:
        rows: of `margin_rows`.
        seed: of the bootstrap.

    Returns:
        {"num": recordings, "with_margin": of these those with two talkers or more, "margin": their mean, "same": of
        these the share in which the rule takes the talker that the enrolment picks, "rank": {column: {"value", "low",
        "high"}}: Spearman's correlation of the margin with each column of differences}; None where it is not known, a
        correlation also of fewer than LEAST_RANKED recordings.
    """
    margins, same = (np.array([row[name] for row in rows]) for name in ("margin", "same"))
    there, chosen = ~np.isnan(margins), ~np.isnan(same)
    names = [name for name in rows[0] if name.removesuffix(RULED).endswith(DIFF)]
    pairs = {name: np.array([(row["margin"], row[name]) for row in rows])[there] for name in names}
    return {
        "num": len(rows),
        "with_margin": int(there.sum()),
        "margin": float(margins[there].mean()) if there.any() else None,
        "same": float(same[chosen].mean()) if chosen.any() else None,
        "rank": {name: _with_interval(own, seed) for name, own in pairs.items()},
    }


def _with_interval(pairs: np.ndarray, seed: int) -> dict[str, float] | None:
    if len(pairs) < LEAST_RANKED:
        return None
    value, ends = rank_correlation(pairs), bootstrap(pairs, seed, rank_correlation)
    return None if value is None or ends is None else {"value": value, "low": ends[0], "high": ends[1]}


def rank_correlation(pairs: np.ndarray) -> float | None:
    """Spearman's correlation of the two columns of [M, 2]; None where one of them is constant."""
    from scipy.stats import rankdata  # here, since it takes a while and a finished stage answers at once

    ranks = [rankdata(column) for column in pairs.T] if len(pairs) > 1 else [np.zeros(1), np.zeros(1)]
    if any(np.ptp(column) == 0 for column in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def mean_difference(rows: Sequence[Row], column: str, files: Mapping[str, str], seed: int) -> dict[str, float]:
    """The mean of a column over recordings, and its interval.

    Args:
        rows: a recording each.
        column: which.
        files: {recording: its file}; clips of one file are drawn together.
        seed: of the bootstrap.

    Returns:
        {"value", and with two files or more "low" and "high", ends of the interval of 95 %}.
    """
    by_file: dict[str, list[float]] = {}
    for row in rows:
        by_file.setdefault(files[row["recording"]], []).append(row[column])
    sums = np.array([(sum(own), len(own)) for _, own in sorted(by_file.items())])
    ends = bootstrap(sums, seed)
    value = {"value": float(sums[:, 0].sum() / sums[:, 1].sum())}
    return value if ends is None else value | {"low": ends[0], "high": ends[1]}


def compare_rules(rows: Sequence[Row], known: Known, files: Mapping[str, str], seed: int) -> dict[str, Any]:
    """Each rule's means after and before, and the differences with intervals.

    Args:
        rows: scores of the talkers.
        known: of the talkers.
        files: {recording: its file}.
        seed: of the bootstrap.

    Returns:
        {rule: {"num": recordings, "after", "before": {scale: mean}, "difference": {scale: as of `mean_difference`}}},
        without the rules that say nothing here.
    """
    found = {}
    for rule in RULES:
        own = list(chosen_rows(rows, rule, known).values())
        if not own:
            continue
        scales = scales_of(rows)
        found[rule] = {
            "num": len(own),
            "after": {scale: float(np.mean([row[scale] for row in own])) for scale in scales},
            "before": {scale: float(np.mean([row[f"{scale}{INPUT}"] for row in own])) for scale in scales},
            "difference": {scale: mean_difference(own, f"{scale}{DIFF}", files, seed) for scale in scales},
        }
    return found
