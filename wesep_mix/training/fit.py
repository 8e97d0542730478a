"""A training run from its settings to `model.pt`: loggers, checkpoints, resuming, the best weights kept."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from wesep_mix import checkpoint
from wesep_mix.git import revision
from wesep_mix.io.files import atomic_write
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.progress import StepProgress
from wesep_mix.training.settings import TrainerConfig

HINTS = (
    "does not have many workers", "Checkpoint directory .* exists", "lr_scheduler.step", "treespec", "_pytree",
    "Experiment logs directory", "GPU available but not used",
)


def fit(
    module: TrainingModule, kind: str, train: DataLoader, dev: DataLoader, out: Path, settings: TrainerConfig,
    monitor: str, mode: str, ngpu: int, resolved: dict,
) -> None:
    """Train until `max_steps`, from the last checkpoint in `out/checkpoints` if there is one; write `out/model.pt`.

    The saved weights are those of the epoch whose `monitor` was best on the dev set (`mode`: min or max), or of the
    last, as `settings.keep` says.
    """
    _quiet()
    revised = {"git": revision(), **resolved}
    with atomic_write(out / "config.yaml") as file:
        yaml.safe_dump(revised, file, sort_keys=False)
    keeper = ModelCheckpoint(
        out / "checkpoints", filename="best", monitor=monitor, mode=mode, save_top_k=1, save_last=True,
        enable_version_counter=False, save_on_train_epoch_end=False,
    )
    trainer = lightning.Trainer(
        max_steps=settings.max_steps, max_epochs=-1, limit_train_batches=settings.steps_per_epoch,
        gradient_clip_val=settings.clip, precision=settings.precision, num_sanity_val_steps=0,
        accelerator="gpu" if ngpu else "cpu", devices=ngpu or 1, strategy="ddp" if ngpu > 1 else "auto",
        use_distributed_sampler=False, callbacks=[keeper, StepProgress(out.name)], log_every_n_steps=10,
        logger=[TensorBoardLogger(out, name="logs", version="tensorboard"), CSVLogger(out, name="logs", version="csv")],
        enable_model_summary=False,
    )
    last = out / "checkpoints" / "last.ckpt"
    if last.is_file():
        print(f"{out}: going on from {last}", flush=True)
    trainer.fit(module, train, dev, ckpt_path=last if last.is_file() else None)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.is_global_zero:
        kept = last if settings.keep == "last" else Path(keeper.best_model_path)
        _save_model(module, kind, kept, out, trainer.global_step)


def _save_model(module: TrainingModule, kind: str, kept: Path, out: Path, num_steps: int) -> None:
    state = torch.load(kept, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state)
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    checkpoint.save_model(
        out / "model.pt", kind, module.model, git=revision(), num_steps=num_steps, num_trainable=trainable,
        num_bad_steps=int(module.num_bad_steps),
    )


def _quiet() -> None:
    """Silence hints of Lightning that do not concern the user of a recipe."""
    for hint in HINTS:
        warnings.filterwarnings("ignore", f".*{hint}.*")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
