"""The frozen teacher's embeddings of clean sources, computed once for every crop and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from wesep_mix.data.batch import MixBatch
from wesep_mix.errors import UserError
from wesep_mix.mixing.plan import Source

MOST = 500_000  # crops that are kept, about 0.8 GB of embeddings of 256 values
Crop = tuple[str, int, int]  # utterance, first sample, number of samples


class TeacherReferences:
    """batch -> [B, S, D], zeros past an item's talkers. A crop comes back in many mixtures, at other levels, which a
    teacher is not to hear; so what was said of it is kept, D values on the CPU each.

    teacher: any network with a teacher's call, such as students.own_reference.OwnReference; it is frozen, works in full
    precision whatever that of the training, and is shared by copies (a moving average of weights copies a training).
    Raises: UserError for a teacher that hears levels.
    """

    def __init__(self, teacher: nn.Module):
        frontend = getattr(teacher, "frontend", None)
        if getattr(getattr(frontend, "config", None), "increase_only", False):
            raise UserError("the teacher hears how loud a talker is, which is another in every mixture; set "
                            "model.frontend.increase_only to false in teacher.yaml")
        self.teacher = teacher.eval().requires_grad_(False)
        self.known: dict[Crop, Tensor] = {}

    def __deepcopy__(self, memo: dict) -> TeacherReferences:
        return self

    def __call__(self, batch: MixBatch) -> Tensor:
        sources = [source for plan in batch.plans for source in plan.sources]  # M
        return batch.by_talker(self.of(sources, batch.clean, batch.mix.device))  # [B, S, D]

    @torch.no_grad()
    def of(
        self, sources: Sequence[Source], speech: Callable[[], tuple[Tensor, Tensor]], device: torch.device
    ) -> Tensor:
        """M sources -> [M, D]. `speech` gives their crops [M, T] and sizes [M]; called only if there are new ones."""
        keys = [(source.utt, source.start, source.num_samples) for source in sources]
        places = {key: place for place, key in enumerate(keys) if key not in self.known}
        if places:
            self._learn(*speech(), list(places.values()), list(places))
        found = torch.stack([self.known[key] for key in keys]).to(device)
        while len(self.known) > MOST:  # the oldest go
            del self.known[next(iter(self.known))]
        return found

    def _learn(self, crops: Tensor, sizes: Tensor, rows: list[int], keys: list[Crop]) -> None:
        """Ask the teacher for these of the crops, all at once."""
        teacher = self.teacher.to(crops.device)
        with torch.inference_mode(), torch.autocast(crops.device.type, enabled=False):
            embeddings = teacher(crops[rows], sizes[rows]).cpu()
        self.known.update(zip(keys, embeddings, strict=True))
