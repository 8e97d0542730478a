"""A training run from its settings to `model.pt`: loggers, checkpoints, resuming, the best weights kept."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.utils.data import DataLoader

from wesep_mix import checkpoint
from wesep_mix.git import revision
from wesep_mix.io.files import atomic_path, atomic_write
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.progress import StepProgress
from wesep_mix.training.settings import TrainerConfig

HINTS = (
    "does not have many workers", "Checkpoint directory .* exists", "lr_scheduler.step", "treespec", "_pytree",
    "Experiment logs directory", "GPU available but not used", r"module\(s\) in eval mode",
    "mismatched key_padding_mask",
)


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning writes to /tmp and moves: between disks that is a copy, of which a kill would leave a part."""

    def save_checkpoint(self, checkpoint: dict, path: str, storage_options: Any = None) -> None:
        with atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)


def fit(
    module: TrainingModule, kind: str, train: DataLoader, dev: DataLoader, out: Path, settings: TrainerConfig,
    monitor: str, mode: str, ngpu: int, resolved: dict,
) -> None:
    """Train until `max_steps`, from the last checkpoint in `out/checkpoints` if there is one; write `out/model.pt`.

    The saved weights are those of the epoch whose `monitor` was best on the dev set (`mode`: min or max), or of the
    last, as `settings.keep` says.
    Raises: KeyboardInterrupt when the training was ended by Ctrl-C or SIGTERM.
    """
    _quiet()
    if settings.num_threads:
        torch.set_num_threads(settings.num_threads)
    revised = {"git": revision(), **resolved}
    with atomic_write(out / "config.yaml") as file:
        yaml.safe_dump(revised, file, sort_keys=False)
    keepers = [_keeper(out, filename="best", monitor=monitor, mode=mode), _keeper(out, filename="last")]
    trainer = lightning.Trainer(
        max_steps=settings.max_steps, max_epochs=-1, limit_train_batches=settings.steps_per_epoch,
        gradient_clip_val=settings.clip, precision=settings.precision, num_sanity_val_steps=0,
        accelerator="gpu" if ngpu else "cpu", devices=ngpu or 1, strategy="ddp" if ngpu > 1 else "auto",
        use_distributed_sampler=False, callbacks=[*keepers, StepProgress(out.name)],
        log_every_n_steps=min(10, settings.steps_per_epoch),
        logger=[TensorBoardLogger(out, name="logs", version="tensorboard"), CSVLogger(out, name="logs", version="csv")],
        enable_model_summary=False, plugins=[AtomicCheckpoints()],
    )
    last = out / "checkpoints" / "last.ckpt"
    if last.is_file():
        print(f"{out}: going on from {last}", flush=True)
        _keep_log(out / "logs" / "csv" / "metrics.csv")
    try:
        trainer.fit(module, train, dev, ckpt_path=last if last.is_file() else None)
    except SystemExit as err:  # Lightning's own end, with status 1 after Ctrl-C and 0 after SIGTERM
        raise KeyboardInterrupt from err
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.is_global_zero:
        _save_model(module, kind, out / "checkpoints" / f"{settings.keep}.ckpt", out, trainer.global_step)


def _keeper(out: Path, **which: str) -> ModelCheckpoint:
    """One checkpoint, written after validation; `save_last` would write the last one only when it is the best."""
    return ModelCheckpoint(
        out / "checkpoints", save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=False, **which
    )


def _keep_log(path: Path) -> None:
    """Give the rows of a stopped run a name of their own: Lightning's CSV logger begins an empty file."""
    if path.is_file():
        path.rename(path.with_stem(f"metrics.{len(list(path.parent.glob('metrics*.csv')))}"))


def _save_model(module: TrainingModule, kind: str, kept: Path, out: Path, num_steps: int) -> None:
    num_bad_steps = int(module.num_bad_steps)  # of the whole training, not of the kept epoch
    module.load_state_dict(torch.load(kept, map_location="cpu", weights_only=True)["state_dict"])
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    checkpoint.save_model(
        out / "model.pt", kind, module.model, git=revision(), num_steps=num_steps, num_trainable=trainable,
        num_bad_steps=num_bad_steps,
    )


def _quiet() -> None:
    """Silence hints of Lightning that do not concern the user of a recipe."""
    for hint in HINTS:
        warnings.filterwarnings("ignore", f".*{hint}.*")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
