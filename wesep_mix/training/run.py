"""What the trainings share: mixtures of `data/train`, the fixed ones of `data/dev`, one run."""

from __future__ import annotations

from pathlib import Path

from wesep_mix import config
from wesep_mix.data.datasets import dynamic_loader, fixed_loader, training_mixtures
from wesep_mix.io.decoded import reader_of
from wesep_mix.mixing.plan import read_plans
from wesep_mix.training.fit import fit
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.settings import ExtractorConfig, SeparatorConfig, StudentConfig, TeacherConfig


def run(
    module: TrainingModule, kind: str, settings: TeacherConfig | StudentConfig | ExtractorConfig | SeparatorConfig,
    data: Path, num_spk: int, out: Path, monitor: str, ngpu: int,
) -> None:
    """Train `module` on mixtures of `num_spk` talkers; the best epoch has the lowest `monitor` on the dev set."""
    trainer = settings.trainer
    stream = training_mixtures(data / "train", num_spk, settings.seed, trainer.plans)
    train = dynamic_loader(stream, settings.batch_size, trainer.steps_per_epoch, trainer.num_workers)
    dev = fixed_loader(read_plans(data / "dev" / "plan.jsonl"), settings.batch_size, read=reader_of(data / "dev"))
    resolved = {**config.to_dict(settings), "model": config.to_dict(module.model.config)}
    fit(module, kind, train, dev, out, trainer, monitor, "min", ngpu, resolved)
