"""The talkers of a recording: the student hears it window by window, and what it says is joined over the windows.

Of every window in which somebody speaks each head that says so gives an embedding. Two heads of one window are two
talkers; else embeddings are of one talker when they are near to each other (average linkage on cosines). A talker's
embedding is the mean of its windows'.

T samples, W windows, N heads, M embeddings, D embedding size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import expit, logit

from wesep_mix.inference.chunked import chunk_starts
from wesep_mix.inference.voice import is_speech
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.memory.offline import linked
from wesep_mix.models.folder import SureConfig, UseConfig

LEAST_WINDOWS = 2  # in which a talker of a long recording must have been heard
SEEN = 4  # windows in which a talker is heard often
LONG = 10  # windows, from which on a recording is long
BATCH = 4  # windows that go through the student together
BLOCK = 300  # windows that are joined at a time


@dataclass(frozen=True)
class Talker:
    """One talker that was heard in a recording.

    Attributes:
        number: from 1; the one who was heard longest is first, in tracking the one who was confirmed first.
        embedding: unit vector, float32 [D].
        confidence: probability that there is such a talker (`sure` of models.folder.UseConfig); None for a student
            without presence, and where it was not asked for (inference.tracking).
        share: of the windows with speech, those in which this talker was heard.
        spans: where that was, (begin, end) in seconds, in order and apart.
    """

    number: int
    embedding: np.ndarray
    confidence: float | None
    share: float
    spans: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        """How long all spans are together."""
        return sum(end - begin for begin, end in self.spans)


@dataclass(frozen=True)
class Heard:
    """One head's embedding of one window, float32 [D], its first sample, and the probability that it speaks for one."""

    start: int
    embedding: np.ndarray
    presence: float | None


@dataclass(frozen=True)
class Windows:
    """What the student said of a recording.

    Attributes:
        heard: every head of every window with speech, whatever its presence.
        num_spoken: windows with speech.
        size: samples of a window.
    """

    heard: list[Heard]
    num_spoken: int
    size: int


def find_talkers(
    student: torch.nn.Module,
    samples: np.ndarray,
    use: UseConfig,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Talker]:
    """Find out who speaks in a recording.

    Args:
        student: mixture -> set of embeddings.
        samples: float32 [T] at 16 kHz.
        use: windows and thresholds.
        device: where the student is.
        progress: called with the numbers of windows done and in all.

    Returns:
        The talkers, the one who was heard longest first; none where nobody speaks.
    """
    return talkers_of(hear_windows(student, samples, use, device, progress), use)


def hear_windows(
    student: torch.nn.Module,
    samples: np.ndarray,
    use: UseConfig,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Windows:
    """The first half of `find_talkers`, which no threshold of `use` has a part in: all that the heads say.

    Args:
        student: as for `find_talkers`.
        samples: likewise.
        use: likewise.
        device: likewise.
        progress: likewise.

    Returns:
        The windows.
    """
    return hear_all(student, [samples], use, device, progress)[0]


def hear_all(
    student: torch.nn.Module,
    recordings: Sequence[np.ndarray],
    use: UseConfig,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Windows]:
    """`hear_windows` of several recordings, whose windows go through the student together.

    Args:
        student: as for `find_talkers`.
        recordings: float32 [T] at 16 kHz each.
        use: windows.
        device: where the student is.
        progress: called with the numbers of windows done and in all.

    Returns:
        The windows of each.
    """
    cut = [_spoken(samples, use) for samples in recordings]
    by_size: dict[int, list[tuple[int, int]]] = {}  # windows of one length: (recording, first sample)
    for number, (size, starts) in enumerate(cut):
        by_size.setdefault(size, []).extend((number, start) for start in starts)
    heard: list[list[Heard]] = [[] for _ in recordings]
    total, done = sum(map(len, by_size.values())), 0
    for size, windows in by_size.items():
        for number, found in _heard(student, recordings, windows, size, device):
            heard[number] += found
            done += 1
            if progress is not None:
                progress(done, total)
    return [Windows(own, len(starts), size) for own, (size, starts) in zip(heard, cut, strict=True)]


def _spoken(samples: np.ndarray, use: UseConfig) -> tuple[int, list[int]]:
    """The length of a recording's windows, and where those begin in which somebody speaks."""
    size = min(round(use.window_s * SAMPLE_RATE), len(samples))
    starts = chunk_starts(len(samples), size, size - round(use.hop_s * SAMPLE_RATE), 1)
    return size, [start for start in starts if is_speech(samples[start : start + size])]


def talkers_of(windows: Windows, use: UseConfig) -> list[Talker]:
    """The second half of `find_talkers`: heads that speak for a talker, joined over the windows.

    Args:
        windows: of the recording.
        use: thresholds.

    Returns:
        As `find_talkers`.
    """
    groups = grouped(windows, use)
    sure = confidences(evidence(groups, windows), use.sure) if groups and groups[0][0].presence is not None else None
    kept = [place for place in range(len(groups)) if sure is None or sure[place] >= use.least]
    return [
        _talker(number, groups[place], windows, None if sure is None else float(sure[place]))
        for number, place in enumerate(kept, start=1)
    ]


def grouped(windows: Windows, use: UseConfig) -> list[list[Heard]]:
    """What is of one talker, however sure that is.

    Args:
        windows: of the recording.
        use: thresholds.

    Returns:
        The heads of each candidate, who was heard longest first.
    """
    heard = [one for one in windows.heard if one.presence is None or one.presence >= use.presence]
    labels = joined([one.embedding for one in heard], [one.start for one in heard], use.join)
    groups = [
        [one for one, label in zip(heard, labels, strict=True) if label == group] for group in sorted(set(labels))
    ]
    least = LEAST_WINDOWS if windows.num_spoken >= LONG else 1
    groups = [group for group in groups if len(group) >= least]
    return sorted(
        groups, key=lambda group: (-len(group), -np.mean([one.presence or 0 for one in group]), group[0].start)
    )


def means_of(groups: Sequence[Sequence[Heard]]) -> np.ndarray:
    """The mean embedding of each candidate's heads, float32 [candidates, D]; no unit vectors."""
    return np.stack([np.mean([one.embedding for one in group], axis=0) for group in groups])


def evidence(groups: Sequence[Sequence[Heard]], windows: Windows) -> np.ndarray:
    """What speaks for candidates, of a student with presence.

    Args:
        groups: the heads of each candidate.
        windows: of the recording.

    Returns:
        float [candidates, 4], the first four of models.folder.SureConfig in their order.
    """
    means = means_of(groups)
    lengths, sizes = np.linalg.norm(means, axis=1), np.array([len(group) for group in groups])
    unity = np.where(sizes > 1, (sizes * lengths**2 - 1) / np.maximum(sizes - 1, 1), 0)  # mean of n (n - 1) cosines
    units = means / lengths[:, None]
    cosines = units @ units.T
    np.fill_diagonal(cosines, -np.inf)
    near = cosines.max(axis=1) if len(groups) > 1 else np.zeros(1)
    seen = [len({one.start for one in group}) / min(windows.num_spoken, SEEN) for group in groups]
    presence = [presence_logit([one.presence for one in group]) for group in groups]
    return np.stack([presence, np.minimum(seen, 1), unity, near], axis=1)


def confidences(evidence: np.ndarray, sure: SureConfig) -> np.ndarray:
    """How sure candidates are: `evidence` [candidates, 4] -> probabilities [candidates]."""
    return expit(evidence @ np.array([sure.presence, sure.seen, sure.unity, sure.near]) + sure.offset)


@torch.inference_mode()
def heads_of(student: torch.nn.Module, windows: torch.Tensor, device: str) -> tuple[np.ndarray, np.ndarray | None]:
    """What a student's heads say.

    Args:
        student: mixture -> set of embeddings.
        windows: float32 [B, T] at 16 kHz.
        device: where the student is.

    Returns:
        Unit vectors, float32 [B, N, D], and the probabilities that a head speaks for a talker, float32 [B, N]; None
        for a student without presence.
    """
    found = student(windows.to(device))
    presence = None if found.presence is None else found.presence.float().sigmoid().cpu().numpy()
    return found.embeddings.float().cpu().numpy(), presence


def joined(embeddings: Sequence[np.ndarray], windows: Sequence[int], join: float) -> list[int]:
    """Which embeddings are of one talker.

    Of a long recording, stretches of `BLOCK` windows are joined first, and then the talkers of these, so that memory
    grows with the number of windows and not with its square.

    Args:
        embeddings: M unit vectors [D].
        windows: the window of each; two of one window are two talkers.
        join: least mean cosine of the embeddings of a talker.

    Returns:
        A number for each embedding, the same for those of one talker.
    """
    place = np.unique(np.asarray(windows), return_inverse=True)[1] if len(windows) else np.zeros(0, dtype=int)
    if len(embeddings) == 0 or place.max() < BLOCK:
        return linked(np.asarray(embeddings), place[:, None] == place, join)
    stacked, block = np.stack(embeddings), place // BLOCK
    groups: list[np.ndarray] = []  # of each stretch's talkers, which embeddings are theirs
    for one in range(block.max() + 1):
        own = np.flatnonzero(block == one)
        labels = np.array(linked(stacked[own], place[own][:, None] == place[own], join))
        groups += [own[labels == label] for label in np.unique(labels)]
    means = np.stack([stacked[group].mean(0) for group in groups])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    heard = [set(place[group].tolist()) for group in groups]
    apart = np.array([[not one.isdisjoint(other) for other in heard] for one in heard])
    found = np.zeros(len(embeddings), dtype=int)
    for group, label in zip(groups, linked(means, apart, join), strict=True):
        found[group] = label
    return found.tolist()


def _heard(
    student: torch.nn.Module,
    recordings: Sequence[np.ndarray],
    windows: Sequence[tuple[int, int]],
    size: int,
    device: str,
) -> Iterator[tuple[int, list[Heard]]]:
    """What the heads say of each window (recording, first sample), in order: (recording, heads)."""
    for first in range(0, len(windows), BATCH):
        group = windows[first : first + BATCH]
        cut = [np.asarray(recordings[number][start : start + size]) for number, start in group]
        embeddings, presence = heads_of(student, torch.from_numpy(np.stack(cut)), device)
        for row, (number, start) in enumerate(group):
            told = [None] * len(embeddings[row]) if presence is None else presence[row].tolist()
            pairs = zip(embeddings[row], told, strict=True)
            yield number, [Heard(start, embedding, sure) for embedding, sure in pairs]


def _talker(number: int, group: Sequence[Heard], windows: Windows, confidence: float | None) -> Talker:
    (mean,) = means_of([group])
    spans: list[tuple[float, float]] = []
    for start in sorted(one.start for one in group):
        begin, end = start / SAMPLE_RATE, (start + windows.size) / SAMPLE_RATE
        if spans and begin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    share = len({one.start for one in group}) / windows.num_spoken
    return Talker(number, (mean / np.linalg.norm(mean)).astype(np.float32), confidence, share, tuple(spans))


def presence_logit(presences: Sequence[float]) -> float:
    """The logit of the mean of probabilities, kept finite."""
    return float(logit(np.clip(np.mean(presences), 1e-6, 1 - 1e-6)))


def similarities(talkers: Sequence[Talker]) -> np.ndarray:
    """Cosines between all talkers: float32 [S, S]."""
    stacked = np.stack([talker.embedding for talker in talkers])
    return stacked @ stacked.T
