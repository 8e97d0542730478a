"""What the three trainings share: fresh mixtures of `data/train`, the fixed ones of `data/dev`, one run."""

from __future__ import annotations

from pathlib import Path

from wesep_mix import config
from wesep_mix.data.datasets import DynamicMixtures, dynamic_loader, fixed_loader
from wesep_mix.mixing.plan import read_plans
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.training.fit import fit
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.settings import ExtractorConfig, StudentConfig, TeacherConfig


def run(
    module: TrainingModule, kind: str, settings: TeacherConfig | StudentConfig | ExtractorConfig, data: Path,
    num_spk: int, out: Path, monitor: str, ngpu: int,
) -> None:
    """Train `module` on mixtures of `num_spk` talkers; the best epoch has the lowest `monitor` on the dev set."""
    trainer = settings.trainer
    stream = DynamicMixtures(load_pool(data / "train"), num_spk, settings.seed)
    train = dynamic_loader(stream, settings.batch_size, trainer.steps_per_epoch, trainer.num_workers)
    dev = fixed_loader(read_plans(data / "dev" / "plan.jsonl"), settings.batch_size)
    resolved = {**config.to_dict(settings), "model": config.to_dict(module.model.config)}
    fit(module, kind, train, dev, out, trainer, monitor, "min", ngpu, resolved)
