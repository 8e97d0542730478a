"""What conf/{teacher,student,extractor/NAME,separator/NAME}.yaml hold. Imports no torch: they are checked first."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from wesep_mix.base import config
from wesep_mix.base.config import Checked, Count, CountOrZero, above, at_least, between
from wesep_mix.preparation.settings import EffectsConfig

# 16-mixed overflows now and then by design, which counts as bad steps
Precision = Literal["32-true", "bf16-mixed"]
# The stretch of each mixture that is trained on; where whole mixtures are, each counts as long as it is, though the
# network hears the padding behind the shorter ones of a batch.
ChunkOrWhole = Annotated[float, at_least(0, says="seconds, or 0 for whole mixtures")]
TalkerDraw = Literal["even", "by_number"]
Probability = Annotated[float, between(0, 1, says="a probability from 0 to 1")]


@dataclass(frozen=True)
class OptimConfig(Checked):
    """AdamW (Adam where `weight_decay` is 0); the rate rises over `warmup` of all steps, then falls.

    Attributes:
        lr: the highest learning rate.
        weight_decay: AdamW's.
        warmup: share of all steps; above 0 for `one_cycle`.
        schedule: `one_cycle` falls along a cosine to nearly zero, with Adam's beta1 going from 0.95 to 0.85 and back as
            the rate rises and falls; `exponential` falls evenly in decibels to `final_lr`.
        final_lr: above 0 and up to `lr` for `exponential`, else 0.
    """

    lr: Annotated[float, above(0)] = 1e-3
    weight_decay: Annotated[float, at_least(0)] = 1e-2
    warmup: Annotated[float, between(0, 1, with_high=False, says="a share of all steps from 0 to below 1")] = 0.1
    schedule: Literal["one_cycle", "exponential"] = "one_cycle"
    final_lr: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup == 0 and self.schedule == "one_cycle":
            raise ValueError("optim.warmup: wanted a share of all steps above 0 for one_cycle, found 0")
        if (self.schedule == "exponential") != (0 < self.final_lr <= self.lr):
            raise ValueError(f"optim.final_lr: wanted above 0 and up to lr for exponential, else none, found {self}")


@dataclass(frozen=True)
class TrainerConfig(Checked):
    """How long is trained, and what is kept. An 'epoch' is `steps_per_epoch` optimiser steps: after each comes
    validation and a checkpoint.

    Attributes:
        max_steps: optimiser steps in all, whole epochs, so that the last step has a checkpoint.
        steps_per_epoch: optimiser steps of an epoch.
        accumulate: each process works through its share of a step's mixtures in so many batches one after another, for
            less memory. Each batch counts as much as any other, and the log has the loss of a step's last one.
        clip: the gradient's greatest norm; 0 clips nothing.
        precision: of the computation.
        max_bad_steps: steps of the whole training whose loss or gradient may be not finite; one more ends it.
        num_workers: processes that read and mix.
        plans: `dynamic`, fresh mixtures for ever; `static`, the fixed ones of the training set's plan.jsonl.
        num_threads: of the CPU, for one process; 0 leaves it to torch.
        keep: whose weights are saved, of the `best` epoch on the dev set or of the `last`.
        average: the saved weights are the mean of those of so many best epochs on the dev set; 0 takes the one of
            `keep`.
        ema: decay of an exponential moving average of the weights, which is validated and saved instead of them; 0: no
            average.
        patience: stop after so many epochs in a row without a better score on the dev set; 0 never does.
        effects: on the mixtures that are trained on; the dev set has none.
    """

    max_steps: Count = 1000
    steps_per_epoch: Count = 100
    accumulate: Count = 1
    clip: Annotated[float, at_least(0)] = 5.0
    precision: Precision = "32-true"
    max_bad_steps: CountOrZero = 20
    num_workers: CountOrZero = 1
    plans: Literal["dynamic", "static"] = "dynamic"
    num_threads: CountOrZero = 0
    keep: Literal["best", "last"] = "best"
    average: CountOrZero = 0
    ema: Annotated[float, between(0, 1, with_high=False, says="a decay from 0 to below 1")] = 0.0
    patience: Annotated[int, at_least(0, says="a number of epochs, or 0")] = 0
    effects: EffectsConfig = EffectsConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_steps % self.steps_per_epoch:
            raise ValueError(
                f"trainer.max_steps ({self.max_steps}) must be a multiple of trainer.steps_per_epoch "
                f"({self.steps_per_epoch}), so that the last step has a checkpoint"
            )
        if self.plans == "static" and self.effects.speeds != (1.0,):
            raise ValueError(
                "trainer.effects.speeds: static plans have their speeds, wanted [1.0], found "
                f"{list(self.effects.speeds)}"
            )
        num_epochs = self.max_steps // self.steps_per_epoch
        if self.average > num_epochs:
            raise ValueError(f"trainer.average: wanted 0 to {num_epochs}, the number of epochs, found {self.average}")
        for name in ("average", "patience"):
            if getattr(self, name) and self.keep == "last":
                raise ValueError(f"trainer.{name}: goes by the best epochs, wanted trainer.keep: best, found last")


@dataclass(frozen=True)
class ArcFaceConfig(Checked):
    """Scale and margin are not known from the paper (*open*).

    Attributes:
        scale: what the cosines are multiplied by.
        margin: radians, below a right angle.
        margin_warmup: the margin rises over this share of all steps.
        sub_centres: weights a speaker, the nearest of which counts (1 in the paper).
    """

    scale: Annotated[float, above(0)] = 32.0
    margin: Annotated[float, between(0, math.pi / 2, with_high=False, says="radians from 0 to below a right angle")] = (
        0.2
    )
    margin_warmup: Annotated[float, between(0, 1, says="a share of all steps, 0 to 1")] = 0.5
    sub_centres: Count = 1

    def margin_at(self, step: int, num_steps: int) -> float:
        """The margin after `step` of `num_steps` optimiser steps."""
        return self.margin * min(1.0, step / max(self.margin_warmup * num_steps, 1.0))


@dataclass(frozen=True)
class ContrastiveConfig(Checked):
    """Contrastive losses of a student (losses.contrastive); not known from the paper (*open*).

    Attributes:
        temperature: what the cosines are divided by.
        memory: embeddings of the latest mixtures that those of a batch are compared with, beside each other: at least
            as many as data/train has speakers, for few speakers come twice in one batch. More of them are more
            positives, and older ones. `supervision: contrastive` alone has a memory.
    """

    temperature: Annotated[float, above(0)] = 0.1
    memory: Count = 1024


@dataclass(frozen=True)
class TeacherConfig(Checked):
    """conf/teacher.yaml.

    Attributes:
        batch_size: utterances of an optimiser step, of all processes together.
        chunk_s: seconds of each utterance that are trained on.
    """

    model: Any = config.plugin("teachers")
    arcface: ArcFaceConfig = ArcFaceConfig()
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: Count = 32
    chunk_s: Annotated[float, above(0, says="seconds above 0")] = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_voices(self.trainer, "a teacher's classes")


def _check_voices(trainer: TrainerConfig, who: str) -> None:
    """Raises: ValueError where talkers are known by their labels and some would have other voices than these say."""
    if trainer.effects.speeds != (1.0,):
        raise ValueError(
            f"trainer.effects.speeds: a faster talker is another voice, which {who} do not know; wanted [1.0], found "
            f"{list(trainer.effects.speeds)}"
        )


def _check_drawn(min_talkers: int | None, trainer: TrainerConfig) -> None:
    """Raises: ValueError where numbers of talkers are to be drawn for plans that are fixed."""
    if min_talkers is not None and trainer.plans == "static":
        raise ValueError(
            "min_talkers: static plans have their number of talkers, leave it out or set trainer.plans to dynamic"
        )


@dataclass(frozen=True)
class StudentConfig(Checked):
    """conf/student.yaml. The embedding size is the teacher's, whatever `model` says.

    Attributes:
        model: its front-end is the student's if it has one, else a copy of the teacher's with its weights.
        own_frontend: the student's where `model` has none and the teacher, one of WeSpeaker's say, has none to copy.
        batch_size: mixtures of an optimiser step, of all processes together.
        chunk_s: seconds of each mixture that are trained on; 0: all of it.
        max_chunk_s: each batch has chunks of another length, drawn evenly from `chunk_s` to this; what is shorter is
            whole. 0: all have `chunk_s`.
        heads_from_teacher: the heads start from the teacher's, not from fresh weights; not on `own_frontend`.
        finetuned_layers: of a pretrained transformer, from the top; without it as many as the front-end's config says.
            0 freezes any front-end.
        supervision: `teacher`, its embeddings of the clean sources. Three readings of the paper's 'without teacher
            supervision': `contrastive`, who speaks, by a contrastive loss; `self`, the student's own embeddings of the
            clean sources, told from those of the batch's other sources; `labels`, who speaks, by ArcFace, which alone
            adds weights to the training.
        contrast: weight of a contrastive term beside the cosine, for `supervision: teacher` alone: a head as a talker
            is told from the targets of the batch's other sources, and from the other heads. 0, as in the paper: none.
        arcface: for `supervision: labels` alone.
        contrastive: for `supervision: contrastive` and `self`, and for `contrast`.
        min_talkers: mixtures have so many talkers to --num_spk, drawn as `talkers` says; without it always --num_spk.
            Fewer talkers than heads need `model.presence`.
        talkers: `even`, each number as often as any other; `by_number`, in proportion to the number, since mixtures of
            more talkers are harder.
        presence_weight: what the cross-entropy of `model.presence` counts beside the cost of the embeddings.
        init: of a student of the same settings, whose weights are the first: stage 3's model.pt, or a model folder's
            student.safetensors. "": fresh ones.
    """

    model: Any = config.plugin("students")
    own_frontend: Any = config.plugin("frontends", required=False)
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: Count = 16
    chunk_s: ChunkOrWhole = 0.0
    max_chunk_s: Annotated[float, at_least(0, says="seconds, or 0")] = 0.0
    heads_from_teacher: bool = False
    finetuned_layers: CountOrZero | None = None
    supervision: Literal["teacher", "contrastive", "self", "labels"] = "teacher"
    contrast: Annotated[float, at_least(0)] = 0.0
    arcface: ArcFaceConfig = ArcFaceConfig()
    contrastive: ContrastiveConfig = ContrastiveConfig()
    min_talkers: Count | None = None
    talkers: TalkerDraw = "even"
    presence_weight: Annotated[float, above(0)] = 1.0
    init: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_drawn(self.min_talkers, self.trainer)
        if self.supervision in ("contrastive", "labels"):
            _check_voices(self.trainer, "speakers' labels")
        if self.contrast and self.supervision != "teacher":
            raise ValueError(
                f"contrast: wanted 0, or supervision: teacher, found {self.contrast:g} and {self.supervision}"
            )
        if self.max_chunk_s and not 0 < self.chunk_s < self.max_chunk_s:
            raise ValueError(
                f"max_chunk_s: wanted more than chunk_s, which is above 0 too, found {self.max_chunk_s:g} and "
                f"{self.chunk_s:g}"
            )


@dataclass(frozen=True)
class LossConfig(Checked):
    """An extractor's loss: a negative ratio in dB of each of its estimates, weighted.

    Attributes:
        name: `si_sdr`; `si_snr`, the same with the means removed; or `snr`, which hears the level, up to 30 dB.
        weights: one for every estimate that the model gives to its loss, in its order (SpEx+ gives one for each window,
            the others one); not all of them 0.
    """

    name: Literal["si_sdr", "si_snr", "snr"] = "si_sdr"
    weights: tuple[Annotated[float, at_least(0)], ...] = (1.0,)
    shared: Probability = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not sum(self.weights) > 0:
            raise ValueError(f"loss.weights: wanted numbers of 0 or more, not all 0, found {list(self.weights)}")


@dataclass(frozen=True)
class CueConfig(Checked):
    """Whose embedding an extractor is given in training, drawn anew for every example: probabilities that sum to 1.

    A student that was trained without the teacher stands for it in all of this: it has a space of its own.

    Attributes:
        predicted: the student's that is matched to the target, as in the paper and as in use.
        clean: the teacher's of the target alone, clean.
        enrolment: the teacher's of another utterance of the target's speaker.
    """

    predicted: Probability = 1.0
    clean: Probability = 0.0
    enrolment: Probability = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if abs(sum(self.probabilities.values()) - 1) > 1e-6:
            raise ValueError(
                f"cue: wanted probabilities that sum to 1, found predicted {self.predicted:g}, "
                f"clean {self.clean:g}, enrolment {self.enrolment:g}"
            )

    @property
    def probabilities(self) -> dict[str, float]:
        """By kind (data.cues.KINDS)."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class ExtractorConfig(Checked):
    """conf/extractor/NAME.yaml. The model's embedding size is the student's.

    Attributes:
        batch_size: mixtures of an optimiser step, of all processes together.
        chunk_s: seconds of each mixture that are trained on; 0 takes whole mixtures (see `ChunkOrWhole`).
        targets: `random`, one source of each mixture, as in the paper; `all`, every source of each, which costs fewer
            mixtures and embeddings for as many examples.
        embeddings: `on_the_fly`, of the frozen student and teacher, for any plans; `ark`, what stage 4 wrote of the
            train and dev sets, for static plans. Enrolments are on the fly with either.
        min_talkers: mixtures have so many talkers to --num_spk, drawn as `talkers` says; without it always --num_spk.
        talkers: as in the student's settings.
        absent: share of the mixtures that also come with the embedding of a talker of another mixture, who is not in
            them: their output is to be silent. A loss that leaves the level open could not learn it: `loss.name: snr`.
        init: of a network of the same settings, whose weights are the first: a stage's model.pt, or a part of a model's
            folder such as DIR/extractor.safetensors. "": fresh ones, which the network without an embedding always has.
        none_share: the same network without an embedding, which has less to learn, is trained for this share of
            `trainer.max_steps`, in whole epochs.
    """

    model: Any = config.plugin("extractors")
    loss: LossConfig = LossConfig()
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: Count = 8
    chunk_s: ChunkOrWhole = 3.0
    targets: Literal["random", "all"] = "random"
    cue: CueConfig = CueConfig()
    embeddings: Literal["on_the_fly", "ark"] = "on_the_fly"
    min_talkers: Count | None = None
    talkers: TalkerDraw = "even"
    absent: Probability = 0.0
    init: str = ""
    none_share: Annotated[float, between(0, 1, with_low=False, says="a share of trainer.max_steps, above 0 to 1")] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_drawn(self.min_talkers, self.trainer)
        if self.embeddings == "ark" and self.trainer.plans != "static":
            raise ValueError(
                f"embeddings: ark has those of fixed mixtures, wanted trainer.plans: static, found {self.trainer.plans}"
            )
        if self.loss.shared and self.targets != "all":
            raise ValueError(f"loss.shared: wanted 0, or targets: all, found {self.loss.shared:g} and {self.targets}")
        if self.absent and self.loss.name != "snr":
            raise ValueError(f"absent: wanted 0, or loss.name: snr, which hears the level, found {self.loss.name}")

    def without_embedding(self) -> ExtractorConfig:
        """The settings of the training of the same network without an embedding."""
        given = self.trainer
        num_epochs = max(1, round(self.none_share * given.max_steps / given.steps_per_epoch))
        trainer = dataclasses.replace(
            given, max_steps=num_epochs * given.steps_per_epoch, average=min(given.average, num_epochs)
        )
        return dataclasses.replace(self, trainer=trainer)


@dataclass(frozen=True)
class SeparatorConfig(Checked):
    """conf/separator/NAME.yaml. The number of outputs is that of the mixtures' talkers, whatever `model` says.

    Attributes:
        batch_size: mixtures of an optimiser step, of all processes together.
        chunk_s: seconds of each mixture that are trained on; 0 takes whole mixtures (see `ChunkOrWhole`).
    """

    model: Any = config.plugin("separators")
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: Count = 8
    chunk_s: ChunkOrWhole = 3.0


TrainingConfig = TeacherConfig | StudentConfig | ExtractorConfig | SeparatorConfig
