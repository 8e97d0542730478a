"""How well talkers are tracked through sessions: rows of a table, each with its thresholds chosen on dev sessions.

W windows, K talkers, S slots.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base import plugins
from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation import tracks
from wesep_mix.evaluation.settings import AGAIN_GAIN, COUNT_COST, TrackRow
from wesep_mix.evaluation.tracks import Track
from wesep_mix.inference.session_windows import Windows, read_windows
from wesep_mix.io.arrays import read_arrays
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.io.rttm import read_rttm
from wesep_mix.metrics.diarisation import COLLAR_S, diarisation_error
from wesep_mix.metrics.tracking import (
    LONG,
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

COSINES = tuple(round(0.05 * step, 2) for step in range(1, 19))
PRESENCES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
NUM_DRAWN, NUM_NEAR, NEW_SHARE = 120, 90, 0.2  # settings of a memory that are tried; fields that are drawn anew
NUM_KEPT, FIRST_SHARE = 24, 0.25  # of many settings, those that are tried on all sessions, after a share of them
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
        speech: where the mixture is speech by voice activity, samples int [V, 2].
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

    @property
    def middles(self) -> list[tuple[int, int]]:
        """Which samples of the session each window stands for: up to halfway to the neighbours' middles."""
        centres = self.windows.starts + self.windows.size // 2
        edges = [0, *((centres[:-1] + centres[1:]) // 2).tolist(), self.session.num_samples]
        return list(itertools.pairwise(edges))

    def diarisation_error(self, found: Iterable[tuple[float, float, str]], collar_s: float = 0.0) -> dict[str, Any]:
        """Score who is said to speak when over the whole session.

        Args:
            found: segments (start_s, end_s, slot).
            collar_s: left out on either side of each boundary of the truth.

        Returns:
            As `metrics.diarisation.diarisation_error`.
        """
        reference = [(a / SAMPLE_RATE, b / SAMPLE_RATE, str(k)) for k, own in enumerate(self.turns) for a, b in own]
        return diarisation_error(reference, found, [(0.0, self.session.num_samples / SAMPLE_RATE)], collar_s)


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
    """A memory that knows nobody yet.

    Args:
        config: of its plugin.
        cohort: others' voices, for as_norm, [M, D].

    Returns:
        The memory.
    """
    module = plugins.load("memory", config.name)
    return module.Model(config, cohort) if getattr(config, "as_norm", False) else module.Model(config)


def choose(row: TrackRow, cases: Sequence[Case], cohort: np.ndarray | None = None) -> Setting:
    """Choose a row's thresholds on dev sessions, by IDF1, returns after 15 s and the count in the end.

    What counts is the mean IDF1, less COUNT_COST a talker miscounted, plus AGAIN_GAIN times the share of returns that
    are right.
    A memory's thresholds begin as its config says; then they are drawn at random, all together, and then some of the
    best ones anew. Of many the best on a fourth of the sessions are tried on all.

    Args:
        row: the row.
        cases: dev sessions.
        cohort: as for `track`.

    Returns:
        The setting.
    """
    best, score = Setting(memory=row.memory), -np.inf
    for propose in _proposals(row):
        for setting in _promising(row, list(propose(best)), cases, cohort):
            found = _score(row, setting, cases, cohort)
            if found > score:
                best, score = setting, found
    return best


def like(row: TrackRow, other: Setting) -> Setting:
    """The setting of a row that has another's but for its `changes`.

    Args:
        row: with `like` and `changes`.
        other: the other row's setting.

    Returns:
        The setting.
    """
    return dataclasses.replace(other, memory=dataclasses.replace(other.memory, **row.changes))


def _promising(
    row: TrackRow, settings: list[Setting], cases: Sequence[Case], cohort: np.ndarray | None
) -> list[Setting]:
    """Of many settings those that are best on some of the sessions."""
    if len(settings) <= NUM_KEPT:
        return settings
    some = rng_for(0, "some").permutation(len(cases))[: math.ceil(FIRST_SHARE * len(cases))]
    ranked = sorted(settings, key=lambda one: -_score(row, one, [cases[place] for place in some], cohort))
    return ranked[:NUM_KEPT]


def _score(row: TrackRow, setting: Setting, cases: Sequence[Case], cohort: np.ndarray | None) -> float:
    scores, back = [], []
    for case in cases:
        truth, found = case.truth, track(row, setting, case, cohort)
        active = found.active()
        times, slot_of = case.windows.times, one_to_one(truth, active)
        idf1 = identity(truth, active, times, slot_of)["idf1"]
        final = count_error(truth, found.counts)["final"]
        scores.append((idf1 or 0.0) - COUNT_COST * abs(final or 0))
        back += reidentified(truth, active, times, slot_of)
    right, num = gap_counts(back)[LONG]
    return float(np.mean(scores)) + AGAIN_GAIN * (right / num if num else 0.0)


Propose = Callable[[Setting], Iterator[Setting]]  # from the best setting so far


def _proposals(row: TrackRow) -> Iterator[Propose]:
    """What is tried, one after another."""
    yield lambda best: iter([best])
    if row.memory is not None:
        if draw := DRAWS.get(row.memory.name):
            rng = rng_for(0, "thresholds", row.memory.name)
            yield lambda best: _drawn(row.memory, draw, rng, NUM_DRAWN)
            for _ in range(NUM_NEAR):
                yield lambda best: _near(best.memory, draw, rng)
        return
    yield lambda best: (dataclasses.replace(best, tau_presence=one) for one in PRESENCES)
    if row.how == "average":
        yield lambda best: (dataclasses.replace(best, join=join) for join in COSINES)
        yield lambda best: (dataclasses.replace(best, tau_presence=one) for one in PRESENCES)


Draw = Callable[[Any, np.random.Generator], dict[str, float]]  # from a memory's config, values of some fields


def _drawn(memory: Any, draw: Draw, rng: np.random.Generator, count: int) -> Iterator[Setting]:
    for _ in range(count):
        yield Setting(dataclasses.replace(memory, **draw(memory, rng)))


def _near(memory: Any, draw: Draw, rng: np.random.Generator) -> Iterator[Setting]:
    """The memory with some values drawn anew, where these go together with the others."""
    changes = {name: value for name, value in draw(memory, rng).items() if rng.random() < NEW_SHARE}
    try:
        yield Setting(dataclasses.replace(memory, **changes))
    except ValueError:
        return


def _online(memory: Any, rng: np.random.Generator) -> dict[str, float]:
    scale = 8.0 if memory.as_norm else 1.0  # scores are cosines, or standard deviations above others
    match, presence = rng.uniform(0.3, 0.8), _one(rng, PRESENCES)
    hits, windows = ((2, 3), (2, 4), (3, 5), (4, 8))[int(rng.integers(4))]
    cosines = {
        "tau_match": scale * match,
        "tau_new": scale * (match - _one(rng, (0.0, 0.05, 0.1, 0.15, 0.2, 0.25))),
        "tau_update": scale * (match + _one(rng, (-0.1, 0.0, 0.1))),
        "tau_taken": scale * _one(rng, (0.6, 0.7, 0.8, 0.9, NEVER)),
        "tau_merge": rng.uniform(0.4, 0.95),
        "merge_share": _one(rng, (0.0, 0.05, 0.1, 0.2, 0.3)),
        "tau_duplicate": rng.uniform(0.6, 0.95),
        "min_quality": rng.uniform(0.0, 0.5),
        "continuity": scale * _one(rng, (0.0, 0.05, 0.1, 0.15)),
        "doubt": scale * _one(rng, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
        "exemplar_share": _one(rng, (0.0, 0.3, 0.6)),
        "tau_presence": presence,
        "tau_new_presence": max(presence, _one(rng, PRESENCES)),
    }
    rounded = {name: round(float(value), 3) for name, value in cosines.items()}
    return {**rounded, "confirm_hits": hits, "confirm_windows": windows, "merge_every": int(_one(rng, (1, 4, 10)))}


def _joining(memory: Any, rng: np.random.Generator) -> dict[str, float]:
    cosines = {"tau": rng.uniform(0.2, 0.9), "tau_duplicate": rng.uniform(0.6, 0.95)}
    return {name: round(float(value), 3) for name, value in cosines.items()} | {"tau_presence": _one(rng, PRESENCES)}


def _incremental(memory: Any, rng: np.random.Generator) -> dict[str, float]:
    cosines = {"delta_new": rng.uniform(0.1, 1.0), "tau_duplicate": rng.uniform(0.6, 0.95)}
    presences = {name: _one(rng, PRESENCES) for name in ("tau_active", "rho_update")}
    return {name: round(float(value), 3) for name, value in cosines.items()} | presences


def _one(rng: np.random.Generator, values: Sequence[float]) -> float:
    return values[int(rng.integers(len(values)))]


DRAWS: dict[str, Draw] = {  # of each memory that comes with us; others keep what their config says
    "online": _online,
    "leader": _joining,
    "stitch": _joining,
    "incremental": _incremental,
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
    segments = list(spoken_by(case, track))
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
        "der": case.diarisation_error(segments),
        "der_collar": case.diarisation_error(segments, COLLAR_S),
    }


def spoken_by(case: Case, track: Track) -> Iterator[tuple[float, float, str]]:
    """When each slot speaks, by voice activity: where the mixture is speech in the middle of a window that it is in.

    Args:
        case: the session.
        track: of it.

    Yields:
        (start_s, end_s, slot).
    """
    for place, (first, end) in enumerate(case.middles):
        slots = sorted({int(slot) for slot in track.labels[place] if slot >= 0})
        for a, b in case.speech:
            begin, stop = max(a, first), min(b, end)
            if begin < stop:
                yield from ((begin / SAMPLE_RATE, stop / SAMPLE_RATE, str(slot)) for slot in slots)
