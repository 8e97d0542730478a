"""Separator training: mixture -> all of its talkers, in whatever order (Conv-TasNet's baseline of arXiv 2604.03219).

The same fresh mixtures as for an extractor; no embedding, no teacher and no student.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from wesep_mix.base.environment import ONE, Processes
from wesep_mix.data.batch import MixBatch, chunk_length, starts, take
from wesep_mix.losses.signal import upit_loss
from wesep_mix.training.building import build_separator
from wesep_mix.training.loop import TrainingMixtures, run
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.settings import SeparatorConfig


class SeparatorTraining(TrainingModule):
    """uPIT SI-SDR on chunks, or on whole mixtures."""

    def loss(self, batch: MixBatch) -> Tensor:
        mix, sources, num_samples = batch.mix, batch.sources, batch.num_samples
        if self.settings.chunk_s > 0:
            length = chunk_length(batch, self.settings.chunk_s)
            places = self._chunk_starts(batch, length)  # [B]
            sources = take(sources, places[:, None].expand(batch.sizes.shape), length)  # [B, S, length]
            mix, num_samples = take(mix, places, length), None
        return upit_loss(self.model(mix).float(), sources, num_samples)  # decibels in full precision

    def _chunk_starts(self, batch: MixBatch, length: int) -> Tensor:
        """Chunks with at least a quarter chunk of every talker's speech, where talkers lie close enough for it: [B].

        A talker who is silent in a chunk has no SI-SDR to learn from.
        """
        first = batch.offsets.amax(1) + length // 4 - length
        last = (batch.offsets + batch.sizes).amin(1) - length // 4
        first, last = torch.minimum(first, last), torch.maximum(first, last)  # crossed where talkers lie far apart
        room = batch.num_samples - length
        first, last = first.clamp(min=0).minimum(room), last.clamp(min=0).minimum(room)
        return starts(first, last, batch.chance[:, 1])


def train_separator(settings: SeparatorConfig, data: Path, out: Path, num_spk: int, processes: Processes = ONE) -> None:
    """Train on fresh mixtures of `data/train`. `trainer.keep` says which epoch is saved; the best has the lowest
    loss on `data/dev`.

    Args:
        settings: conf/separator/NAME.yaml.
        data: prepared mixtures, data/CORPUS/Nmix.
        out: folder to write.
        num_spk: talkers in a mixture, one output each.
        processes: where it is trained.
    """
    torch.manual_seed(settings.seed)
    module = SeparatorTraining(settings, build_separator(settings, num_spk))
    run(module, "separators", TrainingMixtures(data, num_spk), out, processes)
