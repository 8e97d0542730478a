"""Whose voice each head of a session's windows is said to be: by a memory, by clustering afterwards, by the truth.

W windows, N heads, K talkers, S slots, D embedding size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from wesep_mix.inference.session_windows import Windows
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.memory.observing import NOBODY, Event
from wesep_mix.memory.offline import clustered

PRESENT_S, ABSENT_S = 0.5, 0.1  # of speech in a window


@dataclass(frozen=True)
class Track:
    """A session's labels.

    Attributes:
        labels: the slot of each head or NOBODY, int [W, N].
        counts: how many talkers are said to have been heard, after each window, int [W].
        events: what the memory told.
        means: each talker's embedding after each window, by slot; of memories only.
    """

    labels: np.ndarray
    counts: np.ndarray
    events: tuple[Event, ...] = ()
    means: tuple[Mapping[int, np.ndarray], ...] = ()

    def slots(self) -> list[int]:
        """The slots that were ever heard, sorted."""
        return [int(slot) for slot in np.unique(self.labels) if slot != NOBODY]

    def active(self) -> np.ndarray:
        """Which slots speak in each window: bool [W, S], S in the order of `slots`."""
        return (self.labels[:, :, None] == np.array(self.slots(), dtype=int)).any(1)


def by_memory(memory: Any, windows: Windows, keep_means: bool = False) -> Track:
    """Let a memory observe a session, as if it came live.

    Args:
        memory: a plugin's new Model.
        windows: of the session.
        keep_means: whether to note the talkers' embeddings after each window.

    Returns:
        What it said at the time; nothing is taken back.
    """
    labels = np.full(windows.presence.shape, NOBODY)
    counts, events, means = np.zeros(len(labels), dtype=int), [], []
    for place, heard in enumerate(windows.heard):
        if heard:
            observed = memory.observe(windows.embeddings[place], windows.presence[place], float(windows.times[place]))
            labels[place] = observed.labels
            events += observed.events
        counts[place] = memory.num_talkers
        if keep_means:
            means.append(memory.means(confirmed=False))
    return Track(labels, counts, tuple(events), tuple(means))


def revised(track: Track) -> Track:
    """The track with what merging has found out later: the past of merged slots is that of the older one."""
    kept: dict[int, int] = {}
    for event in track.events:
        if event.kind == "merged":
            kept = {slot: event.slot if at == event.other else at for slot, at in kept.items()}
            kept[event.other] = event.slot
    labels = np.array([[kept.get(int(slot), int(slot)) for slot in row] for row in track.labels])
    return Track(labels.reshape(track.labels.shape), track.counts, track.events, track.means)


def by_clustering(
    windows: Windows, method: str, tau_presence: float, join: float | None, num_talkers: int | None
) -> Track:
    """Cluster all of a session's heads at once, which no live memory can.

    Args:
        windows: of the session.
        method: `average` or `spectral`.
        tau_presence: presence above which a head is heard.
        join: least cosine of a talker's embeddings, for average linkage.
        num_talkers: how many there are; None: not known.

    Returns:
        The track; each window's count is that of the clusters heard so far.
    """
    labels = np.full(windows.presence.shape, NOBODY)
    places, heads = np.nonzero((windows.presence > tau_presence) & windows.heard[:, None])
    if len(places):
        embeddings = windows.embeddings[places, heads]
        tau = join if method == "average" else None
        labels[places, heads] = clustered(embeddings, places, num_talkers, tau, method)
    return Track(labels, heard_so_far(labels))


def heard_so_far(labels: np.ndarray) -> np.ndarray:
    """How many slots have been heard up to each window: labels int [W, N] -> int [W]."""
    seen: set[int] = set()
    counts = []
    for row in labels:
        seen |= {int(slot) for slot in row if slot != NOBODY}
        counts.append(len(seen))
    return np.array(counts, dtype=int)


def named(windows: Windows, references: np.ndarray) -> np.ndarray:
    """Which talker each head is of, by the teacher's embeddings of the clean voices.

    Args:
        windows: of the session.
        references: float [W, K, D], NaN where a talker hardly speaks.

    Returns:
        int [W, N]; of each window's talkers with a reference as many as there are heads, one to one, with the largest
        sum of cosines; NOBODY for the other heads.
    """
    names = np.full(windows.presence.shape, NOBODY)
    for place in np.flatnonzero(windows.heard):
        talkers = np.flatnonzero(np.isfinite(references[place, :, 0]))
        cosines = _unit(windows.embeddings[place]) @ _unit(references[place, talkers]).T
        for head, column in zip(*linear_sum_assignment(cosines, maximize=True), strict=True):
            names[place, head] = talkers[column]
    return names


def by_voices(windows: Windows, voices: np.ndarray, tau_presence: float) -> Track:
    """Give each head that is heard the talker whose voice it is nearest to, one to one: a bound for memories.

    Args:
        windows: of the session.
        voices: an embedding of each talker, [K, D], which only the truth gives; rows of NaN are of nobody.
        tau_presence: presence above which a head is heard.

    Returns:
        The track, whose slots are the talkers.
    """
    labels = np.full(windows.presence.shape, NOBODY)
    talkers = np.flatnonzero(np.isfinite(voices).all(1))
    for place in np.flatnonzero(windows.heard):
        heads = np.flatnonzero(windows.presence[place] > tau_presence)
        cosines = _unit(windows.embeddings[place, heads]) @ _unit(voices[talkers]).T
        for row, column in zip(*linear_sum_assignment(cosines, maximize=True), strict=True):
            labels[place, heads[row]] = talkers[column]
    return Track(labels, heard_so_far(labels))


def mean_voices(windows: Windows, names: np.ndarray, num_talkers: int) -> np.ndarray:
    """The mean of each talker's own heads over the session.

    Args:
        windows: of the session.
        names: the talker of each head, int [W, N].
        num_talkers: K.

    Returns:
        float [K, D], NaN for a talker without any head.
    """
    voices = np.full((num_talkers, windows.embeddings.shape[-1]), np.nan)
    for talker in range(num_talkers):
        if (names == talker).any():
            voices[talker] = windows.embeddings[names == talker].mean(0)
    return voices


def by_chance(windows: Windows, num_talkers: int, tau_presence: float, rng: np.random.Generator) -> Track:
    """Give the heads that are heard any talkers, one to one.

    Args:
        windows: of the session.
        num_talkers: K.
        tau_presence: presence above which a head is heard.
        rng: draws them.

    Returns:
        The track, whose slots are the talkers.
    """
    labels = np.full(windows.presence.shape, NOBODY)
    for place in np.flatnonzero(windows.heard):
        heads = np.flatnonzero(windows.presence[place] > tau_presence)[:num_talkers]
        labels[place, heads] = rng.permutation(num_talkers)[: len(heads)]
    return Track(labels, heard_so_far(labels))


def present(turns: Iterable[Iterable[tuple[float, float]]], starts: np.ndarray, size: int) -> np.ndarray:
    """Who speaks in each window: at least half a second of speech is yes, less than a tenth no, else it is not scored.

    Args:
        turns: of each of K talkers, first sample of each stretch and the one after its last.
        starts: first sample of each window, [W].
        size: samples of a window.

    Returns:
        int [W, K]: 1, 0 or -1.
    """
    columns = []
    for own in turns:
        spoken = np.zeros(len(starts))
        for first, end in own:
            spoken += (np.minimum(starts + size, end) - np.maximum(starts, first)).clip(min=0)
        spoken /= SAMPLE_RATE
        columns.append(np.select([spoken >= PRESENT_S, spoken < ABSENT_S], [1, 0], -1))
    return np.stack(columns, axis=1) if columns else np.zeros((len(starts), 0), dtype=int)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
