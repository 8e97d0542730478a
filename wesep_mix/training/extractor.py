"""Extractor training: mixture and one talker's embedding -> that talker (arXiv 2604.03219, section on extractors).

The target is one of the sources, chosen at random, or each in turn; the condition is the student's embedding that is
matched to the teacher's embedding of that source (to the student's own for one trained without the teacher), or by
choice another (settings.ConditionConfig). They come from the frozen networks on the fly, so every mixture can be new,
or for static plans from stage 4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from wesep_mix import checkpoint, plugins
from wesep_mix.data.batch import MixBatch, take
from wesep_mix.errors import UserError
from wesep_mix.extractors.contract import estimates, num_estimates
from wesep_mix.losses.extraction import extraction_loss
from wesep_mix.mixing.plan import PLANS, read_plans
from wesep_mix.training.conditioning import Conditioning, Embed, stored_embeddings
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.run import run
from wesep_mix.training.settings import ExtractorConfig


class ExtractorTraining(TrainingModule):
    """The configured loss on chunks or whole mixtures; with no student the network is trained without an embedding.

    stored: see Conditioning.
    Raises: UserError when the loss does not have a weight for each of the extractor's estimates.
    """

    def __init__(
        self, settings: ExtractorConfig, extractor: nn.Module, teacher: nn.Module, student: nn.Module | None,
        stored: Mapping[str, Embed] | None = None,
    ):
        super().__init__(extractor, settings.optim, settings.trainer)
        self.config = settings
        wanted, found = num_estimates(extractor), list(settings.loss.weights)
        if len(found) != wanted:
            raise UserError(f"{extractor.config.name}: loss.weights: wanted {wanted} (one an estimate), found {found}")
        self.conditioning = None if student is None else Conditioning(teacher, student, stored)

    def loss(self, batch: MixBatch) -> Tensor:
        rows, chosen = self._targets(batch)  # [M] each: which mixtures, which of their sources
        mix, target, num_samples = batch.mix[rows], batch.sources[rows, chosen], batch.num_samples[rows]
        if self.config.chunk_s > 0:
            length = min(round(self.config.chunk_s * 16000), int(batch.num_samples.min()))
            starts = self._chunk_starts(batch, rows, chosen, length)
            mix, target, num_samples = take(mix, starts, length), take(target, starts, length), None
        emb = None if self.conditioning is None else self.conditioning(batch)[rows, chosen]
        ests = estimates(self.model, mix, emb).float()  # decibels of bf16 would be coarse
        return extraction_loss(ests, target, self.config.loss.name, self.config.loss.weights, num_samples)

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


def train_extractor(
    settings: ExtractorConfig, data: Path, teacher_path: Path, student_path: Path, out: Path, num_spk: int,
    embedding: str, ngpu: int, embeddings: Path | None = None,
) -> None:
    """Train on mixtures of `data/train`; the best epoch has the lowest loss on `data/dev`.

    embedding: `matched`, one for each mixture's target, or `none` for the same network without one; embeddings: the
    folder of stage 4, needed for those from ark.
    Raises: UserError when the student has not one head a talker, or an embedding is missing.
    """
    student = checkpoint.load_model(student_path, "students")
    if embedding != "none" and student.config.num_spk != num_spk:
        raise UserError(f"{student_path}: an extractor for {num_spk} talkers wanted a student with as many heads, "
                        f"found {student.config.num_spk}; train one with --num_spk {num_spk}")
    torch.manual_seed(settings.seed)
    extractor = build_extractor(settings, student, embedding)
    teacher = checkpoint.load_model(teacher_path, "teachers")
    if embedding == "none":
        module, drawn = ExtractorTraining(settings, extractor, teacher, None), None
    else:
        module = ExtractorTraining(settings, extractor, teacher, student, _stored(settings, data, embeddings))
        drawn = settings.condition.probabilities if settings.condition.predicted < 1 else None
    run(module, "extractors", settings, data, num_spk, out, "dev/loss", ngpu, probabilities=drawn)


def _stored(settings: ExtractorConfig, data: Path, folder: Path | None) -> dict[str, Embed] | None:
    if settings.embeddings != "ark":
        return None
    if folder is None:
        raise UserError("embeddings: ark: wanted the folder that stage 4 wrote them to, found none; give --embeddings "
                        "DIR, or set embeddings to on_the_fly")
    plans = {name: read_plans(data / name / PLANS) for name in ("train", "dev")}
    return stored_embeddings(folder, plans, settings.condition.probabilities)


def build_extractor(settings: ExtractorConfig, student: nn.Module, embedding: str) -> nn.Module:
    """An extractor for the student's embeddings, or without any."""
    fusion = "none" if embedding == "none" else settings.model.fusion
    given = dataclasses.replace(settings.model, embedding_dim=student.config.embedding_dim, fusion=fusion)
    return plugins.build("extractors", given)
