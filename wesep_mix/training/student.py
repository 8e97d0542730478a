"""Student training: mixture -> set of embeddings (arXiv 2604.03219, section on the student; Table 1, with and without
teacher supervision).

The loss of every batch: the student gives each mixture N embeddings, `costs` says what each of them would cost as the
embedding of each talker, and the best assignment (matching.assignment) says which talker gets which. The cost is
1 - cosine to the frozen teacher's embedding of the talker's clean source (`StudentTraining`).

Not in the paper: `contrast` adds a term that tells a head from the other sources. By cosines alone the mean of two
voices is near to both, and a head that cannot part them stays there.

The paper does not define its ablation without teacher supervision, of which there are three readings: a contrastive
loss on who speaks (`ContrastiveStudentTraining`), the student's own embeddings of the clean sources
(`SelfStudentTraining`), and ArcFace over the speakers of the training set (`LabelledStudentTraining`). The first two
have no weights beside the student's, which fits the number of parameters that the paper prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from wesep_mix.base.environment import ONE, Processes
from wesep_mix.base.errors import UserError
from wesep_mix.data.batch import MixBatch, chunk_length, starts, take
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.losses.arcface import ArcFace
from wesep_mix.losses.contrastive import Labelled, LabelledMemory, set_contrastive_costs
from wesep_mix.matching.assignment import cosine_costs, match, set_loss
from wesep_mix.matching.speaker_set import OwnReference, SpeakerSet
from wesep_mix.models import checkpoint
from wesep_mix.preparation.lists import read_speech
from wesep_mix.training.building import begin_with, build_student, check_talkers
from wesep_mix.training.conditioning import TeacherReferences
from wesep_mix.training.loop import TrainingMixtures, run
from wesep_mix.training.module import TrainingModule, VerifiedTraining
from wesep_mix.training.settings import StudentConfig


class SetTraining(TrainingModule):
    """Mixtures -> sets of embeddings under the best assignment; subclasses define the costs and the validation.

    B mixtures, N heads of the student, S talkers, D values of an embedding.
    """

    def loss(self, batch: MixBatch) -> Tensor:
        mix, num_samples = batch.mix, batch.num_samples
        if self.settings.max_chunk_s > 0:
            mix, num_samples = self._stretches(batch)
        elif self.settings.chunk_s > 0:
            length = chunk_length(batch, self.settings.chunk_s)
            mix, num_samples = take(mix, shared_chunk_starts(batch, length), length), None
        return self.loss_of(self.model(mix, num_samples), batch)

    def _stretches(self, batch: MixBatch) -> tuple[Tensor, Tensor]:
        """Stretches of a length that is drawn for the batch; shorter mixtures are whole."""
        least, most = self.settings.chunk_s, self.settings.max_chunk_s
        seconds = least + (most - least) * float(batch.chance[0, 0])
        length = min(round(seconds * SAMPLE_RATE), batch.mix.shape[1])
        num_samples = batch.num_samples.clamp(max=length)
        return take(batch.mix, shared_chunk_starts(batch, num_samples), length), num_samples

    def loss_of(self, found: SpeakerSet, batch: MixBatch) -> Tensor:
        """The whole loss of a batch: `set_loss` of the costs, and any term on the sets themselves; also the `dev/loss`.

        Args:
            found: N embeddings of each mixture.
            batch: the mixtures.

        Returns:
            A scalar.
        """
        costs = self.costs(found.embeddings, batch)
        return set_loss(costs, batch.num_spk, found.presence, self.settings.presence_weight)

    def costs(self, embeddings: Tensor, batch: MixBatch) -> Tensor:
        """What each head would cost as the embedding of each talker.

        Args:
            embeddings: the student's, float [B, N, D].
            batch: the mixtures.

        Returns:
            float [B, N, S].
        """
        raise NotImplementedError

    def validation_step(self, batch: MixBatch, batch_index: int) -> None:
        found = self.model(batch.mix, batch.num_samples)
        self.validate(found, batch)
        if found.presence is not None:
            right = (found.num_spk() == batch.num_spk).float().mean()
            self.log("dev/count_acc", right, batch_size=len(batch.plans), sync_dist=True)

    def validate(self, found: SpeakerSet, batch: MixBatch) -> None:
        """Log the score of the dev set, or collect what it is computed from.

        Args:
            found: N embeddings of each mixture.
            batch: the mixtures.
        """
        raise NotImplementedError


class StudentTraining(SetTraining):
    """1 - cosine to the teacher's embeddings; the teacher is no part of the module, so checkpoints do not carry it."""

    def __init__(self, settings: StudentConfig, student: nn.Module, teacher: nn.Module):
        super().__init__(settings, student)
        self.references = TeacherReferences(teacher)

    def costs(self, embeddings: Tensor, batch: MixBatch) -> Tensor:
        """1 - cosine of each head to each talker's reference, and the contrastive term if it has a weight."""
        references, weight = self.references(batch), self.settings.contrast
        costs = cosine_costs(embeddings, references)
        if not weight:
            return costs
        targets = references[batch.talkers()]
        return costs + weight * told_apart(embeddings, targets, batch, self.settings.contrastive.temperature)

    def validate(self, found: SpeakerSet, batch: MixBatch) -> None:
        """Log the loss."""
        self.log("dev/loss", self.loss_of(found, batch), batch_size=len(batch.plans), sync_dist=True)


class OwnSpaceTraining(VerifiedTraining, SetTraining):
    """A student without the teacher has a space of its own: its clean references are its own embeddings.

    The best epoch is chosen by EER over the embeddings of the dev set. Each is named after the talker whose clean
    source, embedded by the student itself, it matches.
    """

    @torch.no_grad()
    def own_references(self, batch: MixBatch) -> Tensor:
        """The student's embeddings of the clean sources as it is now, without dropout and without a gradient.

        Args:
            batch: the mixtures.

        Returns:
            float [B, S, D], zeros where a mixture has no talker.
        """
        was_training = self.model.training
        found = OwnReference(self.model.eval())(*batch.clean())
        self.model.train(was_training)
        return batch.by_talker(found)

    def validate(self, found: SpeakerSet, batch: MixBatch) -> None:
        """Collect the embeddings, each under the name of the talker that it matches."""
        matched, is_matched = match(found.embeddings, self.own_references(batch), batch.num_spk)
        for plan, embeddings, flags in zip(batch.plans, matched.float().cpu(), is_matched.tolist(), strict=True):
            # a batch may have more rows than a mixture has talkers
            for source, embedding, flag in zip(plan.sources, embeddings, flags, strict=False):
                if flag:
                    self.collect(embedding, plan, source)


class LabelledTraining(OwnSpaceTraining):
    """Learns from who speaks. Voices of the dev set are no classes."""

    def __init__(self, settings: StudentConfig, student: nn.Module, speakers: Sequence[str]):
        super().__init__(settings, student)
        self.classes = {speaker: place for place, speaker in enumerate(speakers)}

    def labels(self, batch: MixBatch) -> Tensor:
        """Numbers of the speakers, int64 [B, S]; 0 also where a mixture has no talker."""
        labels = [self.classes[source.spk] for plan in batch.plans for source in plan.sources]
        return batch.by_talker(torch.tensor(labels, device=batch.mix.device))


class LabelledStudentTraining(LabelledTraining):
    """ArcFace on the speakers of the training set, permutation-invariant: each talker's loss is that of the head which
    the best assignment gives it.
    """

    def __init__(self, settings: StudentConfig, student: nn.Module, speakers: Sequence[str]):
        super().__init__(settings, student, speakers)
        arcface = settings.arcface
        self.arcface = ArcFace(
            student.config.embedding_dim, len(speakers), arcface.scale, arcface.margin, arcface.sub_centres
        )

    def costs(self, embeddings: Tensor, batch: MixBatch) -> Tensor:
        """ArcFace of each head for each talker's class."""
        speakers = self.labels(batch)  # [B, S]
        shape = (*embeddings.shape[:2], speakers.shape[1])  # B, N, S
        margin = self.settings.arcface.margin_at(self.global_step, self.settings.trainer.max_steps)
        return self.arcface.costs(embeddings[:, :, None], speakers[:, None].expand(shape), margin)


class ContrastiveStudentTraining(LabelledTraining):
    """Supervised contrastive loss on who speaks, permutation-invariant, without weights of its own.

    A head as a talker is pulled to that speaker's embeddings of other mixtures and pushed from all others'
    (losses.contrastive). Few speakers come twice in a batch, so the latest mixtures' embeddings are remembered, without
    their gradient: the mixtures that are trained on stay those of the other supervisions. Each process has a memory of
    its own.

    A talker has no loss before the first other embedding of the speaker: the log's `train/positives` is the share of
    talkers that the memory knows.
    """

    def __init__(self, settings: StudentConfig, student: nn.Module, speakers: Sequence[str]):
        super().__init__(settings, student, speakers)
        size = settings.contrastive.memory
        if size < len(speakers):
            raise UserError(
                f"student: contrastive.memory: wanted at least {len(speakers)}, the number of speakers of the training "
                f"set, so that most talkers of a mixture find their speaker in it; found {size}"
            )
        self.memory = LabelledMemory(size, student.config.embedding_dim)

    def training_step(self, batch: MixBatch, batch_index: int) -> Tensor:
        known = torch.isin(self.labels(batch)[batch.talkers()], self.memory.labels).float().mean()
        self.log("train/positives", known, batch_size=len(batch.plans), sync_dist=True)
        return super().training_step(batch, batch_index)

    def costs(self, embeddings: Tensor, batch: MixBatch) -> Tensor:
        """The contrastive loss of each head as each talker's speaker; the batch's embeddings are remembered."""
        labels, temperature = self.labels(batch), self.settings.contrastive.temperature
        costs, found = set_contrastive_costs(embeddings, labels, batch.num_spk, self.memory.known(), temperature)
        self.memory.add(found)
        return costs


class SelfStudentTraining(OwnSpaceTraining):
    """The student's own embeddings of the clean sources, as constant targets; nobody says who speaks.

    A clean source has one talker and the student N heads: the target is their mean, by presence where there is one, as
    wherever a student is its own reference (matching.speaker_set.OwnReference). By cosines alone it would be best to
    embed all alike, so each head is told from the other sources of its process's batch: from their targets, and from
    the embeddings of the other heads (losses.contrastive). The latter matter: targets have no gradient, so nothing else
    would push two embeddings apart. Two sources of one speaker are pushed apart too, since nobody knows that they are.
    """

    def costs(self, embeddings: Tensor, batch: MixBatch) -> Tensor:
        """InfoNCE of each head for each talker's clean source among all sources of the batch."""
        targets = self.own_references(batch)[batch.talkers()]
        return told_apart(embeddings, targets, batch, self.settings.contrastive.temperature)


def told_apart(embeddings: Tensor, targets: Tensor, batch: MixBatch, temperature: float) -> Tensor:
    """InfoNCE of each head for each talker's target among those of all sources of the batch.

    Args:
        embeddings: the student's, float [B, N, D].
        targets: of the M sources of all mixtures, unit vectors [M, D] without a gradient.
        batch: the mixtures.
        temperature: what cosines are divided by.

    Returns:
        float [B, N, S].
    """
    places = torch.arange(len(targets), device=targets.device)
    references = Labelled(targets, places)
    return set_contrastive_costs(embeddings, batch.by_talker(places), batch.num_spk, references, temperature)[0]


def shared_chunk_starts(batch: MixBatch, length: int | Tensor) -> Tensor:
    """Random chunks, each moved by as little as it takes to hold a third of a chunk of every talker.

    Otherwise a chunk of a mixture of three or more could miss a talker, or hold a syllable of one whom the student
    would still have to embed and count. Where talkers are too far apart for that, the first and the last get the same.

    Args:
        batch: B mixtures.
        length: of a chunk, in samples; or of each, int64 [B].

    Returns:
        The chunks' first samples, int64 [B].
    """
    length = torch.as_tensor(length, device=batch.mix.device).expand(len(batch.num_samples))  # [B]
    anywhere = starts(0, batch.num_samples - length, batch.chance[:, 1])
    least = torch.minimum(batch.sizes, length[:, None] // 3)  # [B, S]
    first = ((batch.offsets + least).amax(1) - length).clamp(min=0)
    latest = batch.offsets + batch.sizes - least
    last = latest.masked_fill(~batch.talkers(), batch.mix.shape[1]).amin(1)
    middle = (first + last).div(2, rounding_mode="floor")
    return torch.where(first <= last, torch.minimum(torch.maximum(anywhere, first), last), middle)


def train_student(
    settings: StudentConfig, data: Path, teacher_path: Path, out: Path, num_spk: int, processes: Processes = ONE
) -> None:
    """Train on fresh mixtures of `data/train`. `trainer.keep` says which epoch is saved; the best has the lowest loss
    (without the teacher: EER) on `data/dev`.

    Args:
        settings: conf/student.yaml.
        data: prepared mixtures, data/CORPUS/Nmix.
        teacher_path: the teacher's model file.
        out: folder to write.
        num_spk: the largest number of talkers in a mixture, one head each.
        processes: where it is trained.

    Raises:
        UserError: student, teacher and mixtures do not fit each other.
    """
    check_talkers(settings, num_spk)
    teacher = checkpoint.load_model(teacher_path, "teachers")
    torch.manual_seed(settings.seed)
    student = build_student(settings, teacher, num_spk)
    if settings.init:
        begin_with(student, Path(settings.init), "students")
    module = _training_of(settings, student, teacher, data)
    run(module, "students", TrainingMixtures(data, num_spk, settings.min_talkers, settings.talkers), out, processes)


def _training_of(settings: StudentConfig, student: nn.Module, teacher: nn.Module, data: Path) -> SetTraining:
    if settings.supervision == "teacher":
        return StudentTraining(settings, student, teacher)
    if settings.supervision == "self":
        return SelfStudentTraining(settings, student)
    training = {"contrastive": ContrastiveStudentTraining, "labels": LabelledStudentTraining}[settings.supervision]
    return training(settings, student, sorted({entry.spk for entry in read_speech(data / "train")}))
