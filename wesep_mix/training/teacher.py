"""Teacher training: noisy single speech, speaker classification with ArcFace (arXiv 2604.03219, teacher)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wesep_mix.base import plugins
from wesep_mix.base.environment import ONE, Processes, rank
from wesep_mix.data.batch import MixBatch, chunk_length, starts, take
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.io.audio import SAMPLE_RATE, read_audio
from wesep_mix.losses.arcface import ArcFace
from wesep_mix.mixing.draw import Pool
from wesep_mix.preparation.lists import read_speech
from wesep_mix.training.loop import TrainingMixtures, resolved_settings, run, write_config, write_model
from wesep_mix.training.module import VerifiedTraining
from wesep_mix.training.settings import TeacherConfig

PER_SPEAKER = 3  # utterances of each that a teacher is centred on


class TeacherTraining(VerifiedTraining):
    """Chunks of noisy speech -> speaker classes."""

    def __init__(self, settings: TeacherConfig, speakers: Sequence[str]):
        super().__init__(settings, plugins.build("teachers", settings.model))
        self.classes = {speaker: place for place, speaker in enumerate(speakers)}
        arcface = settings.arcface
        self.arcface = ArcFace(
            self.model.config.embedding_dim, len(speakers), arcface.scale, arcface.margin, arcface.sub_centres
        )

    def loss(self, batch: MixBatch) -> Tensor:
        length = chunk_length(batch, self.settings.chunk_s)
        anywhere = starts(0, batch.num_samples - length, batch.chance[:, 1])
        embeddings = self.model(take(batch.mix, anywhere, length))
        labels = torch.tensor([self.classes[plan.sources[0].spk] for plan in batch.plans], device=self.device)
        return self.arcface(embeddings, labels, self._margin())

    def _margin(self) -> float:
        return self.settings.arcface.margin_at(self.global_step, self.settings.trainer.max_steps)

    def validation_step(self, batch: MixBatch, batch_index: int) -> None:
        embeddings = self.model(batch.mix, batch.num_samples).float().cpu()
        for embedding, plan in zip(embeddings, batch.plans, strict=True):
            self.collect(embedding, plan, plan.sources[0])


def train_teacher(settings: TeacherConfig, data: Path, out: Path, processes: Processes = ONE) -> None:
    """Train on fresh noisy single speech of `data/train`. `trainer.keep` says which epoch is saved; the best has the
    lowest EER on `data/dev`.

    A pretrained and frozen teacher has nothing to train: it is written as it is, centred on the speakers of
    `data/train` if it wants that.

    Args:
        settings: conf/teacher.yaml.
        data: prepared sets of single speech, data/CORPUS/single.
        out: folder to write.
        processes: where it is trained.
    """
    torch.manual_seed(settings.seed)
    speakers = sorted({entry.spk for entry in read_speech(data / "train")})
    module = TeacherTraining(settings, speakers)
    if not any(parameter.requires_grad for parameter in module.model.parameters()):
        print(f"teacher {module.model.config.name}: nothing to train, its weights are pretrained", flush=True)
        if getattr(module.model.config, "centred", False):
            module.model.centre_on(speaker_means(module.model, PreparedSet(data / "train").pool))
        if rank() == 0:
            write_config(out, resolved_settings(settings, module.model))
            write_model(out, "teachers", module.model, num_steps=0, num_trainable=0, num_bad_steps=0)
        return
    run(module, "teachers", TrainingMixtures(data, 1), out, processes)


@torch.inference_mode()
def speaker_means(teacher: nn.Module, pool: Pool) -> Tensor:
    """The mean embedding of each speaker, over the best crop of some of the speaker's utterances.

    Args:
        teacher: speech of one talker -> embedding.
        pool: utterances of S speakers.

    Returns:
        float32 [S, D], in the order of the speakers' names.
    """
    size, means = round(pool.config.segment_s * SAMPLE_RATE), []
    for speaker in pool.speakers:
        entries = sorted(pool.speech[speaker], key=lambda entry: entry.utt)[:PER_SPEAKER]
        crops = [read_audio(entry.path, entry.crops[0].start, size) for entry in entries]
        means.append(teacher(torch.from_numpy(np.stack(crops))).mean(0))
    return torch.stack(means)
