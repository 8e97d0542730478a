"""Who speaks when: speech activity of a mixture's sources, from that of the clean utterances (stage 1's lists)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.mixing.plan import Plan, Source
from wesep_mix.mixing.session import Session
from wesep_mix.preparation.activity import Stretch, closed
from wesep_mix.preparation.lists import UTTERANCES, SpeechEntry, read_speech

MAX_PAUSE_S, MIN_TURN_S = 0.3, 0.2  # of a talker's turns in a reference of diarisation


class Activity:
    """Where the utterances of a set are speech, by utterance.

    Args:
        speech: the set's utterances.
        where: the list's name, for errors.

    Raises:
        UserError: the list is of an older revision, which did not say.
    """

    def __init__(self, speech: Iterable[SpeechEntry], where: str = UTTERANCES):
        self.where = where
        self.speech = {entry.utt: np.array(entry.speech, dtype=np.int64).reshape(-1, 2) for entry in speech}
        if self.speech and not any(map(len, self.speech.values())):
            raise UserError(f"{where}: does not say where utterances are speech; redo stage 1 with --force true")

    def stretches(self, plan: Plan | Session) -> list[tuple[Stretch, ...]]:
        """Where each source of a mixture speaks.

        Args:
            plan: of the mixture, or of a session, each of whose turns is a source.

        Returns:
            For each source, first sample in the mixture of each stretch, and the one after its last, in order.

        Raises:
            UserError: an utterance is not in the set.
        """
        return [tuple(map(tuple, self._of(source).tolist())) for source in plan.sources]

    def frames(self, plan: Plan, hop_s: float) -> np.ndarray:
        """Which frames of a mixture are speech of each source: those of which more than half is.

        Args:
            plan: of the mixture.
            hop_s: length of a frame, and from one to the next, in seconds.

        Returns:
            bool [S, L], L frames from the mixture's first sample to its last, which the last frame may exceed.

        Raises:
            UserError: an utterance is not in the set.
        """
        hop = hop_s * SAMPLE_RATE
        edges = hop * np.arange(np.ceil(plan.num_samples / hop) + 1)
        return np.stack([np.diff(_spoken_before(edges, self._of(source))) > hop / 2 for source in plan.sources])

    def turns(self, session: Session) -> dict[str, list[Stretch]]:
        """When each talker of a session speaks, as references of diarisation have it.

        Pauses of less than 0.3 s are closed, and stretches of less than 0.2 s left out.

        Args:
            session: the session.

        Returns:
            {talker: first sample of each stretch, and the one after its last, in order}.

        Raises:
            UserError: an utterance is not in the set.
        """
        spoken: dict[str, list[Stretch]] = {talker: [] for talker in session.talkers}
        for source, stretches in zip(session.sources, self.stretches(session), strict=True):
            spoken[source.spk] += stretches
        gap, least = round(MAX_PAUSE_S * SAMPLE_RATE), round(MIN_TURN_S * SAMPLE_RATE)
        return {
            talker: [(first, end) for first, end in closed(sorted(own), gap) if end - first >= least]
            for talker, own in spoken.items()
        }

    def _of(self, source: Source) -> np.ndarray:
        """Stretches of a source in its mixture: int64 [K, 2]."""
        if source.utt not in self.speech:
            raise UserError(f"{self.where}: wanted utterance {source.utt} of a mixture, found no such line")
        cut = self.speech[source.utt].clip(source.start, source.start + source.num_read)
        cut = cut[cut[:, 0] < cut[:, 1]] - source.start
        return (cut if source.speed == 1 else np.rint(cut / source.speed).astype(np.int64)) + source.offset


def _spoken_before(places: np.ndarray, stretches: np.ndarray) -> np.ndarray:
    """Samples of speech before each place."""
    if not len(stretches):
        return np.zeros(len(places))
    lengths = stretches[:, 1] - stretches[:, 0]
    total = np.stack([np.cumsum(lengths) - lengths, np.cumsum(lengths)], axis=1)
    return np.interp(places, stretches.ravel(), total.ravel())


def read_activity(folder: Path) -> Activity:
    """The activity of a prepared set.

    Args:
        folder: of the set, data/CORPUS/Nmix/SET.

    Returns:
        It.

    Raises:
        UserError: the list is damaged, or of an older revision.
    """
    return Activity(read_speech(folder), str(folder / UTTERANCES))
