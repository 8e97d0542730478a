"""What conf/{teacher,student,extractor/NAME,separator/NAME}.yaml hold. Imports no torch: they are checked first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wesep_mix import config


@dataclass(frozen=True)
class OptimConfig:
    """AdamW (Adam where `weight_decay` is 0); the rate rises over `warmup` of all steps, then falls.

    schedule: `one_cycle` falls along a cosine to nearly zero, `exponential` evenly in decibels to `final_lr`.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.1
    schedule: str = "one_cycle"
    final_lr: float = 0.0

    def __post_init__(self) -> None:
        if self.schedule not in ("one_cycle", "exponential"):
            raise ValueError(f"optim.schedule: wanted one_cycle or exponential, found {self.schedule}")
        if not 0 < self.warmup < 1:
            raise ValueError(f"optim.warmup: wanted a share of all steps between 0 and 1, found {self.warmup}")
        if (self.schedule == "exponential") != (0 < self.final_lr <= self.lr):
            raise ValueError(f"optim.final_lr: wanted above 0 and up to lr for exponential, else none, found {self}")


@dataclass(frozen=True)
class TrainerConfig:
    """An 'epoch' is `steps_per_epoch` optimiser steps: after each comes validation and a checkpoint.

    plans: `dynamic`, fresh mixtures for ever; `static`, the fixed ones of the training set's plan.jsonl.
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

    def __post_init__(self) -> None:
        if self.max_steps < 1 or self.steps_per_epoch < 1:
            raise ValueError("trainer.max_steps and trainer.steps_per_epoch must be at least 1")
        if self.plans not in ("dynamic", "static"):
            raise ValueError(f"trainer.plans: wanted dynamic or static, found {self.plans}")
        if self.keep not in ("best", "last"):
            raise ValueError(f"trainer.keep: wanted best or last, found {self.keep}")
        if self.max_steps % self.steps_per_epoch:
            raise ValueError(
                f"trainer.max_steps ({self.max_steps}) must be a multiple of trainer.steps_per_epoch "
                f"({self.steps_per_epoch}), so that the last step has a checkpoint"
            )


@dataclass(frozen=True)
class ArcFaceConfig:
    """Scale and margin are not known from the paper (*open*); the margin rises over `margin_warmup` of all steps."""

    scale: float = 32.0
    margin: float = 0.2
    margin_warmup: float = 0.5


@dataclass(frozen=True)
class TeacherConfig:
    """conf/teacher.yaml."""

    model: Any = config.plugin("teachers")
    arcface: ArcFaceConfig = ArcFaceConfig()
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: int = 32
    chunk_s: float = 3.0


@dataclass(frozen=True)
class StudentConfig:
    """conf/student.yaml. Front-end and embedding size are the teacher's, whatever `model` says.

    chunk_s: length of the stretch of each mixture that is trained on; 0 takes the whole mixture.
    finetuned_layers: of a pretrained front-end, from the top; without it as many as the teacher's.
    """

    model: Any = config.plugin("students")
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: int = 16
    chunk_s: float = 0.0
    heads_from_teacher: bool = False
    finetuned_layers: int | None = None


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
class ExtractorConfig:
    """conf/extractor/NAME.yaml. The model's embedding size is the student's.

    targets: `random`, one source of each mixture, as in the paper; `all`, every source of each, which costs fewer
    mixtures and embeddings for as many examples.
    """

    model: Any = config.plugin("extractors")
    loss: LossConfig = LossConfig()
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: int = 8
    chunk_s: float = 3.0
    targets: str = "random"

    def __post_init__(self) -> None:
        if self.targets not in ("random", "all"):
            raise ValueError(f"targets: wanted random or all, found {self.targets}")


@dataclass(frozen=True)
class SeparatorConfig:
    """conf/separator/NAME.yaml. The number of outputs is that of the mixtures' talkers, whatever `model` says.

    chunk_s: length of the stretch of each mixture that is trained on; 0 takes whole mixtures.
    """

    model: Any = config.plugin("separators")
    seed: int = 0
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()
    batch_size: int = 8
    chunk_s: float = 3.0

    def __post_init__(self) -> None:
        if self.chunk_s < 0:
            raise ValueError(f"chunk_s: wanted seconds, or 0 for whole mixtures, found {self.chunk_s}")
