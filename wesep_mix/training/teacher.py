"""Teacher training: noisy single speech, speaker classification with ArcFace (arXiv 2604.03219, teacher)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wesep_mix import plugins
from wesep_mix.data.batch import MixBatch, take
from wesep_mix.losses.arcface import ArcFace
from wesep_mix.metrics.verification import equal_error_rate, unfair_groups
from wesep_mix.mixing.lists import read_speech
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.run import run
from wesep_mix.training.settings import TeacherConfig


class TeacherTraining(TrainingModule):
    """Chunks of noisy speech -> speaker classes."""

    def __init__(self, settings: TeacherConfig, speakers: Sequence[str]):
        super().__init__(plugins.build("teachers", settings.model), settings.optim, settings.trainer)
        self.config = settings
        self.classes = {speaker: place for place, speaker in enumerate(speakers)}
        self.arcface = ArcFace(
            settings.model.embedding_dim, len(speakers), settings.arcface.scale, settings.arcface.margin
        )

    def loss(self, batch: MixBatch) -> Tensor:
        length = min(round(self.config.chunk_s * 16000), batch.mix.shape[1])
        starts = (batch.chance[:, 1] * (batch.num_samples - length + 1)).long()
        embeddings = self.model(take(batch.mix, starts, length))
        labels = torch.tensor([self.classes[plan.sources[0].spk] for plan in batch.plans], device=self.device)
        return self.arcface(embeddings, labels, self._margin())

    def _margin(self) -> float:
        warmup = self.config.arcface.margin_warmup * self.settings.max_steps
        return self.config.arcface.margin * min(1.0, self.global_step / max(warmup, 1.0))

    def on_validation_epoch_start(self) -> None:
        self.heard: list[tuple[Tensor, str, str, str]] = []

    def validation_step(self, batch: MixBatch, batch_index: int) -> None:
        embeddings = self.model(batch.mix, batch.num_samples).float().cpu()
        names = [(plan.sources[0].spk, plan.id, plan.sources[0].utt) for plan in batch.plans]
        self.heard += [(embedding, *name) for embedding, name in zip(embeddings, names, strict=True)]

    def on_validation_epoch_end(self) -> None:
        embeddings, *names = zip(*self.heard, strict=True)
        self.log("dev/eer", equal_error_rate(torch.stack(embeddings).numpy(), names[0], unfair_groups(*names)))


def train_teacher(settings: TeacherConfig, data: Path, out: Path, ngpu: int) -> None:
    """Train on fresh noisy single speech of `data/train`; the best epoch has the lowest EER on `data/dev`."""
    torch.manual_seed(settings.seed)
    speakers = sorted({entry.spk for entry in read_speech(data / "train")})
    module = TeacherTraining(settings, speakers)
    run(module, "teachers", settings, data, 1, out, "dev/eer", ngpu)
