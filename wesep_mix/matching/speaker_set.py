"""The set of speaker embeddings that a student gives for a mixture, and whose embeddings it is matched to.

The set: arXiv 2604.03219, section on the student. The reference is the teacher; but a student that was trained without
the teacher's supervision (arXiv 2604.03219, Table 1) has a space of its own, in which the teacher's embeddings mean
nothing. Its reference is itself: what it gives for a clean source alone.

B batch, T samples, N heads, D embedding size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class SpeakerSet(NamedTuple):
    """N embeddings of each mixture, in no order."""

    embeddings: Tensor  # [B, N, D], unit vectors
    presence: Tensor | None = None  # [B, N], logits of a head's speaking for a talker; None: all do

    def active(self) -> Tensor:
        """Heads that speak for a talker: those with a positive logit, or the one with the highest where none has; all
        of them without presence. bool [B, N].
        """
        if self.presence is None:
            return self.embeddings.new_ones(self.embeddings.shape[:2], dtype=torch.bool)
        first = functional.one_hot(self.presence.argmax(1), self.presence.shape[1]).bool()
        return (self.presence > 0) | first

    def num_spk(self) -> Tensor | None:
        """How many talkers were heard, at least one: int64 [B]; None without presence."""
        return None if self.presence is None else self.active().sum(1)


class OwnReference(nn.Module):
    """A student that is called like a teacher: speech of one talker -> one embedding, the mean over the heads.

    With presence each head counts by its probability of speaking for the talker.
    """

    def __init__(self, student: nn.Module):
        super().__init__()
        self.student = student

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Wav float [B, T] of one talker each, num_samples int64 [B] -> unit embeddings [B, D]."""
        found = self.student(wav, num_samples)
        embeddings = found.embeddings  # [B, N, D]
        if found.presence is not None:
            embeddings = embeddings * found.presence.sigmoid()[..., None]
        return functional.normalize(embeddings.mean(1), dim=-1)


def reference_network(student: nn.Module, teacher: nn.Module) -> nn.Module:
    """The network whose embeddings of clean sources tell which of the student's embeddings belongs to whom.

    Args:
        student: A student.
        teacher: The teacher that it was made with.

    Returns:
        The teacher, or the student as its own reference.
    """
    return teacher if student.config.references == "teacher" else OwnReference(student)
