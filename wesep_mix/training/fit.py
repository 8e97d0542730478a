"""A training run from its settings to `model.pt`: loggers, checkpoints, resuming, the best weights kept."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.utils.data import DataLoader

from wesep_mix import optional
from wesep_mix.data.loading import lost_workers_told
from wesep_mix.environment import launcher
from wesep_mix.errors import UserError
from wesep_mix.training.callbacks import optional_callbacks
from wesep_mix.training.keeping import Keeper, State
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.outputs import resolved, write_config, write_model
from wesep_mix.training.progress import StepProgress
from wesep_mix.weights import write_weights

HINTS = (
    "does not have many workers", "Checkpoint directory .* exists", "lr_scheduler.step", "treespec", "_pytree",
    "Experiment logs directory", "GPU available but not used", r"module\(s\) in eval mode",
    "mismatched key_padding_mask",
)
CLUSTERS = {"lightning": LightningEnvironment, "torchrun": TorchElasticEnvironment, "srun": SLURMEnvironment}


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning writes to /tmp and moves: between disks that is a copy, of which a kill would leave a part."""

    def save_checkpoint(self, checkpoint: dict, path: str, storage_options: Any = None) -> None:
        write_weights(path, checkpoint)


def fit(
    module: TrainingModule, kind: str, train: DataLoader, dev: DataLoader, out: Path, ngpu: int
) -> None:
    """Train until `max_steps`, from the last checkpoint in `out/checkpoints` if there is one; write `out/model.pt`.

    The saved weights are those of the epoch whose score on the dev set was best (lowest), the mean of several such, or
    those of the last, as the trainer's settings say (`keep`, `average`).
    Raises: KeyboardInterrupt when the training was ended by Ctrl-C or SIGTERM; UserError when checkpoints are damaged,
        there are fewer GPUs, or nothing to average.
    """
    _quiet()
    if ngpu > torch.cuda.device_count():
        raise UserError(f"--ngpu {ngpu}: wanted as many GPUs that torch can use, found {torch.cuda.device_count()}")
    settings = module.settings.trainer
    if settings.num_threads:
        torch.set_num_threads(settings.num_threads)
    write_config(out, resolved(module.settings, module.model))
    keeper, device = Keeper(out, settings, module.monitor), "cuda" if ngpu else "cpu"
    trainer = lightning.Trainer(
        max_steps=settings.max_steps, max_epochs=-1, limit_train_batches=settings.steps_per_epoch,
        gradient_clip_val=settings.clip, precision=settings.precision, num_sanity_val_steps=0,
        accelerator="gpu" if ngpu else "cpu", devices=ngpu or 1, strategy="ddp" if ngpu > 1 else "auto",
        use_distributed_sampler=False,
        callbacks=[*optional_callbacks(settings, module.monitor, device), *keeper.callbacks, StepProgress(out.name)],
        log_every_n_steps=min(10, settings.steps_per_epoch),
        logger=_loggers(out),
        enable_model_summary=False, plugins=[AtomicCheckpoints(), CLUSTERS[launcher(ngpu)]()],
    )
    start = keeper.start()
    if start:
        print(f"{out}: going on from {start}", flush=True)
        _keep_log(out / "logs" / "csv" / "metrics.csv")
    try:
        with lost_workers_told(), _logs_named(out / "logs"):
            trainer.fit(module, train, dev, ckpt_path=start)
    except SystemExit as err:  # Lightning's own end, with status 1 after Ctrl-C and 0 after SIGTERM
        raise KeyboardInterrupt from err
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.is_global_zero:
        _save_model(module, kind, keeper.weights(), out, trainer.global_step)


def _loggers(out: Path) -> list[Logger]:
    """`out/logs/csv`, and `out/logs/tensorboard` where the package tensorboard is installed."""
    loggers: list[Logger] = [CSVLogger(out, name="logs", version="csv")]
    if optional.is_there("tensorboard"):
        loggers.insert(0, TensorBoardLogger(out, name="logs", version="tensorboard"))
    return loggers


@contextmanager
def _logs_named(folder: Path) -> Iterator[None]:
    """Give a full disk the place where it was met. A log's thread tells the training of it too, without a name."""
    def told(failure: threading.ExceptHookArgs) -> None:
        if not issubclass(failure.exc_type, OSError):
            before(failure)

    before, threading.excepthook = threading.excepthook, told
    try:
        yield
    except OSError as err:
        if err.errno and err.filename is None:
            err.filename = str(folder)
        raise
    finally:
        threading.excepthook = before


def _keep_log(path: Path) -> None:
    """Give the rows of a stopped run a name of their own: Lightning's CSV logger begins an empty file."""
    if path.is_file():
        path.rename(path.with_stem(f"metrics.{len(list(path.parent.glob('metrics*.csv')))}"))


def _save_model(module: TrainingModule, kind: str, kept: State, out: Path, num_steps: int) -> None:
    num_bad_steps = int(module.num_bad_steps)  # of the whole training, not of the kept epoch
    module.load_state_dict(kept)
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    write_model(out, kind, module.model, num_steps=num_steps, num_trainable=trainable, num_bad_steps=num_bad_steps)


def _quiet() -> None:
    """Silence hints of Lightning that do not concern the user of a recipe."""
    for hint in HINTS:
        warnings.filterwarnings("ignore", f".*{hint}.*")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
