"""How well talkers are tracked through sessions: rows of a table, each with its thresholds chosen on dev sessions.

W windows, K talkers, S slots.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base import plugins
from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation import tracks
from wesep_mix.evaluation.settings import TrackRow
from wesep_mix.evaluation.tracks import Track
from wesep_mix.inference.session_windows import Windows, read_windows
from wesep_mix.io.arrays import read_arrays
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.io.rttm import read_rttm
from wesep_mix.metrics.diarisation import diarisation_error
from wesep_mix.metrics.tracking import (
    count_error,
    gap_counts,
    identity,
    one_to_one,
    openings,
    reidentified,
    window_errors,
)
from wesep_mix.mixing.prepare_sessions import RTTM
from wesep_mix.mixing.session import SESSIONS, Session, read_sessions

COLLAR_S = 0.25
COSINES = tuple(round(0.05 * step, 2) for step in range(1, 19))  # tried first
COUNT_COST = 0.05  # in IDF1, of a talker too many or too few in the end
NEVER = 2.0  # a cosine that is never reached


@dataclass(frozen=True)
class Case:
    """A session as one ear heard it, and its truth.

    Attributes:
        session: its plan.
        turns: when each talker speaks, in samples, in the order of the session's talkers.
        windows: what was heard.
        references: the teacher's embeddings of the clean voices, float [W, K, D].
        enrolled: the teacher's embedding of other speech of each talker, float [K, D].
        speech: where the mixture is speech by WebRTC VAD, samples int [V, 2].
    """

    session: Session
    turns: tuple[tuple[tuple[int, int], ...], ...]
    windows: Windows
    references: np.ndarray
    enrolled: np.ndarray
    speech: np.ndarray

    @cached_property
    def truth(self) -> np.ndarray:
        """Who speaks in each window: int [W, K], as `tracks.present`."""
        return tracks.present(self.turns, self.windows.starts, self.windows.size)


def read_cases(data: Path, heard: Path, references: Path) -> list[Case]:
    """Read the sessions of a set as an ear heard them.

    Args:
        data: the set of sessions.
        heard: folder with an npz of `session_windows.Windows` for each.
        references: folder with an npz of references, enrolled and speech for each.

    Returns:
        A case a session.

    Raises:
        UserError: a file is missing or damaged.
    """
    spoken = read_rttm(data / RTTM)
    cases = []
    for session in read_sessions(data / SESSIONS):
        turns = tuple(
            tuple(
                (round(one.start_s * SAMPLE_RATE), round(one.end_s * SAMPLE_RATE))
                for one in spoken.get(session.id, ())
                if one.speaker == talker
            )
            for talker in session.talkers
        )
        known = read_arrays(references / f"{session.id}.npz")
        cases.append(Case(session, turns, read_windows(heard / f"{session.id}.npz"), **known))
    return cases


@dataclass(frozen=True)
class Setting:
    """What a row tries on dev sessions: the memory's config, or thresholds of what is no memory."""

    memory: Any = None
    tau_presence: float = 0.5
    join: float = 0.5


def track(row: TrackRow, setting: Setting, case: Case, cohort: np.ndarray | None = None) -> Track:
    """Track a session as a row says.

    Args:
        row: the row.
        setting: its thresholds.
        case: the session.
        cohort: embeddings of others, for a memory with as_norm: [M, D].

    Returns:
        The track.
    """
    windows, num_talkers = case.windows, len(case.session.talkers)
    if row.how in ("memory", "revised"):
        found = tracks.by_memory(new_memory(setting.memory, cohort), windows)
        return tracks.revised(found) if row.how == "revised" else found
    if row.how in ("average", "spectral"):
        known = num_talkers if row.known else None
        return tracks.by_clustering(windows, row.how, setting.tau_presence, setting.join, known)
    if row.how == "chance":
        rng = rng_for(0, "chance", case.session.id)
        return tracks.by_chance(windows, num_talkers, setting.tau_presence, rng)
    voices = case.enrolled
    if row.how == "voices":
        voices = tracks.mean_voices(windows, tracks.named(windows, case.references), num_talkers)
    return tracks.by_voices(windows, voices, setting.tau_presence)


def new_memory(config: Any, cohort: np.ndarray | None = None) -> Any:
    """A memory that knows nobody yet."""
    module = plugins.load("memory", config.name)
    return module.Model(config, cohort) if getattr(config, "as_norm", False) else module.Model(config)


def choose(row: TrackRow, cases: Sequence[Case], cohort: np.ndarray | None = None) -> Setting:
    """Choose a row's thresholds on dev sessions, a few at a time: the best IDF1, less 0.05 a talker miscounted.

    Args:
        row: the row.
        cases: dev sessions.
        cohort: as for `track`.

    Returns:
        The setting.
    """
    best = Setting(memory=row.memory)
    for step in _steps(row):
        tried = [best, *(setting for setting in step(best) if setting != best)]
        scores = [_score(row, setting, cases, cohort) for setting in tried]
        best = tried[int(np.argmax(scores))]
    return best


def _score(row: TrackRow, setting: Setting, cases: Sequence[Case], cohort: np.ndarray | None) -> float:
    scores = []
    for case in cases:
        truth, found = case.truth, track(row, setting, case, cohort)
        active = found.active()
        idf1 = identity(truth, active, case.windows.times, one_to_one(truth, active))["idf1"]
        final = count_error(truth, found.counts)["final"]
        scores.append((idf1 or 0.0) - COUNT_COST * abs(final or 0))
    return float(np.mean(scores))


Step = Callable[[Setting], Iterator[Setting]]
DUPLICATES = (0.6, 0.7, 0.8, 0.9, 0.95)
PRESENCES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def _steps(row: TrackRow) -> Iterator[Step]:
    """What is tried, one after another, each around the best of those before."""
    if row.memory is not None:
        trials = TRIALS.get(row.memory.name, ())
        for trial in trials:
            yield lambda best, trial=trial: (
                dataclasses.replace(best, memory=memory) for memory in _changed(best.memory, trial, row.fixed)
            )
        return
    if row.ear != "frames" or row.how == "average":
        yield lambda best: (dataclasses.replace(best, tau_presence=one) for one in PRESENCES)
    if row.how == "average":
        yield lambda best: (dataclasses.replace(best, join=join) for join in COSINES)
        yield lambda best: (dataclasses.replace(best, tau_presence=one) for one in PRESENCES)


def _changed(memory: Any, trial: Callable[[Any], Iterable[Mapping[str, float]]], fixed: Sequence[str]) -> Iterator[Any]:
    for changes in trial(memory):
        wanted = {name: value for name, value in changes.items() if name not in fixed}
        try:
            yield dataclasses.replace(memory, **wanted)
        except ValueError:  # thresholds that do not go together
            continue


def _matches(memory: Any) -> Iterator[dict[str, float]]:
    """All cosines of the online memory moved together, as far apart as they are."""
    for tau in COSINES:
        scaled = tau * _scale(memory)
        moved = scaled - memory.tau_match
        yield {
            "tau_match": round(scaled, 3),
            "tau_new": round(memory.tau_new + moved, 3),
            "tau_update": round(memory.tau_update + moved, 3),
            "tau_merge": round(min(tau + 0.3, 0.95), 3),
        }


def _scale(memory: Any) -> float:
    """Of scores: cosines, or with `as_norm` standard deviations above others."""
    return 8.0 if memory.as_norm else 1.0


def _around(name: str, *gaps: float) -> Callable[[Any], Iterator[dict[str, float]]]:
    """Scores that lie so far from `tau_match`."""
    return lambda memory: ({name: round(memory.tau_match + gap * _scale(memory), 3)} for gap in gaps)


def _values(*names: str, at: Sequence[float], apart: float = 0.0) -> Callable[[Any], Iterator[dict[str, float]]]:
    return lambda memory: ({name: round(value + place * apart, 3) for place, name in enumerate(names)} for value in at)


def _confirmed(memory: Any) -> Iterator[dict[str, float]]:
    """How often a talker must be heard in how many windows in a row."""
    yield from (
        {"confirm_hits": hits, "confirm_windows": windows} for hits, windows in ((2, 3), (2, 4), (3, 5), (4, 8))
    )


_JOINING = (
    _values("tau", at=COSINES),
    _values("tau_presence", at=PRESENCES),
    _values("tau_duplicate", at=DUPLICATES),
    _values("tau", at=COSINES),
)
TRIALS: dict[str, tuple[Callable[[Any], Iterable[Mapping[str, float]]], ...]] = {  # of each memory that comes with us
    "online": (
        _matches,
        _values("tau_presence", "tau_new_presence", at=PRESENCES, apart=0.1),
        _around("tau_new", 0.0, -0.05, -0.1, -0.15, -0.2, -0.3),
        _values("tau_merge", at=(*COSINES[8:], NEVER)),
        _values("tau_duplicate", at=DUPLICATES),
        _values("min_quality", at=(0.1, 0.2, 0.3, 0.4, 0.5)),
        _confirmed,
        _matches,
        _values("tau_new_presence", at=PRESENCES),
        _around("tau_update", -0.1, 0.0, 0.1),
    ),
    "leader": _JOINING,
    "stitch": _JOINING,
    "incremental": (
        _values("delta_new", at=COSINES),
        _values("tau_active", at=PRESENCES),
        _values("rho_update", at=PRESENCES),
        _values("tau_duplicate", at=DUPLICATES),
        _values("delta_new", at=COSINES),
    ),
}


def measure(case: Case, track: Track) -> dict[str, Any]:
    """All measures of a tracked session.

    Args:
        case: the session.
        track: of it.

    Returns:
        {"session", "regime", "num_talkers", "errors": metrics.tracking.window_errors, "returns" and "known_returns":
        gap_counts, "count": count_error, "openings", "identity", "der" and "der_collar": metrics.diarisation}.
    """
    truth, active, times = case.truth, track.active(), case.windows.times
    slot_of = one_to_one(truth, active)
    found = reidentified(truth, active, times, slot_of)
    reference = [(a / SAMPLE_RATE, b / SAMPLE_RATE, str(k)) for k, own in enumerate(case.turns) for a, b in own]
    hypothesis = list(spoken_by(case, track))
    whole = [(0.0, case.session.num_samples / SAMPLE_RATE)]
    return {
        "session": case.session.id,
        "regime": case.session.regime,
        "num_talkers": len(case.session.talkers),
        "errors": window_errors(truth, active, slot_of),
        "returns": gap_counts(found),
        "known_returns": gap_counts(found, closed_set=True),
        "count": count_error(truth, track.counts),
        "openings": openings(truth, active, times, slot_of),
        "identity": identity(truth, active, times, slot_of),
        "der": diarisation_error(reference, hypothesis, whole),
        "der_collar": diarisation_error(reference, hypothesis, whole, COLLAR_S),
    }


def spoken_by(case: Case, track: Track) -> Iterator[tuple[float, float, str]]:
    """When each slot speaks, by voice activity: where the mixture is speech in the middle of a window that it is in.

    Yields:
        (start_s, end_s, slot).
    """
    starts, size, num_samples = case.windows.starts, case.windows.size, case.session.num_samples
    centres = starts + size // 2
    edges = np.concatenate([[0], (centres[:-1] + centres[1:]) // 2, [num_samples]])
    for place, (first, end) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        slots = sorted({int(slot) for slot in track.labels[place] if slot >= 0})
        for a, b in case.speech:
            begin, stop = max(a, first), min(b, end)
            if begin < stop:
                yield from ((begin / SAMPLE_RATE, stop / SAMPLE_RATE, str(slot)) for slot in slots)
