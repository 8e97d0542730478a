"""Stage 7 of recordings without sources: DNSMOS of each, and of the speech of each of its talkers, as tables.

Torch is not imported here, so that workers start fast.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import Journal, atomic_write, write_json
from wesep_mix.base.parallel import map_items
from wesep_mix.io.audio import read_audio
from wesep_mix.metrics.dnsmos import SCALES, dnsmos
from wesep_mix.preparation.recordings import RecordingEntry

SCORES, SUMMARY, RATED = "scores.csv", "summary.json", "rated.jsonl"
FLOOR_DB = -120.0
INPUT, DIFF = "_input", "_diff"  # behind a scale's name: of the recording itself, and the difference to it
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
        scores = {scale: round(value, 6) for scale, value in dnsmos([wav])[0].items()}
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
