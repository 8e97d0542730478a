"""The embeddings that trainings compare with or condition on: of frozen networks, or as stage 4 wrote them.

`TeacherReferences` embeds clean sources with the frozen teacher: the targets of a student. `Conditioning` gives an
extractor in training one embedding for every talker, of the kind of cue that was drawn (data.cues): the student's
(`Matched`), the teacher's, or one that stage 4 stored (`Stored`).

B mixtures, S talkers, M talkers of all mixtures together, D values of an embedding, T samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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

MAX_KEPT = 100_000  # crops whose embeddings are kept, also in checkpoints: about 0.1 GB at 256 values each
Crop = tuple[str, int, int, float]  # utterance, first sample, number of samples, speed
Embed = Callable[[MixBatch], Tensor]  # batch -> [B, S, D]
STORED = {  # the file of stage 4 that holds the embeddings of a kind of cue, by the folder of a set
    "predicted": lambda folder: folder / "matched.scp",
    "clean": clean_scp,
}


class TeacherReferences:
    """The frozen teacher's embeddings of clean sources: batch -> [B, S, D], zeros where a mixture has no talker.

    Each crop is embedded once: it comes back in many mixtures, at other levels, which must not change its embedding but
    for its last digits. So that a training which goes on gets the same digits, checkpoints hold the embeddings. The
    network works in full precision whatever that of the training. Copies of a training share the references (a
    moving average of weights copies a training).

    Args:
        teacher: a network with a teacher's forward, such as matching.speaker_set.OwnReference; it is frozen.

    Raises:
        UserError: the teacher's embeddings depend on the level.
    """

    def __init__(self, teacher: nn.Module):
        frontend = getattr(teacher, "frontend", None)
        if getattr(getattr(frontend, "config", None), "increase_only", False):
            raise UserError(
                "the teacher's embedding depends on how loud a talker is, which differs from mixture to mixture; set "
                "model.frontend.increase_only to false in teacher.yaml"
            )
        self.teacher = teacher.eval().requires_grad_(False)
        self.kept: dict[Crop, Tensor] = {}  # on the CPU

    def __deepcopy__(self, memo: dict) -> TeacherReferences:
        return self

    def __call__(self, batch: MixBatch) -> Tensor:
        sources = [source for plan in batch.plans for source in plan.sources]  # M
        return batch.by_talker(self.embed(sources, batch.clean, batch.mix.device))  # [B, S, D]

    @torch.no_grad()
    def embed(
        self, sources: Sequence[Source], load: Callable[[], tuple[Tensor, Tensor]], device: torch.device
    ) -> Tensor:
        """Embeddings of sources.

        Args:
            sources: M sources.
            load: gives their crops, float32 [M, T], and lengths, int64 [M]; called only if some crop is new.
            device: of the result.

        Returns:
            float32 [M, D].
        """
        keys = [(source.utt, source.start, source.num_samples, source.speed) for source in sources]
        rows = {key: row for row, key in enumerate(keys) if key not in self.kept}
        if rows:
            self._add(*load(), rows)
        found = torch.stack([self.kept[key] for key in keys]).to(device)
        while len(self.kept) > MAX_KEPT:  # the oldest go
            del self.kept[next(iter(self.kept))]
        return found

    def state_dict(self) -> dict[str, Any]:
        """The embeddings that are kept, oldest first, for a checkpoint."""
        utterances = list({utterance: None for utterance, *_ in self.kept})
        numbers = {utterance: number for number, utterance in enumerate(utterances)}
        crops = [(numbers[utterance], start, length) for utterance, start, length, _ in self.kept]
        return {
            "utterances": utterances,
            "crops": torch.tensor(crops, dtype=torch.long),
            "speeds": torch.tensor([speed for *_, speed in self.kept], dtype=torch.float64),
            "values": torch.stack(list(self.kept.values())) if self.kept else torch.empty(0, 0),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Keep the embeddings of a checkpoint."""
        utterances = state["utterances"]
        speeds = state.get("speeds", torch.ones(len(state["crops"])))  # older checkpoints have none
        rows = zip(state["crops"].tolist(), speeds.tolist(), state["values"], strict=True)
        self.kept = {(utterances[crop[0]], *crop[1:], speed): value for crop, speed, value in rows}

    def _add(self, crops: Tensor, sizes: Tensor, rows: Mapping[Crop, int]) -> None:
        """Embed the new crops, all at once."""
        chosen, teacher = list(rows.values()), self.teacher.to(crops.device)
        with torch.inference_mode(), torch.autocast(crops.device.type, enabled=False):
            embeddings = teacher(crops[chosen], sizes[chosen]).cpu()
        self.kept.update(zip(rows, embeddings, strict=True))


class Conditioning:
    """One embedding for every talker, batch -> [B, S, D]: of the kind of cue that was drawn, or predicted if none was.

    A talker who is no target has zeros. The networks work in full precision whatever that of the training, as they do
    in use. They are not a part of the module that is trained; copies of it share them.

    Args:
        teacher: for clean sources and enrolments; replaced by a student that was trained without it.
        student: for predicted embeddings; None where none are.
        stored: by kind of cue, embeddings that are read instead of computed.
        matching: which of the student's embeddings is whose (matching.assignment).
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module | None,
        stored: Mapping[str, Embed] | None = None,
        matching: str = "assignment",
    ):
        reference = teacher if student is None else reference_network(student, teacher)
        self.references = TeacherReferences(reference)
        self.embed = {"clean": self.references, "enrolment": self._enrolled, **(stored or {})}
        if student is not None:
            self.embed.setdefault("predicted", Matched(student, self.references, matching))

    def __deepcopy__(self, memo: dict) -> Conditioning:
        return self

    @torch.no_grad()
    def __call__(self, batch: MixBatch) -> Tensor:
        with torch.autocast(batch.mix.device.type, enabled=False):
            if batch.cues is None:
                return self.embed["predicted"](batch)
            return self._by_kind(batch, batch.cues.kinds)

    def _by_kind(self, batch: MixBatch, kinds: Tensor) -> Tensor:
        """Compute the kinds that were drawn for some talker, and no others."""
        chosen = None
        for place, kind in enumerate(KINDS):
            is_kind = (kinds == place)[..., None]  # [B, S, 1]
            if is_kind.any():
                found = self.embed[kind](batch)
                chosen = torch.where(is_kind, found, torch.zeros_like(found) if chosen is None else chosen)
        return chosen

    def _enrolled(self, batch: MixBatch) -> Tensor:
        """The references' embeddings of the enrolments, zeros for talkers without one: [B, S, D]."""
        cues = batch.cues
        rows = self.references.embed(cues.enrolments, lambda: (cues.wav, cues.num_samples), batch.mix.device)  # [M, D]
        placed = rows.new_zeros(*cues.kinds.shape, rows.shape[1])
        placed[cues.kinds == ENROLMENT] = rows
        return placed


class Matched:
    """The frozen student's embeddings, each given to the talker whose reference it matches: batch -> [B, S, D].

    Args:
        student: mixture -> set of embeddings; it is frozen.
        references: of the talkers' clean sources.
        criterion: one of matching.assignment.
    """

    def __init__(self, student: nn.Module, references: TeacherReferences, criterion: str):
        self.student, self.references = student.eval().requires_grad_(False), references
        self.criterion = criterion

    def __call__(self, batch: MixBatch) -> Tensor:
        found = self.student.to(batch.mix.device)(batch.mix, batch.num_samples)
        return match(found.embeddings, self.references(batch), batch.num_spk, self.criterion)[0]


class Stored:
    """Embeddings from a table with keys `<mix>-<speaker>`: batch -> [B, S, D]."""

    def __init__(self, table: Mapping[str, np.ndarray]):
        self.table = table

    def __call__(self, batch: MixBatch) -> Tensor:
        rows = np.stack([self.table[key] for plan in batch.plans for key in speaker_keys(plan)])  # [M, D]
        return batch.by_talker(torch.from_numpy(rows).to(batch.mix.device))


def stored_embeddings(
    folder: Path, plans: Mapping[str, Sequence[Plan]], probabilities: Mapping[str, float]
) -> dict[str, Stored]:
    """The embeddings that stage 4 wrote, for the kinds of cue that are drawn at all.

    Args:
        folder: of stage 4.
        plans: the fixed mixtures, by set.
        probabilities: of each kind of cue.

    Returns:
        {kind: embeddings of all sets}.

    Raises:
        UserError: a file is missing or damaged, or lacks an embedding.
    """
    return {
        kind: Stored({key: vector for name in plans for key, vector in _read(scp(folder / name), plans[name]).items()})
        for kind, scp in STORED.items()
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
