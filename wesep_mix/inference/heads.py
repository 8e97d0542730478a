"""What a student's heads give for fixed mixtures of any number of talkers, and which of them speak for one.

It stays in memory; the arks of stage 4 do not have the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from wesep_mix.data.datasets import fixed_loader
from wesep_mix.matching.speaker_set import reference_network
from wesep_mix.mixing.plan import Plan


@dataclass(frozen=True)
class HeardSet:
    """A student's set for one mixture, beside its talkers. N heads, S talkers, D embedding size.

    Attributes:
        plan: the mixture.
        found: float32 [N, D].
        active: heads that speak for a talker, bool [N]; all of them for a student without presence.
        references: what each talker's embedding should be, float32 [S, D]: the teacher's of the clean source, or the
            student's own for one that was trained without the teacher.
    """

    plan: Plan
    found: np.ndarray
    active: np.ndarray
    references: np.ndarray


@torch.inference_mode()
def hear_sets(
    teacher: nn.Module, student: nn.Module, plans: Sequence[Plan], batch_size: int = 16, num_workers: int = 0
) -> list[HeardSet]:
    """Render mixtures and run the networks, on the device that these are on.

    Args:
        teacher: clean source -> embedding.
        student: mixture -> set of embeddings.
        plans: the mixtures.
        batch_size: of them.
        num_workers: processes that render, 0 for none.

    Returns:
        The sets, in the order of the plans.
    """
    device, judge = next(student.parameters()).device, reference_network(student, teacher)
    longest_first = sorted(plans, key=lambda plan: -plan.num_samples)  # little padding
    heard: dict[str, HeardSet] = {}
    for batch in fixed_loader(longest_first, batch_size, num_workers):
        batch = batch.to(device)
        references = batch.by_talker(judge(*batch.clean()))  # [B, S, D]
        found = student(batch.mix, batch.num_samples)
        arrays = (found.embeddings.float(), found.active(), references.float())
        for plan, *parts in zip(batch.plans, *(part.cpu().numpy() for part in arrays), strict=True):
            embeddings, active, of_talkers = parts
            heard[plan.id] = HeardSet(plan, embeddings, active, of_talkers[: len(plan.sources)])
    return [heard[plan.id] for plan in plans]
