"""Talkers' speech where all who were heard share the recording: an extraction of each, then a Wiener filter.

An extractor knows one voice and takes what is like it; what is like another voice too it cannot know. With the
extractions of all candidates side by side each time and frequency goes to them by their power (models.layers.wiener),
as music's sources are refined behind a network. Not in arXiv 2604.03219.

T samples, S wanted talkers, J others, D embedding size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wesep_mix.inference.candidates import BATCH, Talker
from wesep_mix.inference.listening import extract_talkers
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.io.recording import empty_samples
from wesep_mix.models.folder import UseConfig
from wesep_mix.models.layers.wiener import HOP, WINDOW, shares, spectra_of

BLOCK = 240_000 // HOP * HOP  # samples that are filtered at a time, 15 s


@dataclass(frozen=True)
class Rival:
    """Another voice of the recording.

    Attributes:
        speech: its extraction, float32 [T].
        spans: where it was heard, (begin, end) in seconds; elsewhere it takes nothing.
    """

    speech: np.ndarray
    spans: Sequence[tuple[float, float]]

    def within(self, begin: int, end: int) -> np.ndarray:
        """Its samples from `begin` to `end`, float32 [end - begin], silent where it was not heard."""
        part = np.zeros(end - begin, dtype=np.float32)
        for span in self.spans:
            first, last = (min(max(round(edge * SAMPLE_RATE), begin), end) for edge in span)
            part[first - begin : last - begin] = self.speech[first:last]
        return part


def extract_among(
    extractor: torch.nn.Module,
    samples: np.ndarray,
    embeddings: np.ndarray,
    talkers: Sequence[Talker],
    use: UseConfig,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[np.ndarray]:
    """The speech of wanted talkers among all who were heard; each alone without `use.shared`.

    What comes out for one does not depend on who else is wanted.

    Args:
        extractor: mixture and embedding -> that talker.
        samples: float32 [T] at 16 kHz.
        embeddings: of the wanted talkers, unit vectors [S, D].
        talkers: all who were heard; the one who is the same voice as a wanted one (`same_voice`) is no rival.
        use: as for `listening.extract_talkers`, and thresholds.
        device: where the extractor is.
        progress: called with the numbers of chunks done and in all.

    Returns:
        float32 [T] at 16 kHz, S times.
    """
    wanted = list(np.asarray(embeddings, dtype=np.float32))
    vectors = [talker.embedding for talker in talkers] if use.shared else []
    places = []  # of the wanted ones among the vectors, of which none is there twice
    for one in wanted:
        equal = [place for place, other in enumerate(vectors) if np.array_equal(one, other)]
        places.append(equal[0] if equal else len(vectors))
        vectors += [] if equal else [one]
    speech = _extracted(extractor, samples, vectors, use, device, progress)
    if not use.shared:
        return [speech[place] for place in places]
    heard = [Rival(speech[place], talker.spans) for place, talker in enumerate(talkers)]
    found = []
    for one, place in zip(wanted, places, strict=True):
        same = same_voice(one, talkers, use)
        found.append(share(samples, speech[place], [rival for number, rival in enumerate(heard) if number != same]))
    return found


def _extracted(
    extractor: torch.nn.Module,
    samples: np.ndarray,
    vectors: Sequence[np.ndarray],
    use: UseConfig,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> list[np.ndarray]:
    """An extraction for each vector, a few at a time."""
    groups = [vectors[first : first + BATCH] for first in range(0, len(vectors), BATCH)]
    speech: list[np.ndarray] = []
    for number, group in enumerate(groups):

        def step(done: int, total: int, number: int = number) -> None:
            if progress is not None:
                progress(number * total + done, len(groups) * total)

        speech += extract_talkers(extractor, samples, np.stack(group), use, device, step)
    return speech


def same_voice(wanted: np.ndarray, talkers: Sequence[Talker], use: UseConfig) -> int | None:
    """The candidate that is the same voice as a wanted one.

    Args:
        wanted: unit vector [D].
        talkers: all who were heard.
        use: `like` is the least cosine of the same voice, `join` where that is not known.

    Returns:
        The place of the nearest; None where that is another voice.
    """
    cosines = [float(talker.embedding @ wanted) for talker in talkers]
    least = use.join if use.like is None else use.like
    return int(np.argmax(cosines)) if cosines and max(cosines) >= least else None


def share(mix: np.ndarray, speech: np.ndarray, rivals: Sequence[Rival]) -> np.ndarray:
    """What a talker gets of a recording beside others.

    It works block by block, whose output is that of the whole.

    Args:
        mix: the recording, float32 [T].
        speech: the talker's extraction [T], at the level that the talker has in it.
        rivals: the others.

    Returns:
        float32 [T].
    """
    shared = empty_samples(len(mix))  # a long recording need not fit into memory
    for first in range(0, len(mix), BLOCK):
        begin, end = max(0, first - WINDOW), min(len(mix), first + BLOCK + WINDOW)
        parts = [np.asarray(one[begin:end], dtype=np.float32) for one in (mix, speech)]
        parts += [rival.within(begin, end) for rival in rivals]
        own = _filtered(torch.from_numpy(np.stack(parts))).numpy()
        shared[first : first + BLOCK] = own[first - begin : first - begin + BLOCK]
    return shared


@torch.inference_mode()
def _filtered(parts: Tensor) -> Tensor:
    """Recording, talker and others, float32 [2 + J, t] -> the talker's share of the recording, [t]."""
    spectra = spectra_of(parts)
    mix, own = spectra[:1], spectra[1:]
    return shares(own[:1], own.abs().square().sum(0), own.sum(0), mix, parts.shape[1])[0]
