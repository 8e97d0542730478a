"""What a student learns from: the frozen teacher's embeddings of the clean sources, or who speaks (arXiv 2604.03219,
section on the student; Table 1, with and without teacher supervision).

Student training: mixture -> set of embeddings (arXiv 2604.03219, section on the student).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from wesep_mix.data.batch import MixBatch, chunk_length, starts, take
from wesep_mix.losses.arcface import ArcFace
from wesep_mix.matching.assignment import cosine_costs, match, set_loss
from wesep_mix.matching.speaker_set import OwnReference, SpeakerSet
from wesep_mix.models import checkpoint
from wesep_mix.preparation.lists import read_speech
from wesep_mix.training.building import build_student, check_talkers
from wesep_mix.training.conditioning import TeacherReferences
from wesep_mix.training.loop import run
from wesep_mix.training.module import TrainingModule, VerifiedTraining
from wesep_mix.training.settings import StudentConfig


class SetTraining(TrainingModule):
    """Mixtures -> sets of embeddings under the best assignment; subclasses say what a head costs for a talker."""

    def costs(self, embeddings: Tensor, batch: MixBatch) -> Tensor:
        """[B, N, D] -> [B, N, S]."""
        raise NotImplementedError

    def loss(self, batch: MixBatch) -> Tensor:
        mix, num_samples = batch.mix, batch.num_samples
        if self.settings.chunk_s > 0:
            length = chunk_length(batch, self.settings.chunk_s)
            mix, num_samples = take(mix, stretch_starts(batch, length), length), None
        return self.loss_of(self.model(mix, num_samples), batch)

    def loss_of(self, found: SpeakerSet, batch: MixBatch) -> Tensor:
        costs = self.costs(found.embeddings, batch)
        return set_loss(costs, batch.num_spk, found.presence, self.settings.presence_weight)

    def validation_step(self, batch: MixBatch, batch_index: int) -> None:
        found = self.model(batch.mix, batch.num_samples)
        self.validate(found, batch)
        if found.presence is not None:
            right = (found.num_spk() == batch.num_spk).float().mean()
            self.log("dev/count_acc", right, batch_size=len(batch.plans))

    def validate(self, found: SpeakerSet, batch: MixBatch) -> None:
        raise NotImplementedError


def stretch_starts(batch: MixBatch, length: int) -> Tensor:
    """Where chunks of `length` samples begin: anywhere, moved by as little as lets a third of them be every talker's.

    Of mixtures of three or more a chunk could else miss one, or hold a syllable of one, whom the student would yet have
    to name and count. Where talkers are too far apart for that, the first and the last get the same. Returns: [B].
    """
    anywhere = starts(0, batch.num_samples - length, batch.chance[:, 1])
    least = batch.sizes.clamp(max=length // 3)  # [B, S]
    first = (batch.offsets + least).amax(1) - length
    latest = batch.offsets + batch.sizes - least
    last = latest.masked_fill(~batch.talkers(), batch.mix.shape[1]).amin(1)
    middle = (first + last).div(2, rounding_mode="floor")
    return torch.where(first <= last, torch.minimum(torch.maximum(anywhere, first), last), middle)


class StudentTraining(SetTraining):
    """1 - cosine to the teacher's; the teacher is no part of the module, so checkpoints do not carry it."""

    def __init__(self, settings: StudentConfig, student: nn.Module, teacher: nn.Module):
        super().__init__(settings, student)
        self.references = TeacherReferences(teacher)

    def costs(self, embeddings: Tensor, batch: MixBatch) -> Tensor:
        return cosine_costs(embeddings, self.references(batch))

    def validate(self, found: SpeakerSet, batch: MixBatch) -> None:
        self.log("dev/loss", self.loss_of(found, batch), batch_size=len(batch.plans))


class LabelledStudentTraining(VerifiedTraining, SetTraining):
    """ArcFace on the speakers of the training set, permutation-invariant: each talker's loss is that of the head which
    the best assignment gives it. Our reading of the paper's 'without teacher supervision', which it does not define.

    Voices of the dev set are no classes, so the epoch is chosen by EER over the dev embeddings, each named by the
    match to the student's own embedding of the clean source.
    """

    def __init__(self, settings: StudentConfig, student: nn.Module, speakers: Sequence[str]):
        super().__init__(settings, student)
        self.classes = {speaker: place for place, speaker in enumerate(speakers)}
        arcface = settings.arcface
        self.arcface = ArcFace(
            student.config.embedding_dim, len(speakers), arcface.scale, arcface.margin, arcface.sub_centres
        )

    def costs(self, embeddings: Tensor, batch: MixBatch) -> Tensor:
        labels = [self.classes[source.spk] for plan in batch.plans for source in plan.sources]
        speakers = batch.by_talker(torch.tensor(labels, device=embeddings.device))  # [B, S]
        shape = (*embeddings.shape[:2], speakers.shape[1])  # B, N, S
        margin = self.settings.arcface.margin_at(self.global_step, self.settings.trainer.max_steps)
        return self.arcface.costs(embeddings[:, :, None], speakers[:, None].expand(shape), margin)

    def validate(self, found: SpeakerSet, batch: MixBatch) -> None:
        references = batch.by_talker(OwnReference(self.model)(*batch.clean()))  # [B, S, D]
        matched, got = match(found.embeddings, references, batch.num_spk)
        for plan, embeddings, there in zip(batch.plans, matched.float().cpu(), got.tolist(), strict=True):
            for source, embedding, one in zip(plan.sources, embeddings, there, strict=False):  # others have more
                if one:
                    self.hear(embedding, plan, source)


def train_student(settings: StudentConfig, data: Path, teacher_path: Path, out: Path, num_spk: int, ngpu: int) -> None:
    """Train on fresh mixtures of `data/train`; the best epoch has the lowest loss (labels: EER) on `data/dev`.

    Raises: UserError when student, teacher and mixtures do not fit each other.
    """
    check_talkers(settings, num_spk)
    teacher = checkpoint.load_model(teacher_path, "teachers")
    torch.manual_seed(settings.seed)
    student = build_student(settings, teacher, num_spk)
    module = _supervised(settings, student, teacher, data)
    run(module, "students", data, num_spk, out, ngpu, settings.min_talkers)


def _supervised(settings: StudentConfig, student: nn.Module, teacher: nn.Module, data: Path) -> SetTraining:
    if settings.supervision == "teacher":
        return StudentTraining(settings, student, teacher)
    return LabelledStudentTraining(settings, student, sorted({entry.spk for entry in read_speech(data / "train")}))
