"""Extractor training: mixture and one talker's embedding -> that talker (arXiv 2604.03219, section on extractors).

The target is one of the sources, chosen at random, or each in turn; the condition is the student's embedding that is
matched to the teacher's embedding of that source. Both come from the frozen networks on the fly, so every mixture can
be new.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from wesep_mix import checkpoint, plugins
from wesep_mix.data.batch import MixBatch, take
from wesep_mix.errors import UserError
from wesep_mix.extractors.contract import estimates, num_estimates
from wesep_mix.losses.extraction import extraction_loss
from wesep_mix.losses.set_matching import match
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.references import TeacherReferences
from wesep_mix.training.run import run
from wesep_mix.training.settings import ExtractorConfig


class ExtractorTraining(TrainingModule):
    """The configured loss on chunks; with no student the network is trained without an embedding.

    Raises: UserError when the loss does not have a weight for each of the extractor's estimates.
    """

    def __init__(self, settings: ExtractorConfig, extractor: nn.Module, teacher: nn.Module, student: nn.Module | None):
        super().__init__(extractor, settings.optim, settings.trainer)
        self.config = settings
        wanted, found = num_estimates(extractor), list(settings.loss.weights)
        if len(found) != wanted:
            raise UserError(f"{extractor.config.name}: loss.weights: wanted {wanted} (one an estimate), found {found}")
        self.references = TeacherReferences(teacher)
        self.frozen = () if student is None else (student.eval().requires_grad_(False),)  # in a tuple: no submodule

    def loss(self, batch: MixBatch) -> Tensor:
        rows, chosen = self._targets(batch)  # [M] each: which mixtures, which of their sources
        length = min(round(self.config.chunk_s * 16000), int(batch.num_samples.min()))
        starts = self._chunk_starts(batch, rows, chosen, length)
        ests = estimates(self.model, take(batch.mix[rows], starts, length), self._condition(batch, rows, chosen))
        target = take(batch.sources[rows, chosen], starts, length)
        return extraction_loss(ests, target, self.config.loss.name, self.config.loss.weights)

    def validation_step(self, batch: MixBatch, batch_index: int) -> None:
        self.log("dev/loss", self.loss(batch), batch_size=len(batch.plans))

    def _targets(self, batch: MixBatch) -> tuple[Tensor, Tensor]:
        num_mixtures, num_spk = batch.sizes.shape
        rows = torch.arange(num_mixtures, device=self.device)
        if self.config.targets == "random":
            return rows, (batch.chance[:, 0] * num_spk).long()
        return rows.repeat_interleave(num_spk), torch.arange(num_spk, device=self.device).repeat(num_mixtures)

    def _chunk_starts(self, batch: MixBatch, rows: Tensor, chosen: Tensor, length: int) -> Tensor:
        """Chunks that hold at least half a chunk of the target: [M]."""
        offsets, sizes = batch.offsets[rows, chosen], batch.sizes[rows, chosen]
        first = (offsets - length // 2).clamp(min=0)
        last = torch.minimum(offsets + sizes - length // 2, batch.num_samples[rows] - length).clamp(min=0)
        first = torch.minimum(first, last)
        return first + (batch.chance[rows, 1] * (last - first + 1)).long()

    @torch.no_grad()
    def _condition(self, batch: MixBatch, rows: Tensor, chosen: Tensor) -> Tensor | None:
        if not self.frozen:
            return None
        student = self.frozen[0].to(self.device)
        return match(student(batch.mix, batch.num_samples), self.references(batch))[rows, chosen]  # [B, D]


def train_extractor(
    settings: ExtractorConfig, data: Path, teacher_path: Path, student_path: Path, out: Path, num_spk: int,
    embedding: str, ngpu: int,
) -> None:
    """Train on fresh mixtures of `data/train`; the best epoch has the lowest loss on `data/dev`.

    embedding: `matched`, or `none` for the same network without one.
    """
    student = checkpoint.load_model(student_path, "students")
    torch.manual_seed(settings.seed)
    extractor = build_extractor(settings, student, embedding)
    teacher = checkpoint.load_model(teacher_path, "teachers")
    module = ExtractorTraining(settings, extractor, teacher, None if embedding == "none" else student)
    run(module, "extractors", settings, data, num_spk, out, "dev/loss", ngpu)


def build_extractor(settings: ExtractorConfig, student: nn.Module, embedding: str) -> nn.Module:
    """An extractor for the student's embeddings, or without any."""
    fusion = "none" if embedding == "none" else settings.model.fusion
    given = dataclasses.replace(settings.model, embedding_dim=student.config.embedding_dim, fusion=fusion)
    return plugins.build("extractors", given)
