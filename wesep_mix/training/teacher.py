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
from wesep_mix.training.outputs import resolved, write_config, write_model
from wesep_mix.training.run import run
from wesep_mix.training.settings import TeacherConfig


class TeacherTraining(TrainingModule):
    """Chunks of noisy speech -> speaker classes."""

    def __init__(self, settings: TeacherConfig, speakers: Sequence[str]):
        super().__init__(plugins.build("teachers", settings.model), settings.optim, settings.trainer)
        self.config = settings
        self.classes = {speaker: place for place, speaker in enumerate(speakers)}
        given = settings.arcface
        self.arcface = ArcFace(
            self.model.config.embedding_dim, len(speakers), given.scale, given.margin, given.sub_centres
        )

    def loss(self, batch: MixBatch) -> Tensor:
        length = min(round(self.config.chunk_s * 16000), batch.mix.shape[1])
        starts = (batch.chance[:, 1] * (batch.num_samples - length + 1)).long()
        embeddings = self.model(take(batch.mix, starts, length))
        labels = torch.tensor([self.classes[plan.sources[0].spk] for plan in batch.plans], device=self.device)
        return self.arcface(embeddings, labels, self._margin())

    def _margin(self) -> float:
        return self.config.arcface.margin_at(self.global_step, self.settings.max_steps)

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
    """Train on fresh noisy single speech of `data/train`; the best epoch has the lowest EER on `data/dev`.

    A teacher without trainable parameters, pretrained and frozen, is written as it is.
    """
    torch.manual_seed(settings.seed)
    speakers = sorted({entry.spk for entry in read_speech(data / "train")})
    module = TeacherTraining(settings, speakers)
    if not any(parameter.requires_grad for parameter in module.model.parameters()):
        print(f"teacher {module.model.config.name}: nothing to train, its weights are pretrained", flush=True)
        write_config(out, resolved(settings, module.model))
        write_model(out, "teachers", module.model, num_steps=0, num_trainable=0, num_bad_steps=0)
        return
    run(module, "teachers", settings, data, 1, out, "dev/eer", ngpu)
