"""What the trainings share: mixtures of `data/train`, the fixed ones of `data/dev`, one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.data import Dataset

from wesep_mix.data.conditions import conditioned
from wesep_mix.data.datasets import FixedMixtures, dev_plans, dynamic_loader, loader_in_order, training_mixtures
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.training.fit import fit
from wesep_mix.training.module import TrainingModule

STREAMS = {"teachers": 0, "students": 0, "extractors": 1, "separators": 1}  # extractors hear what no student heard
DEV_WORKERS = 2


def run(
    module: TrainingModule, kind: str, data: Path, num_spk: int, out: Path, ngpu: int, min_talkers: int | None = None,
    probabilities: Mapping[str, float] | None = None, targets: str = "all",
) -> None:
    """Train `module` on mixtures of `num_spk` talkers, or of `min_talkers` to so many; the best epoch has the lowest
    score on the dev set.

    probabilities: of the kinds of condition (data.conditions) that are drawn for the `targets`; None draws none.
    """
    settings, trainer = module.settings, module.settings.trainer
    train_set, dev_set = PreparedSet(data / "train"), PreparedSet(data / "dev")
    stream = training_mixtures(train_set, num_spk, settings.seed, trainer.plans, min_talkers, STREAMS[kind])
    fixed: Dataset = FixedMixtures(dev_plans(dev_set, num_spk, min_talkers), dev_set.read)
    if probabilities is not None:
        stream = conditioned(stream, train_set, probabilities, settings.seed, targets)
        fixed = conditioned(fixed, dev_set, probabilities, 0, targets)  # the same for every seed of the training
    train = dynamic_loader(stream, settings.batch_size, trainer.steps_per_epoch, trainer.num_workers)
    dev = loader_in_order(fixed, settings.batch_size, min(DEV_WORKERS, trainer.num_workers))
    fit(module, kind, train, dev, out, ngpu)
