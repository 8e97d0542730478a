"""The frozen teacher's embeddings of clean sources, computed once for every crop and kept.

The embeddings that an extractor is conditioned on in training: of frozen networks, or as stage 4 wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wesep_mix.base.errors import UserError
from wesep_mix.data.batch import MixBatch
from wesep_mix.data.cues import ENROLMENT, KINDS
from wesep_mix.io.embeddings import clean_scp, read_embeddings
from wesep_mix.matching.assignment import match
from wesep_mix.matching.speaker_set import reference_network
from wesep_mix.mixing.plan import Plan, Source, speaker_keys

MOST = 500_000  # crops that are kept, about 0.8 GB of embeddings of 256 values
Crop = tuple[str, int, int]  # utterance, first sample, number of samples


class TeacherReferences:
    """batch -> [B, S, D], zeros past an item's talkers. A crop comes back in many mixtures, at other levels, which a
    teacher is not to hear; so what was said of it is kept, D values on the CPU each.

    teacher: any network with a teacher's call, such as matching.speaker_set.OwnReference; it is frozen, works in full
    precision whatever that of the training, and is shared by copies (a moving average of weights copies a training).
    Raises: UserError for a teacher that hears levels.
    """

    def __init__(self, teacher: nn.Module):
        frontend = getattr(teacher, "frontend", None)
        if getattr(getattr(frontend, "config", None), "increase_only", False):
            raise UserError(
                "the teacher hears how loud a talker is, which is another in every mixture; set "
                "model.frontend.increase_only to false in teacher.yaml"
            )
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


Embed = Callable[[MixBatch], Tensor]  # batch -> [B, S, D]
SCPS = {  # which of stage 4's files, by a set's folder, has what kind of cue
    "predicted": lambda folder: folder / "matched.scp",
    "clean": clean_scp,
}


class Conditioning:
    """batch -> [B, S, D]: for every talker the embedding of the kind that was drawn (zeros for who is no target), or
    the predicted one where none was.

    In full precision whatever that of the training, as an extractor is given them in use. Not a part of the module that
    is trained, and shared by its copies.
    stored: what is taken from there instead of the networks, by kind; matching: one of matching.assignment.
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        stored: Mapping[str, Embed] | None = None,
        matching: str = "assignment",
    ):
        self.references = TeacherReferences(reference_network(student, teacher))
        matched = Matched(student, self.references, matching)
        self.embed = {"predicted": matched, "clean": self.references, "enrolment": self._enrolled, **(stored or {})}

    def __deepcopy__(self, memo: dict) -> Conditioning:
        return self

    @torch.no_grad()
    def __call__(self, batch: MixBatch) -> Tensor:
        with torch.autocast(batch.mix.device.type, enabled=False):
            if batch.cues is None:
                return self.embed["predicted"](batch)
            return self._by_kind(batch, batch.cues.kinds)

    def _by_kind(self, batch: MixBatch, kinds: Tensor) -> Tensor:
        """Only what some talker was given is computed."""
        chosen = None
        for place, kind in enumerate(KINDS):
            here = (kinds == place)[..., None]  # [B, S, 1]
            if here.any():
                found = self.embed[kind](batch)
                chosen = torch.where(here, found, torch.zeros_like(found) if chosen is None else chosen)
        return chosen

    def _enrolled(self, batch: MixBatch) -> Tensor:
        """The references' embeddings of the enrolments there are; else zeros."""
        drawn = batch.cues
        rows = self.references.of(drawn.enrolments, lambda: (drawn.wav, drawn.num_samples), batch.mix.device)  # [M, D]
        placed = rows.new_zeros(*drawn.kinds.shape, rows.shape[1])
        placed[drawn.kinds == ENROLMENT] = rows
        return placed


class Matched:
    """The frozen student's embeddings, each given to the talker whose reference it matches."""

    def __init__(self, student: nn.Module, references: TeacherReferences, criterion: str):
        self.student, self.references = student.eval().requires_grad_(False), references
        self.criterion = criterion

    def __call__(self, batch: MixBatch) -> Tensor:
        found = self.student.to(batch.mix.device)(batch.mix, batch.num_samples)
        return match(found.embeddings, self.references(batch), batch.num_spk, self.criterion)[0]


class Stored:
    """Embeddings by key, `<mix>-<speaker>`."""

    def __init__(self, table: Mapping[str, np.ndarray]):
        self.table = table

    def __call__(self, batch: MixBatch) -> Tensor:
        rows = np.stack([self.table[key] for plan in batch.plans for key in speaker_keys(plan)])  # [M, D]
        return batch.by_talker(torch.from_numpy(rows).to(batch.mix.device))


def stored_embeddings(
    folder: Path, plans: Mapping[str, Sequence[Plan]], probabilities: Mapping[str, float]
) -> dict[str, Stored]:
    """What stage 4 wrote to `folder` for the fixed plans of each set, of the kinds that are drawn at all.

    Raises: UserError naming a file that is missing or damaged, or the first embedding that is missing.
    """
    return {
        kind: Stored({key: vector for name in plans for key, vector in _read(scp(folder / name), plans[name]).items()})
        for kind, scp in SCPS.items()
        if probabilities[kind] > 0
    }


def _read(scp: Path, plans: Sequence[Plan]) -> dict[str, np.ndarray]:
    hint = "stage 4 makes it with --set embeddings.sets=[train,dev,test]"
    if not scp.is_file():
        raise UserError(f"{scp}: no such file; {hint}")
    table = read_embeddings(scp)
    for plan in plans:
        for key in speaker_keys(plan):
            if key not in table:
                raise UserError(
                    f"{scp}: wanted an embedding {key} of the set's plans, found {len(table)} others; "
                    f"{hint} and of the same --data"
                )
    return table
