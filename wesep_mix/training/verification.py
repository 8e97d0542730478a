"""Validation of what cannot be classified: the dev set's voices are no classes of the training."""

from __future__ import annotations

import torch
from torch import Tensor

from wesep_mix.metrics.verification import equal_error_rate, unfair_groups
from wesep_mix.mixing.plan import Plan, Source
from wesep_mix.training.module import TrainingModule


class VerifiedTraining(TrainingModule):
    """The best epoch has the lowest equal error rate over the embeddings that validation told it of (`hear`)."""

    monitor = "dev/eer"

    def on_validation_epoch_start(self) -> None:
        self.heard: list[tuple[Tensor, str, str, str]] = []

    def hear(self, embedding: Tensor, plan: Plan, source: Source) -> None:
        """embedding: float [D] on the CPU, of that source of the plan."""
        self.heard.append((embedding, source.spk, plan.id, source.utt))

    def on_validation_epoch_end(self) -> None:
        embeddings, *names = zip(*self.heard, strict=True)
        self.log("dev/eer", equal_error_rate(torch.stack(embeddings).numpy(), names[0], unfair_groups(*names)))
