"""Student training: mixture -> set of embeddings, matched to the frozen teacher's (arXiv 2604.03219, student)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wesep_mix import checkpoint, plugins
from wesep_mix.data.batch import MixBatch, take
from wesep_mix.errors import UserError
from wesep_mix.losses.set_matching import set_cosine_loss
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.references import TeacherReferences
from wesep_mix.training.run import run
from wesep_mix.training.settings import StudentConfig


class StudentTraining(TrainingModule):
    """Mixtures -> sets of embeddings; the teacher is no part of the module, so checkpoints do not carry it."""

    def __init__(self, settings: StudentConfig, student: nn.Module, teacher: nn.Module):
        super().__init__(student, settings.optim, settings.trainer)
        self.config = settings
        self.references = TeacherReferences(teacher)

    def loss(self, batch: MixBatch) -> Tensor:
        mix, num_samples = batch.mix, batch.num_samples
        if self.config.chunk_s > 0:
            length = min(round(self.config.chunk_s * 16000), int(num_samples.min()))
            starts = (batch.chance[:, 1] * (num_samples - length + 1)).long()
            mix, num_samples = take(mix, starts, length), None
        return set_cosine_loss(self.model(mix, num_samples), self.references(batch))

    def validation_step(self, batch: MixBatch, batch_index: int) -> None:
        loss = set_cosine_loss(self.model(batch.mix, batch.num_samples), self.references(batch))
        self.log("dev/loss", loss, batch_size=len(batch.plans))


def train_student(
    settings: StudentConfig, data: Path, teacher_path: Path, out: Path, num_spk: int, ngpu: int
) -> None:
    """Train on fresh mixtures of `data/train`; the best epoch has the lowest loss on `data/dev`."""
    teacher = checkpoint.load_model(teacher_path, "teachers")
    torch.manual_seed(settings.seed)
    module = StudentTraining(settings, build_student(settings, teacher, num_spk), teacher)
    run(module, "students", settings, data, num_spk, out, "dev/loss", ngpu)


def build_student(settings: StudentConfig, teacher: nn.Module, num_spk: int) -> nn.Module:
    """A student with the teacher's front-end (a trainable copy of it) and N heads, fresh or copies of the teacher's."""
    frontend = _finetuned(teacher.config.frontend, settings.finetuned_layers)
    given = dataclasses.replace(
        settings.model, frontend=frontend, embedding_dim=teacher.config.embedding_dim, num_spk=num_spk
    )
    student = plugins.build("students", given)
    student.frontend.load_state_dict(teacher.frontend.state_dict())
    if settings.heads_from_teacher:
        for head in student.heads:
            head.load_state_dict(teacher.head.state_dict())
    return student


def _finetuned(frontend: Any, num_layers: int | None) -> Any:
    """The front-end's config with that many fine-tuned layers. Raises: UserError when it has no such setting."""
    if num_layers is None:
        return frontend
    if not hasattr(frontend, "finetuned_layers"):
        raise UserError(f"student: finetuned_layers {num_layers}: the front-end {frontend.name} is trained as a whole, "
                        "wanted a pretrained one (ssl); leave finetuned_layers out")
    return dataclasses.replace(frontend, finetuned_layers=num_layers)
