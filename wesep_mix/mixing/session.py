"""Sessions: conversations of minutes as text, rendered in ranges; `draw_session` draws them.

A `session.jsonl` line: {"id", "regime", "num_samples", "sample_rate", "talkers", "sources": as in a mixture's plan,
"beds": [{"noise": as in a mixture's plan, "first", "end", "gain"}], "scale"}. A bed is a noise from one sample of the
session to another. Its gain, and the scale of the whole, which keeps its peak below 0.9, were measured when the session
was planned, so that any range of it can be rendered alone.

K talkers, T samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_jsonl, write_jsonl
from wesep_mix.io.audio import SAMPLE_RATE, Read, read_audio
from wesep_mix.io.roots import Roots, roots_of
from wesep_mix.mixing.plan import Noise, Source
from wesep_mix.mixing.render import Rendered, render_noise, render_source

SESSIONS = "session.jsonl"
BLOCK_S = 30.0  # seconds that are rendered at a time where all of a session is looked at


@dataclass(frozen=True, slots=True)
class Bed:
    """A noise from sample `first` of a session to `end`, times `gain`, which gives it its SNR there."""

    noise: Noise
    first: int
    end: int
    gain: float


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation; a talker has as many sources as turns. All is multiplied by `scale` in the end."""

    id: str
    regime: str
    num_samples: int
    talkers: tuple[str, ...]
    sources: tuple[Source, ...]
    beds: tuple[Bed, ...]
    scale: float
    sample_rate: int = SAMPLE_RATE


def blocks(first: int, end: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most 30 s that cover the samples from `first` to `end`.

    Args:
        first: sample.
        end: the one after the last.

    Returns:
        First sample and the one after the last of each.
    """
    step = round(BLOCK_S * SAMPLE_RATE)
    return ((start, min(start + step, end)) for start in range(first, end, step))


def render_range(session: Session, start: int, stop: int, read: Read = read_audio) -> Rendered:
    """Render a stretch of a session; only what it needs is read.

    Args:
        session: of K talkers.
        start: its first sample.
        stop: the one after its last, at most the session's length.
        read: `read_audio`, or another way to the same samples (for a test).

    Returns:
        The same samples as in any other range of the session: the mixture, the talkers' speech in the order of
        `talkers`, float32 [K, stop - start], and the noise.

    Raises:
        UserError: a file is missing or shorter than planned.
        ValueError: the session has no such stretch.
    """
    if not 0 <= start <= stop <= session.num_samples:
        raise ValueError(
            f"session {session.id}: wanted samples from 0 to {session.num_samples}, found {start} to {stop}"
        )
    sources = np.zeros((len(session.talkers), stop - start), dtype=np.float32)
    mix = np.zeros(stop - start, dtype=np.float32)
    for source in session.sources:
        first, end = max(start, source.offset), min(stop, source.offset + source.num_samples)
        if first < end:
            part = dataclasses.replace(source, start=source.start + first - source.offset, num_samples=end - first)
            samples, place = render_source(part, session.sample_rate, read), slice(first - start, end - start)
            sources[session.talkers.index(source.spk), place] += samples
            mix[place] += samples
    noise = np.zeros(stop - start, dtype=np.float32)
    for bed in session.beds:
        first, end = max(start, bed.first), min(stop, bed.end)
        if first < end:
            noise[first - start : end - start] = render_bed(bed, first, end, read)
    mix += noise
    for part in (mix, sources, noise):
        part *= np.float32(session.scale)
    return Rendered(mix, sources, noise)


def render_bed(bed: Bed, first: int, end: int, read: Read = read_audio) -> np.ndarray:
    """The noise of a stretch of a session.

    Args:
        bed: that covers these samples.
        first: sample of the session.
        end: the one after the last.
        read: `read_audio`, or another way to the same samples.

    Returns:
        float32 [end - first].
    """
    start = (bed.noise.start + first - bed.first) % bed.noise.num_samples
    samples = render_noise(dataclasses.replace(bed.noise, start=start), end - first, SAMPLE_RATE, read)
    samples *= np.float32(bed.gain)
    return samples


def write_sessions(path: Path, sessions: Iterable[Session]) -> None:
    """Write sessions as text; `read_sessions` reads them.

    Args:
        path: the file to write, in the folder of a prepared set.
        sessions: in the order of the lines.
    """
    roots = roots_of(path.parent)
    write_jsonl(path, (_to_row(session, roots) for session in sessions))


def _to_row(session: Session, roots: Roots) -> dict[str, Any]:
    row = dataclasses.asdict(session)
    for part in (*row["sources"], *(bed["noise"] for bed in row["beds"])):
        part["path"] = roots.short(part["path"])
    return row


def read_sessions(path: Path) -> list[Session]:
    """Read what `write_sessions` wrote.

    Args:
        path: the file.

    Returns:
        The sessions.

    Raises:
        UserError: the file is missing, a line is not a session, or its root has no folder.
    """
    roots = roots_of(path.parent)
    return [_from_row(row, roots, f"{path}, line {number}") for number, row in enumerate(read_jsonl(path), start=1)]


def _from_row(row: dict[str, Any], roots: Roots, where: str) -> Session:
    try:
        for part in (*row["sources"], *(bed["noise"] for bed in row["beds"])):
            part["path"] = roots.full(part["path"])
        sources = tuple(Source(**source) for source in row["sources"])
        beds = tuple(Bed(**bed | {"noise": Noise(**bed["noise"])}) for bed in row["beds"])
        return Session(**row | {"talkers": tuple(row["talkers"]), "sources": sources, "beds": beds})
    except (KeyError, TypeError) as err:
        raise UserError(f"{where}: not a session ({err}); redo stage 1 with --sessions true") from err
