"""Extractor training: mixture and one talker's embedding -> that talker (arXiv 2604.03219, section on extractors).

The target is one of the sources, chosen at random, or each in turn. The network is given the student's embedding that
matches the teacher's embedding of that source (the student's own, for one trained without the teacher), or another cue
that the settings choose (settings.CueConfig). Embeddings come from the frozen networks on the fly, so every mixture can
be new; for static plans they can come from stage 4. What differs by default: matching is by the best assignment of all
talkers, where the paper takes the nearest embedding for each (conf/embeddings.yaml, `matching`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from wesep_mix.base.environment import ONE, Processes
from wesep_mix.base.errors import UserError
from wesep_mix.data.batch import MixBatch, chunk_length, starts, take
from wesep_mix.data.cues import choose
from wesep_mix.losses.signal import absence_loss, extraction_loss
from wesep_mix.mixing.plan import PLANS, read_plans
from wesep_mix.models import checkpoint
from wesep_mix.models.layers.network import check_weights, estimates, latency_ms
from wesep_mix.training.building import begin_with, build_extractor, check_min_talkers
from wesep_mix.training.conditioning import Conditioning, Embed, stored_embeddings
from wesep_mix.training.loop import TrainingMixtures, run
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.settings import ExtractorConfig
from wesep_mix.training.sharing import shared, speaking


class ExtractorTraining(TrainingModule):
    """The configured loss on chunks or whole mixtures.

    Args:
        settings: conf/extractor/NAME.yaml.
        extractor: what is trained.
        conditioning: gives the embeddings; None for a network without embedding.

    Raises:
        UserError: the loss does not have a weight for each of the extractor's estimates.
    """

    def __init__(self, settings: ExtractorConfig, extractor: nn.Module, conditioning: Conditioning | None):
        super().__init__(settings, extractor)
        check_weights(extractor, settings.loss.weights)
        self.conditioning = conditioning
        self.references = conditioning.references if conditioning else None

    def loss(self, batch: MixBatch) -> Tensor:
        rows, chosen = self._targets(batch)  # [M] each: which mixtures, which of their sources
        mix, target, num_samples = batch.mix[rows], batch.sources[rows, chosen], batch.num_samples[rows]
        if self.settings.chunk_s > 0:
            length = chunk_length(batch, self.settings.chunk_s)
            places = self._chunk_starts(batch, rows, chosen, length)
            if self.settings.loss.shared:  # all of a mixture hear the chunk of one of its talkers
                first = torch.searchsorted(rows, torch.arange(len(batch.plans), device=rows.device))
                places = places[first + choose(batch.num_spk, batch.chance[:, 0])][rows]
            mix, target, num_samples = take(mix, places, length), take(target, places, length), None
        emb = None if self.conditioning is None else self.conditioning(batch)[rows, chosen]
        where, whose = self._strangers(batch, rows, chosen)  # A examples of somebody who is not there
        if where:
            mix, emb = torch.cat([mix, mix[where]]), torch.cat([emb, emb[whose]])
        ests = estimates(self.model, mix, emb).float()  # decibels of bf16 would be coarse
        own, others = ests.split([len(rows), len(where)])
        loss = self._loss_of(own, target, mix[: len(own)], rows, num_samples)
        if not where:
            return loss
        lengths = None if num_samples is None else num_samples[where]
        absence = absence_loss(others, mix[where], self.settings.loss.weights, lengths)
        return (len(own) * loss + len(others) * absence) / len(ests)

    def _loss_of(self, ests: Tensor, target: Tensor, mix: Tensor, rows: Tensor, num_samples: Tensor | None) -> Tensor:
        """The loss of M estimates of talkers who are there: [M, K, T], [M, T], [M, T], their mixtures [M], lengths."""
        name, weights, part = self.settings.loss.name, self.settings.loss.weights, self.settings.loss.shared
        if not part:
            return extraction_loss(ests, target, name, weights, num_samples)
        heard = speaking(target, num_samples)
        ests, target, mix, rows = ests[heard], target[heard], mix[heard], rows[heard]
        num_samples = None if num_samples is None else num_samples[heard]
        alone, together = (
            extraction_loss(each, target, name, weights, num_samples)
            for each in (ests, shared(ests, mix, rows, name != "snr"))
        )
        return (1 - part) * alone + part * together

    def _targets(self, batch: MixBatch) -> tuple[Tensor, Tensor]:
        if self.settings.targets == "random":
            return torch.arange(len(batch.plans), device=self.device), choose(batch.num_spk, batch.chance[:, 0])
        return batch.talkers().nonzero(as_tuple=True)

    def _strangers(self, batch: MixBatch, rows: Tensor, chosen: Tensor) -> tuple[list[int], list[int]]:
        """Examples that are also given the embedding of somebody who is not in their mixture, and those whose it is.

        In training alone: the dev set's loss is that of talkers who are there.
        """
        where, whose = [], []
        if self.settings.absent and self.training and self.conditioning is not None:
            drawn = (batch.chance.sum(1) % 1 < self.settings.absent).tolist()  # independent of either number alone
            pairs = list(zip(rows.tolist(), chosen.tolist(), strict=True))
            names = [batch.plans[row].sources[place].spk for row, place in pairs]
            for row in (row for row, is_drawn in enumerate(drawn) if is_drawn):
                there = {source.spk for source in batch.plans[row].sources}
                first = next(example for example, (other, _) in enumerate(pairs) if other == row)
                in_turn = [*range(first, len(pairs)), *range(first)]
                stranger = next((example for example in in_turn if names[example] not in there), None)
                if stranger is not None:
                    where.append(first)
                    whose.append(stranger)
        return where, whose

    def _chunk_starts(self, batch: MixBatch, rows: Tensor, chosen: Tensor, length: int) -> Tensor:
        """Chunks with at least half a chunk of the target's speech: [M]."""
        offsets, sizes = batch.offsets[rows, chosen], batch.sizes[rows, chosen]
        first = (offsets - length // 2).clamp(min=0)
        last = torch.minimum(offsets + sizes - length // 2, batch.num_samples[rows] - length).clamp(min=0)
        first = torch.minimum(first, last)
        return starts(first, last, batch.chance[rows, 1])


@dataclass(frozen=True)
class EmbeddingSource:
    """Where the embeddings of an extractor's training come from.

    Attributes:
        teacher: model file.
        student: model file; not read where no cue is predicted.
        stored: folder of stage 4, for `embeddings: ark`.
        matching: which of the student's embeddings is whose (matching.assignment); those of stage 4 have it decided.
    """

    teacher: Path
    student: Path
    stored: Path | None = None
    matching: str = "assignment"


def train_extractor(
    settings: ExtractorConfig,
    data: Path,
    source: EmbeddingSource,
    condition: str,
    out: Path,
    num_spk: int,
    processes: Processes = ONE,
) -> None:
    """Train on mixtures of `data/train`. `trainer.keep` says which epoch is saved; the best has the lowest loss on
    `data/dev`.

    Args:
        settings: conf/extractor/NAME.yaml.
        data: prepared mixtures, data/CORPUS/Nmix.
        source: of the embeddings.
        condition: `matched`, with an embedding of each target, or `none`, the same network without.
        out: folder to write.
        num_spk: the largest number of talkers in a mixture.
        processes: where it is trained.

    Raises:
        UserError: the student has fewer heads than a mixture may have talkers, `min_talkers` is above `num_spk`, or an
            embedding is missing.
    """
    check_min_talkers(settings.min_talkers, num_spk, "extractor")
    settings = settings.without_embedding() if condition == "none" else settings
    conditioning, cues, embedder = None, None, None
    if condition != "none":
        teacher = checkpoint.load_model(source.teacher, "teachers")
        student = _load_student(source.student, num_spk) if settings.cue.predicted > 0 else None
        embedder = teacher if student is None else student
        conditioning = Conditioning(teacher, student, _stored(settings, data, source.stored), source.matching)
        cues = settings.cue.probabilities if settings.cue.predicted < 1 else None
    torch.manual_seed(settings.seed)  # after the other networks were read: to make them draws random numbers
    extractor = build_extractor(settings, embedder)
    if settings.init and embedder is not None:
        begin_with(extractor, Path(settings.init), "extractors")
    module = ExtractorTraining(settings, extractor, conditioning)
    if (latency := latency_ms(extractor)) is not None:
        print(f"extractor {extractor.config.name}, {condition}: algorithmic latency {latency:.1f} ms", flush=True)
    mixtures = TrainingMixtures(
        data, num_spk, settings.min_talkers, settings.talkers, cues=cues, targets=settings.targets
    )
    run(module, "extractors", mixtures, out, processes)


def _load_student(path: Path, num_spk: int) -> nn.Module:
    student = checkpoint.load_model(path, "students")
    if student.config.num_spk < num_spk:
        raise UserError(
            f"{path}: an extractor for {num_spk} talkers wanted a student with at least as many heads, found "
            f"{student.config.num_spk}; train one with --num_spk {num_spk}"
        )
    return student


def _stored(settings: ExtractorConfig, data: Path, folder: Path | None) -> dict[str, Embed] | None:
    if settings.embeddings != "ark":
        return None
    if folder is None:
        raise UserError(
            "embeddings: ark: wanted the folder that stage 4 wrote them to, found none; give --embeddings "
            "DIR, or set embeddings to on_the_fly"
        )
    plans = {name: read_plans(data / name / PLANS) for name in ("train", "dev")}
    return stored_embeddings(folder, plans, settings.cue.probabilities)
