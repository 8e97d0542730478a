"""What conf/{teacher,student,extractor/NAME,separator/NAME}.yaml hold. Imports no torch: they are checked first."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from wesep_mix.base import config

PRECISIONS = ("32-true", "bf16-mixed")  # 16-mixed overflows now and then by design, which counts as bad steps


@dataclass(frozen=True)
class OptimConfig:
    """AdamW (Adam where `weight_decay` is 0); the rate rises over `warmup` of all steps, then falls.

    schedule: `one_cycle` falls along a cosine to nearly zero, with Adam's beta1 going from 0.95 to 0.85 and back as the
    rate rises and falls; `exponential` falls evenly in decibels to `final_lr`.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.1
    schedule: str = "one_cycle"
    final_lr: float = 0.0

    def __post_init__(self) -> None:
        if not (self.lr > 0 and self.weight_decay >= 0):
            raise ValueError(f"wanted lr above 0 and weight_decay from 0 on, found {self}")
        if self.schedule not in ("one_cycle", "exponential"):
            raise ValueError(f"optim.schedule: wanted one_cycle or exponential, found {self.schedule}")
        if not 0 <= self.warmup < 1 or (self.warmup == 0 and self.schedule == "one_cycle"):
            raise ValueError(
                "optim.warmup: wanted a share of all steps between 0 and 1, or none for exponential, "
                f"found {self.warmup}"
            )
        if (self.schedule == "exponential") != (0 < self.final_lr <= self.lr):
            raise ValueError(f"optim.final_lr: wanted above 0 and up to lr for exponential, else none, found {self}")


@dataclass(frozen=True)
class TrainerConfig:
    """An 'epoch' is `steps_per_epoch` optimiser steps: after each comes validation and a checkpoint.

    plans: `dynamic`, fresh mixtures for ever; `static`, the fixed ones of the training set's plan.jsonl.
    average: the saved weights are the mean of those of so many best epochs on the dev set; 0 takes the one of `keep`.
    ema: decay of an exponential moving average of the weights, which is validated and saved instead of them; 0: none.
    patience: stop after so many epochs in a row without a better score on the dev set; 0 never does.
    """

    max_steps: int = 1000
    steps_per_epoch: int = 100
    clip: float = 5.0
    precision: str = "32-true"
    max_bad_steps: int = 20
    num_workers: int = 1
    plans: str = "dynamic"
    num_threads: int = 0  # of the CPU, for one process; 0 leaves it to torch
    keep: str = "best"  # whose weights are saved: of the best epoch on the dev set, or of the `last`
    average: int = 0
    ema: float = 0.0
    patience: int = 0

    def __post_init__(self) -> None:
        for name in ("max_steps", "steps_per_epoch"):
            if getattr(self, name) < 1:
                raise ValueError(f"trainer.{name}: wanted 1 or more, found {getattr(self, name)}")
        for name in ("clip", "max_bad_steps", "num_workers", "num_threads"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"trainer.{name}: wanted 0 or more, found {getattr(self, name)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"trainer.precision: wanted one of {', '.join(PRECISIONS)}, found {self.precision}")
        if self.plans not in ("dynamic", "static"):
            raise ValueError(f"trainer.plans: wanted dynamic or static, found {self.plans}")
        if self.keep not in ("best", "last"):
            raise ValueError(f"trainer.keep: wanted best or last, found {self.keep}")
        if self.max_steps % self.steps_per_epoch:
            raise ValueError(
                f"trainer.max_steps ({self.max_steps}) must be a multiple of trainer.steps_per_epoch "
                f"({self.steps_per_epoch}), so that the last step has a checkpoint"
            )
        self._check_averages()

    def _check_averages(self) -> None:
        num_epochs = self.max_steps // self.steps_per_epoch
        if not 0 <= self.average <= num_epochs:
            raise ValueError(f"trainer.average: wanted 0 to {num_epochs}, the number of epochs, found {self.average}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"trainer.ema: wanted a decay of 0 or more and below 1, found {self.ema}")
        if self.patience < 0:
            raise ValueError(f"trainer.patience: wanted a number of epochs, or 0, found {self.patience}")
        for name in ("average", "patience"):
            if getattr(self, name) and self.keep == "last":
                raise ValueError(f"trainer.{name}: goes by the best epochs, wanted trainer.keep: best, found last")


@dataclass(frozen=True)
class ArcFaceConfig:
    """Scale and margin are not known from the paper (*open*); the margin rises over `margin_warmup` of all steps.

    sub_centres: weights a speaker, the nearest of which counts (1 in the paper).
    """

    scale: float = 32.0
    margin: float = 0.2
    margin_warmup: float = 0.5
    sub_centres: int = 1

    def __post_init__(self) -> None:
        if self.sub_centres < 1:
            raise ValueError(f"arcface.sub_centres: wanted 1 or more, found {self.sub_centres}")
        if not self.scale > 0:
            raise ValueError(f"arcface.scale: wanted a number above 0, found {self.scale}")
        if not 0 <= self.margin < math.pi / 2:
            raise ValueError(f"arcface.margin: wanted radians from 0 to below a right angle, found {self.margin}")
        if not 0 <= self.margin_warmup <= 1:
            raise ValueError(f"arcface.margin_warmup: wanted a share of all steps, 0 to 1, found {self.margin_warmup}")

    def margin_at(self, step: int, num_steps: int) -> float:
        """The margin after `step` of `num_steps` optimiser steps."""
        return self.margin * min(1.0, step / max(self.margin_warmup * num_steps, 1.0))


@dataclass(frozen=True)
class TeacherConfig:
    """conf/teacher.yaml. chunk_s: length of the stretch of each utterance that is trained on."""

    model: Any = config.plugin("teachers")
    arcface: ArcFaceConfig = ArcFaceConfig()
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: int = 32
    chunk_s: float = 3.0

    def __post_init__(self) -> None:
        _check_sizes(self, whole=False)


SUPERVISIONS = ("teacher", "labels")


@dataclass(frozen=True)
class StudentConfig:
    """conf/student.yaml. The embedding size is the teacher's, whatever `model` says.

    The front-end is the one of `model` if it has one, else a copy of the teacher's with its weights.
    supervision: `teacher`, its embeddings of the clean sources; `labels`, who speaks, by ArcFace (`arcface` is for
    that alone) under the best assignment: our reading of the paper's 'without teacher supervision'.
    chunk_s: length of the stretch of each mixture that is trained on; 0 takes the whole mixture.
    finetuned_layers: of a pretrained transformer, from the top; without it as many as the front-end's config says. 0
    freezes any front-end.
    min_talkers: mixtures have so many talkers to --num_spk, drawn evenly; without it always --num_spk. Fewer talkers
    than heads need `model.presence`, whose cross-entropy counts `presence_weight` beside 1 - cosine (or ArcFace).
    """

    model: Any = config.plugin("students")
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: int = 16
    chunk_s: float = 0.0
    heads_from_teacher: bool = False
    finetuned_layers: int | None = None
    supervision: str = "teacher"
    arcface: ArcFaceConfig = ArcFaceConfig()
    min_talkers: int | None = None
    presence_weight: float = 1.0

    def __post_init__(self) -> None:
        _check_sizes(self, whole=True)
        if self.supervision not in SUPERVISIONS:
            raise ValueError(f"supervision: wanted {' or '.join(SUPERVISIONS)}, found {self.supervision}")
        if self.finetuned_layers is not None and self.finetuned_layers < 0:
            raise ValueError(f"finetuned_layers: wanted 0 or more, found {self.finetuned_layers}")
        if self.min_talkers is not None and self.min_talkers < 1:
            raise ValueError(f"min_talkers: wanted 1 or more, found {self.min_talkers}")
        if self.min_talkers is not None and self.trainer.plans == "static":
            raise ValueError(
                "min_talkers: static plans have their number of talkers, leave it out or set trainer.plans to dynamic"
            )
        if not self.presence_weight > 0:
            raise ValueError(f"presence_weight: wanted a number above 0, found {self.presence_weight}")


LOSSES = ("si_sdr", "si_snr")


@dataclass(frozen=True)
class LossConfig:
    """An extractor's loss: a negative ratio in dB of each of its estimates, weighted.

    name: `si_sdr`, or `si_snr`, the same with the means removed. weights: one for every estimate that the model gives
    to its loss, in its order (SpEx+ gives one for each window, the others one).
    """

    name: str = "si_sdr"
    weights: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if self.name not in LOSSES:
            raise ValueError(f"loss.name: wanted one of {', '.join(LOSSES)}, found {self.name}")
        if not all(weight >= 0 for weight in self.weights) or not sum(self.weights) > 0:
            raise ValueError(f"loss.weights: wanted numbers of 0 or more, not all 0, found {list(self.weights)}")


@dataclass(frozen=True)
class CueConfig:
    """Whose embedding an extractor is given in training, drawn anew for every example: probabilities that sum to 1.

    A student that was trained without the teacher stands for it in all of this: it has a space of its own.

    predicted: the student's that is matched to the target, as in the paper and as in use; clean: the teacher's of the
    target alone, clean; enrolment: the teacher's of another utterance of the target's speaker.
    """

    predicted: float = 1.0
    clean: float = 0.0
    enrolment: float = 0.0

    def __post_init__(self) -> None:
        given = self.probabilities.values()
        if not all(0 <= each <= 1 for each in given) or abs(sum(given) - 1) > 1e-6:
            raise ValueError(
                f"cue: wanted probabilities that sum to 1, found predicted {self.predicted:g}, "
                f"clean {self.clean:g}, enrolment {self.enrolment:g}"
            )

    @property
    def probabilities(self) -> dict[str, float]:
        """By kind (data.cues.KINDS)."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class ExtractorConfig:
    """conf/extractor/NAME.yaml. The model's embedding size is the student's.

    chunk_s: length of the stretch of each mixture that is trained on; 0 takes whole mixtures, of which each counts as
    long as it is, though the network hears the padding behind the shorter ones of a batch.
    targets: `random`, one source of each mixture, as in the paper; `all`, every source of each, which costs fewer
    mixtures and embeddings for as many examples.
    embeddings: `on_the_fly`, of the frozen student and teacher, for any plans; `ark`, what stage 4 wrote of the train
    and dev sets, for static plans. Enrolments are on the fly with either.
    none_share: the same network without an embedding, which has less to learn, is trained for this share of
    `trainer.max_steps`, in whole epochs.
    """

    model: Any = config.plugin("extractors")
    loss: LossConfig = LossConfig()
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: int = 8
    chunk_s: float = 3.0
    targets: str = "random"
    cue: CueConfig = CueConfig()
    embeddings: str = "on_the_fly"
    none_share: float = 1.0

    def __post_init__(self) -> None:
        _check_sizes(self, whole=True)
        if not 0 < self.none_share <= 1:
            raise ValueError(f"none_share: wanted a share of trainer.max_steps, above 0 to 1, found {self.none_share}")
        if self.targets not in ("random", "all"):
            raise ValueError(f"targets: wanted random or all, found {self.targets}")
        if self.embeddings not in ("on_the_fly", "ark"):
            raise ValueError(f"embeddings: wanted on_the_fly or ark, found {self.embeddings}")
        if self.embeddings == "ark" and self.trainer.plans != "static":
            raise ValueError(
                f"embeddings: ark has those of fixed mixtures, wanted trainer.plans: static, found {self.trainer.plans}"
            )

    def without_embedding(self) -> ExtractorConfig:
        """The settings of the training of the same network without an embedding."""
        given = self.trainer
        num_epochs = max(1, round(self.none_share * given.max_steps / given.steps_per_epoch))
        trainer = dataclasses.replace(
            given, max_steps=num_epochs * given.steps_per_epoch, average=min(given.average, num_epochs)
        )
        return dataclasses.replace(self, trainer=trainer)


@dataclass(frozen=True)
class SeparatorConfig:
    """conf/separator/NAME.yaml. The number of outputs is that of the mixtures' talkers, whatever `model` says.

    chunk_s: length of the stretch of each mixture that is trained on; 0 takes whole mixtures, of which each counts as
    long as it is, though the network hears the padding behind the shorter ones of a batch.
    """

    model: Any = config.plugin("separators")
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: int = 8
    chunk_s: float = 3.0

    def __post_init__(self) -> None:
        _check_sizes(self, whole=True)


TrainingConfig = TeacherConfig | StudentConfig | ExtractorConfig | SeparatorConfig


def _check_sizes(settings: TrainingConfig, whole: bool) -> None:
    """Raises: ValueError for batches or chunks of no size; with `whole`, chunks of 0 stand for whole mixtures."""
    if settings.batch_size < 1:
        raise ValueError(f"batch_size: wanted 1 or more, found {settings.batch_size}")
    if not (settings.chunk_s > 0 or whole and settings.chunk_s == 0):
        or_whole = ", or 0 for whole mixtures" if whole else ""
        raise ValueError(f"chunk_s: wanted seconds{or_whole}, found {settings.chunk_s}")
