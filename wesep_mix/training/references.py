"""The frozen teacher's embeddings of clean sources, computed once for every crop and kept."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wesep_mix.data.batch import MixBatch


class TeacherReferences:
    """batch -> [B, S, D]. A crop comes back in many mixtures, at other levels, which the teacher does not hear."""

    def __init__(self, teacher: nn.Module):
        self.teacher = teacher.eval().requires_grad_(False)
        self.known: dict[tuple[str, int], Tensor] = {}

    @torch.no_grad()
    def __call__(self, batch: MixBatch) -> Tensor:
        keys = [(source.utt, source.start) for plan in batch.plans for source in plan.sources]  # B * S
        places = {key: place for place, key in enumerate(keys) if key not in self.known}
        if places:
            rows = list(places.values())
            crops = batch.crops().flatten(0, 1)[rows]  # [missing, longest]
            embeddings = self.teacher.to(crops.device)(crops, batch.sizes.flatten()[rows])
            self.known.update(zip(places, embeddings.cpu(), strict=True))
        stacked = torch.stack([self.known[key] for key in keys]).to(batch.mix.device)
        return stacked.unflatten(0, batch.sizes.shape)  # [B, S, D]
