"""Extractor training: mixture and one talker's embedding -> that talker (arXiv 2604.03219, section on extractors).

The target is one of the sources, chosen at random, or each in turn; the condition is the student's embedding that is
matched to the teacher's embedding of that source (to the student's own for one trained without the teacher), or by
choice another (settings.CueConfig). They come from the frozen networks on the fly, so every mixture can be new,
or for static plans from stage 4. Differs by default: matched by the best assignment of all talkers, where the paper
takes the nearest embedding for each (conf/embeddings.yaml, `matching`).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from wesep_mix.base.errors import UserError
from wesep_mix.data.batch import MixBatch, chunk_length, starts, take
from wesep_mix.data.cues import choose
from wesep_mix.losses.signal import extraction_loss
from wesep_mix.mixing.plan import PLANS, read_plans
from wesep_mix.models import checkpoint
from wesep_mix.models.layers.network import check_weights, estimates, latency_ms
from wesep_mix.training.building import build_extractor
from wesep_mix.training.conditioning import Conditioning, Embed, stored_embeddings
from wesep_mix.training.loop import run
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.settings import ExtractorConfig


class ExtractorTraining(TrainingModule):
    """The configured loss on chunks or whole mixtures; with no conditioning the network is given no embedding.

    Raises: UserError when the loss does not have a weight for each of the extractor's estimates.
    """

    def __init__(self, settings: ExtractorConfig, extractor: nn.Module, conditioning: Conditioning | None):
        super().__init__(settings, extractor)
        check_weights(extractor, settings.loss.weights)
        self.conditioning = conditioning

    def loss(self, batch: MixBatch) -> Tensor:
        rows, chosen = self._targets(batch)  # [M] each: which mixtures, which of their sources
        mix, target, num_samples = batch.mix[rows], batch.sources[rows, chosen], batch.num_samples[rows]
        if self.settings.chunk_s > 0:
            length = chunk_length(batch, self.settings.chunk_s)
            places = self._chunk_starts(batch, rows, chosen, length)
            mix, target, num_samples = take(mix, places, length), take(target, places, length), None
        emb = None if self.conditioning is None else self.conditioning(batch)[rows, chosen]
        ests = estimates(self.model, mix, emb).float()  # decibels of bf16 would be coarse
        return extraction_loss(ests, target, self.settings.loss.name, self.settings.loss.weights, num_samples)

    def _targets(self, batch: MixBatch) -> tuple[Tensor, Tensor]:
        num_mixtures, num_spk = batch.sizes.shape
        rows = torch.arange(num_mixtures, device=self.device)
        if self.settings.targets == "random":
            return rows, choose(num_spk, batch.chance[:, 0])
        return rows.repeat_interleave(num_spk), torch.arange(num_spk, device=self.device).repeat(num_mixtures)

    def _chunk_starts(self, batch: MixBatch, rows: Tensor, chosen: Tensor, length: int) -> Tensor:
        """Chunks that hold at least half a chunk of the target: [M]."""
        offsets, sizes = batch.offsets[rows, chosen], batch.sizes[rows, chosen]
        first = (offsets - length // 2).clamp(min=0)
        last = torch.minimum(offsets + sizes - length // 2, batch.num_samples[rows] - length).clamp(min=0)
        first = torch.minimum(first, last)
        return starts(first, last, batch.chance[rows, 1])


def train_extractor(
    settings: ExtractorConfig,
    data: Path,
    teacher_path: Path,
    student_path: Path,
    out: Path,
    num_spk: int,
    embedding: str,
    ngpu: int,
    embeddings: Path | None = None,
    matching: str = "assignment",
) -> None:
    """Train on mixtures of `data/train`; the best epoch has the lowest loss on `data/dev`.

    embedding: `matched`, one for each mixture's target, or `none` for the same network without one; embeddings: the
    folder of stage 4, needed for those from ark; matching: which of the student's embeddings is whose, on the fly
    (matching.assignment), as arks have it from stage 4.
    Raises: UserError when the student has not one head a talker, or an embedding is missing.
    """
    student = None if embedding == "none" else _load_student(student_path, num_spk)
    settings = settings.without_embedding() if student is None else settings
    torch.manual_seed(settings.seed)
    extractor, conditioning, drawn = build_extractor(settings, student), None, None
    if student is not None:
        teacher = checkpoint.load_model(teacher_path, "teachers")
        conditioning = Conditioning(teacher, student, _stored(settings, data, embeddings), matching)
        drawn = settings.cue.probabilities if settings.cue.predicted < 1 else None
    module = ExtractorTraining(settings, extractor, conditioning)
    if (latency := latency_ms(extractor)) is not None:
        print(f"extractor {extractor.config.name}, {embedding}: algorithmic latency {latency:.1f} ms", flush=True)
    run(module, "extractors", data, num_spk, out, ngpu, probabilities=drawn, targets=settings.targets)


def _load_student(path: Path, num_spk: int) -> nn.Module:
    student = checkpoint.load_model(path, "students")
    if student.config.num_spk != num_spk:
        raise UserError(
            f"{path}: an extractor for {num_spk} talkers wanted a student with as many heads, found "
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
