"""What a notebook or a program needs: load a model, hear the talkers of a recording, extract one of them.

model = wesep_mix.load("my_model")
talkers = model.candidates(wav, sample_rate)
speech = model.extract(wav, talkers[0], sample_rate)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from wesep_mix.inference.candidates import Talker, find_talkers
from wesep_mix.inference.listening import embed_voice, extract_talker
from wesep_mix.inference.own_recordings import unit_vector
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

    def candidates(self, wav: Wav | Recording, sample_rate: int = SAMPLE_RATE) -> list[Talker]:
        """Find out who speaks.

        Args:
            wav: recording, float [T] or [channels, T] in [-1, 1], numpy or torch; or what `read_recording` gave.
            sample_rate: its rate in Hz.

        Returns:
            The talkers, the one who was heard longest first; an empty list where nobody speaks.

        Raises:
            UserError: for a recording that is too short or not finite.
        """
        return find_talkers(self.bundle.student, _recording(wav, sample_rate).samples, self.bundle.use, self.device)

    def extract(self, wav: Wav | Recording, talker: Talker | Wav, sample_rate: int = SAMPLE_RATE) -> Wav:
        """Extract one talker's speech, at the level that it has in the recording.

        Args:
            wav: as for `candidates`.
            talker: one of the candidates, or an embedding [D].
            sample_rate: of the recording, in Hz.

        Returns:
            float32 [T] at the recording's rate; a torch tensor where the recording was one, else numpy.

        Raises:
            UserError: for a recording that is too short or not finite, or an embedding of another size.
        """
        recording = _recording(wav, sample_rate)
        embedding = unit_vector(talker.embedding if isinstance(talker, Talker) else talker, self.bundle, "talker")
        speech = extract_talker(self.bundle.extractor, recording.samples, embedding, self.bundle.use, self.device)
        found = at_rate(speech, recording.sample_rate, recording.num_frames)
        if isinstance(wav, (np.ndarray, Recording)):
            return found
        import torch

        return torch.from_numpy(found)

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


def _recording(wav: Wav | Recording, sample_rate: int) -> Recording:
    return wav if isinstance(wav, Recording) else from_samples(np.asarray(wav), sample_rate)
