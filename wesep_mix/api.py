"""What a notebook or a program needs: load a model, hear the talkers of a recording, extract one of them.

model = wesep_mix.load("my_model")
talkers = model.candidates(wav, sample_rate)
speech = model.extract(wav, talkers[0], sample_rate)
each = model.extract(wav, talkers, sample_rate)
turns_of_each = model.turns(wav, each, sample_rate)
talkers_of_each = model.candidates([wav, another], sample_rate)
track = model.track(wav, sample_rate)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.inference.candidates import Talker, hear_all, talkers_of
from wesep_mix.inference.listening import embed_voice
from wesep_mix.inference.own_recordings import unit_vector
from wesep_mix.inference.sharing import extract_among
from wesep_mix.inference.streaming import Stream
from wesep_mix.inference.tracking import Account, Track, Tracker, follow
from wesep_mix.inference.turns import turns_of
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.io.recording import Recording, at_rate, from_samples
from wesep_mix.models.folder import Bundle, read_folder
from wesep_mix.models.shipped import find_model

if TYPE_CHECKING:
    from torch import Tensor

Wav = TypeVar("Wav", np.ndarray, "Tensor")


class Model:
    """Teacher, student and extractor that belong together.

    Attributes:
        bundle: the networks, and how they are used.
        device: where they are.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu"):
        self.bundle, self.device = bundle.to(device), device

    def candidates(
        self, wav: Wav | Recording | list[Wav | Recording], sample_rate: int = SAMPLE_RATE
    ) -> list[Talker] | list[list[Talker]]:
        """Find out who speaks.

        Args:
            wav: recording, float [T] or [channels, T] in [-1, 1], numpy or torch; or what `read_recording` gave; or a
                list of recordings of any lengths, whose windows go through the student together.
            sample_rate: its rate in Hz.

        Returns:
            The talkers, the one who was heard longest first; an empty list where nobody speaks. A list of such lists
            where `wav` is one.

        Raises:
            UserError: for a recording that is too short or not finite.
        """
        many = isinstance(wav, list)
        samples = [_recording(one, sample_rate).samples for one in (wav if many else [wav])]
        heard = hear_all(self.bundle.student, samples, self.bundle.use, self.device)
        talkers = [talkers_of(windows, self.bundle.use) for windows in heard]
        return talkers if many else talkers[0]

    def extract(
        self,
        wav: Wav | Recording,
        talker: Talker | Wav | list[Talker],
        sample_rate: int = SAMPLE_RATE,
        among: Sequence[Talker] | None = None,
    ) -> Wav | list[Wav]:
        """Extract talkers' speech, at the level that it has in the recording.

        Where the model's `use.shared` says so, all who were heard share the recording, so that all are extracted
        whoever is wanted: several in one call take less time than one by one.

        Args:
            wav: as for `candidates`.
            talker: one of the candidates, or an embedding [D]; or a list of them, who go through the extractor
                together.
            sample_rate: of the recording, in Hz.
            among: all who were heard, which `candidates` gave; None listens to the recording again where it matters.

        Returns:
            float32 [T] at the recording's rate; a torch tensor where the recording was one, else numpy. A list where
            `talker` is one.

        Raises:
            UserError: for a recording that is too short or not finite, or an embedding of another size.
        """
        recording, many = _recording(wav, sample_rate), isinstance(talker, list)
        embeddings = [self._embedding(one) for one in (talker if many else [talker])]
        if not embeddings:
            return []
        bundle = self.bundle
        if among is None:
            among = self.candidates(recording) if bundle.use.shared else ()
        found = extract_among(bundle.extractor, recording.samples, np.stack(embeddings), among, bundle.use, self.device)
        speech = [_as_given(at_rate(one, recording.sample_rate, recording.num_frames), wav) for one in found]
        return speech if many else speech[0]

    def turns(
        self, wav: Wav | Recording, speeches: Sequence[Wav], sample_rate: int = SAMPLE_RATE
    ) -> list[tuple[tuple[float, float], ...]]:
        """Find out when each talker speaks, by what was extracted of all of them.

        Args:
            wav: as for `candidates`.
            speeches: what `extract` gave for every candidate.
            sample_rate: rate of all of them in Hz.

        Returns:
            For each talker (begin, end) in seconds, in order and apart.

        Raises:
            UserError: for a recording that is too short or not finite, or speech that is not as long.
        """
        recording = _recording(wav, sample_rate)
        own = [_recording(one, recording.sample_rate) for one in speeches]
        if odd := [one.num_frames for one in own if one.num_frames != recording.num_frames]:
            raise UserError(f"turns: wanted speech of {recording.num_frames} samples as the recording, found {odd[0]}")
        return turns_of(recording.samples, [one.samples for one in own])

    def track(self, wav: Wav | Recording, sample_rate: int = SAMPLE_RATE) -> Track:
        """Find out who speaks when, window by window as if it came live (inference.tracking).

        Args:
            wav: as for `candidates`, of any length.
            sample_rate: its rate in Hz.

        Returns:
            The talkers with their turns of speech, which `extract` takes as well, and what happened.

        Raises:
            UserError: for a recording that is too short or not finite.
        """
        return follow(self.tracker(), Account(), _recording(wav, sample_rate).samples)

    def tracker(self) -> Tracker:
        """Follow talkers in samples as they come, at 16 kHz.

        Returns:
            What samples are pushed to; its `talkers()` gives the embeddings so far, which `extract` takes.
        """
        return Tracker(self.bundle.student, self.bundle.use, device=self.device)

    def stream(self, talker: Talker | Wav) -> LiveExtraction:
        """Extract one talker from samples as they come; the model's extractor must be causal.

        Args:
            talker: a candidate of an earlier stretch of the same recording, or an embedding [D].

        Returns:
            What samples are pushed to.

        Raises:
            UserError: when the extractor needs all of a recording, or for an embedding of another size.
        """
        return LiveExtraction(self.bundle.extractor, self._embedding(talker), self.device)

    def _embedding(self, talker: Talker | Wav) -> np.ndarray:
        return unit_vector(talker.embedding if isinstance(talker, Talker) else talker, self.bundle, "talker")

    def embed(self, wav: Wav | Recording, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
        """The teacher's embedding of a recording of one talker, an enrolment.

        Args:
            wav: as for `candidates`.
            sample_rate: its rate in Hz.

        Returns:
            Unit vector, float32 [D].

        Raises:
            UserError: for a recording that is too short or not finite.
        """
        return embed_voice(self.bundle.teacher, _recording(wav, sample_rate).samples, self.device)


class LiveExtraction:
    """One talker's speech out of samples that come bit by bit, at 16 kHz.

    Attributes:
        latency_ms: how long after a sample its output can come, at most; the time to compute it is not in this.
    """

    def __init__(self, extractor: Any, embedding: np.ndarray, device: str):
        import torch

        self._stream = Stream(extractor, torch.from_numpy(embedding)[None].to(device))
        self._device, self.latency_ms = device, self._stream.latency_ms

    def push(self, wav: Wav) -> Wav:
        """Go on with the next samples.

        Args:
            wav: float [any number], numpy or torch.

        Returns:
            Samples of the talker that are ready, float32 [any number], numpy or torch as they came.

        Raises:
            UserError: for another shape, samples that are not finite, or after `finish`.
        """
        import torch

        given = torch.as_tensor(np.asarray(wav, dtype=np.float32)).to(self._device)
        return _as_given(self._stream.push(given).cpu().numpy(), wav)

    def finish(self) -> np.ndarray:
        """The rest, float32 [any number]; now as many samples have come out as went in."""
        return self._stream.finish().cpu().numpy()


def load(model: str | Path, device: str = "cpu") -> Model:
    """Load a model.

    Args:
        model: a model's folder, or the name of one that came with the package.
        device: where its networks compute, as torch names it.

    Returns:
        The model.

    Raises:
        UserError: when there is no such model, or its folder is damaged.
    """
    return Model(read_folder(find_model(model)), device)


def _as_given(samples: np.ndarray, wav: Wav | Recording) -> Wav:
    """Samples as a torch tensor where `wav` is one."""
    if isinstance(wav, (np.ndarray, Recording)):
        return samples
    import torch

    return torch.from_numpy(samples)


def _recording(wav: Wav | Recording, sample_rate: int) -> Recording:
    return wav if isinstance(wav, Recording) else from_samples(np.asarray(wav), sample_rate)
