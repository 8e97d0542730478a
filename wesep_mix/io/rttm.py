"""Who speaks when, and what of it is scored: NIST's RTTM and UEM files, as Kaldi and tools for diarisation use them.

RTTM: `SPEAKER recording channel start duration <NA> <NA> speaker <NA> <NA>` a line; the last field may be lacking.
UEM: `recording channel start end` a line. Times are in seconds; lines that begin with `;;` are comments. A recording is
of one channel here, whatever its name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, read_lines

CHANNEL = "1"
DIGITS = 6  # of a second
_RTTM = "SPEAKER recording channel start duration <NA> <NA> speaker <NA> <NA>"
_UEM = "recording channel start end"
# NIST's other kinds of lines, which say nothing about who speaks when. NOSCORE is not among them: it changes the score.
_OTHERS = frozenset("SPKR-INFO SEGMENT LEXEME NON-LEX NON-SPEECH FILLER EDIT IP SU CB A/P NO_RT_METADATA".split())
_ADVICE = "save it as UTF-8"


class Segment(NamedTuple):
    """A stretch in which somebody speaks."""

    start_s: float
    end_s: float
    speaker: str


def read_rttm(path: str | Path) -> dict[str, list[Segment]]:
    """Read who speaks when.

    Args:
        path: RTTM file.

    Returns:
        {recording: its segments in the file's order}, without segments of no duration. A recording in which nobody
        speaks is not in it.

    Raises:
        UserError: the file is missing or no text, or a line is none of RTTM (file and line are named).
    """
    found: dict[str, list[Segment]] = {}
    channels: dict[str, str] = {}
    for where, fields in _lines_of(path):
        if fields[0] in _OTHERS:
            continue
        if fields[0] != "SPEAKER" or len(fields) not in (9, 10):
            raise _wrong(where, _RTTM, fields)
        _, recording, channel, start, duration, _, _, speaker, *_ = fields
        _check_channel(where, channels, recording, channel)
        start_s, duration_s = _seconds(where, start), _seconds(where, duration)
        end_s = round(start_s + duration_s, DIGITS)  # so that what touches in the file touches here
        if end_s > start_s:
            found.setdefault(recording, []).append(Segment(start_s, end_s, speaker))
    return found


def rttm_name(name: str) -> str:
    """A recording's name as a field of RTTM, which has no blanks: they become underscores."""
    return "_".join(name.split()) or "recording"


def write_rttm(path: str | Path, segments: Mapping[str, Iterable[tuple[float, float, str]]]) -> None:
    """Write who speaks when, by recording and start, to the microsecond.

    Args:
        path: the file to write.
        segments: {recording: segments (start_s, end_s, speaker)}.

    Raises:
        UserError: a name is empty or has blanks in it, or a segment has no duration or starts before 0.
    """
    with atomic_write(path) as file:
        for recording in sorted(segments, key=str.encode):
            for start_s, end_s, speaker in sorted(segments[recording]):
                start_s, end_s = _checked(path, recording, start_s, end_s, speaker)
                span = f"{start_s:.{DIGITS}f} {end_s - start_s:.{DIGITS}f}"
                file.write(f"SPEAKER {recording} {CHANNEL} {span} <NA> <NA> {speaker} <NA> <NA>\n")


def read_uem(path: str | Path) -> dict[str, list[tuple[float, float]]]:
    """Read what is scored.

    Args:
        path: UEM file.

    Returns:
        {recording: stretches (start_s, end_s) in the file's order}.

    Raises:
        UserError: the file is missing or no text, or a line is none of UEM (file and line are named).
    """
    found: dict[str, list[tuple[float, float]]] = {}
    channels: dict[str, str] = {}
    for where, fields in _lines_of(path):
        if len(fields) != 4:
            raise _wrong(where, _UEM, fields)
        recording, channel, *span = fields
        _check_channel(where, channels, recording, channel)
        start_s, end_s = (_seconds(where, text) for text in span)
        if not start_s < end_s:
            raise UserError(f"{where}: wanted an end after the start, found {' '.join(span)}; mend the line")
        found.setdefault(recording, []).append((start_s, end_s))
    return found


def write_uem(path: str | Path, stretches: Mapping[str, Iterable[tuple[float, float]]]) -> None:
    """Write what is scored, by recording and start, to the microsecond.

    Args:
        path: the file to write.
        stretches: {recording: stretches (start_s, end_s)}.

    Raises:
        UserError: a recording's name is empty or has blanks in it, or a stretch has no duration or starts before 0.
    """
    with atomic_write(path) as file:
        for recording in sorted(stretches, key=str.encode):
            for start_s, end_s in sorted(stretches[recording]):
                start_s, end_s = _checked(path, recording, start_s, end_s)
                file.write(f"{recording} {CHANNEL} {start_s:.{DIGITS}f} {end_s:.{DIGITS}f}\n")


def _lines_of(path: str | Path) -> Iterator[tuple[str, list[str]]]:
    """File and line, and the line's fields."""
    for number, line in read_lines(path, _ADVICE):
        fields = line.split()
        if not fields[0].startswith(";;"):
            yield f"{path}, line {number}", fields


def _wrong(where: str, form: str, fields: list[str]) -> UserError:
    return UserError(f"{where}: wanted `{form}`, found {' '.join(fields)!r}; mend the line")


def _seconds(where: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UserError(f"{where}: wanted seconds, 0 or more, found {text!r}; mend the line")
    return seconds


def _check_channel(where: str, channels: dict[str, str], recording: str, channel: str) -> None:
    """Two channels of one name would be scored as one recording."""
    if channels.setdefault(recording, channel) != channel:
        raise UserError(
            f"{where}: wanted one channel a recording, found {channels[recording]} and {channel} of {recording}; "
            "give each channel a name of its own"
        )


def _checked(path: str | Path, recording: str, start_s: float, end_s: float, speaker: str = "-") -> tuple[float, float]:
    """Start and end, rounded."""
    if any(len(name.split()) != 1 for name in (recording, speaker)):
        raise UserError(f"{path}: wanted names without blanks, found recording {recording!r}, speaker {speaker!r}")
    start_s, end_s = round(start_s, DIGITS), round(end_s, DIGITS)
    if not 0 <= start_s < end_s < math.inf:
        raise UserError(
            f"{path}: {recording}: wanted a start from 0 s and an end after it, found {start_s} and {end_s}"
        )
    return start_s, end_s
