"""What the trainings share: mixtures of `data/train`, the fixed ones of `data/dev`, one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch.utils.data import Dataset

from wesep_mix.data.conditions import conditioned
from wesep_mix.data.datasets import FixedMixtures, dev_plans, dynamic_loader, loader_in_order, training_mixtures
from wesep_mix.io.decoded import reader_of
from wesep_mix.training.fit import fit
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.outputs import resolved
from wesep_mix.training.settings import ExtractorConfig, SeparatorConfig, StudentConfig, TeacherConfig


def run(
    module: TrainingModule, kind: str, settings: TeacherConfig | StudentConfig | ExtractorConfig | SeparatorConfig,
    data: Path, num_spk: int, out: Path, monitor: str, ngpu: int, min_talkers: int | None = None,
    probabilities: Sequence[float] | None = None,
) -> None:
    """Train `module` on mixtures of `num_spk` talkers, or of `min_talkers` to so many; the best epoch has the lowest
    `monitor` on the dev set.

    probabilities: of the kinds of condition (data.conditions) that are drawn for every talker; None draws none.
    """
    trainer = settings.trainer
    stream = training_mixtures(data / "train", num_spk, settings.seed, trainer.plans, min_talkers)
    fixed: Dataset = FixedMixtures(dev_plans(data / "dev", num_spk, min_talkers), reader_of(data / "dev"))
    if probabilities is not None:
        stream = conditioned(stream, data / "train", probabilities, settings.seed)
        fixed = conditioned(fixed, data / "dev", probabilities, 0)  # the same for every seed of the training
    train = dynamic_loader(stream, settings.batch_size, trainer.steps_per_epoch, trainer.num_workers)
    dev = loader_in_order(fixed, settings.batch_size)
    fit(module, kind, train, dev, out, trainer, monitor, "min", ngpu, resolved(settings, module.model))
