"""A progress bar over the whole training, with time left, that reads well in a terminal and in a log file.

Options of a training that Lightning's callbacks provide, made to survive a stop.

What a training leaves in its folder for the stages after it, whether or not there was anything to train.

A training run from its settings to `model.pt`: loggers, checkpoints, resuming, the best weights kept.

What the trainings share: mixtures of `data/train`, the fixed ones of `data/dev`, one run.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import Callback, EarlyStopping, ProgressBar, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from wesep_mix.base import config, installed
from wesep_mix.base.environment import launcher
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write
from wesep_mix.base.installed import revision, shown, versions
from wesep_mix.base.processes import BAR_POSITION
from wesep_mix.data.cues import with_cues
from wesep_mix.data.datasets import FixedMixtures, dev_plans, dynamic_loader, loader_in_order, training_mixtures
from wesep_mix.data.loading import lost_workers_told
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.io.weights import write_weights
from wesep_mix.models import checkpoint
from wesep_mix.training.checkpoints import Keeper, State
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.settings import TrainerConfig


class StepProgress(ProgressBar):
    """One bar for all optimiser steps; a log file gets a line every half minute instead of ten a second."""

    def __init__(self, title: str):
        super().__init__()
        self.title, self.bar = title, None

    def on_train_start(self, trainer, module) -> None:
        interval = 0.5 if sys.stderr.isatty() else 30.0
        self.bar = tqdm(
            total=trainer.max_steps,
            initial=trainer.global_step,
            desc=self.title,
            unit="step",
            mininterval=interval,
            position=int(os.environ.get(BAR_POSITION, 0)),
            disable=not self.is_enabled or trainer.global_rank != 0,
        )

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        shown = {name.split("/")[-1]: f"{value:.3f}" for name, value in trainer.callback_metrics.items()}
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(trainer.global_step - self.bar.n)

    def on_train_end(self, trainer, module) -> None:
        self.bar.close()

    def on_exception(self, trainer, module, exception) -> None:
        if self.bar is not None:
            self.bar.close()

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    @property
    def is_enabled(self) -> bool:
        return getattr(self, "_enabled", True)


def optional_callbacks(settings: TrainerConfig, monitor: str, device: str) -> list[Callback]:
    """What `settings` asks for beside checkpoints: a moving average of the weights, an early stop."""
    callbacks: list[Callback] = []
    if settings.ema:
        callbacks.append(WeightAveraging(device=device, multi_avg_fn=moving_average(settings.ema)))
    if settings.patience:
        callbacks.append(EarlyStop(monitor, settings.patience))
    return callbacks


def moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """Average <- decay * average + (1 - decay) * current, in place; counts among the buffers are the current ones.

    Lightning's EMAWeightAveraging would average counts too, and move frozen weights by its rounding.
    """
    average = get_ema_multi_avg_fn(decay)

    def update(averages: list[Tensor], currents: list[Tensor], num_averaged: Tensor) -> None:
        if averages[0].is_floating_point():  # all are of one type
            average(averages, currents, num_averaged)
            return
        for one, current in zip(averages, currents, strict=True):
            one.copy_(current)

    return update


class EarlyStop(EarlyStopping):
    """Stops after `patience` epochs in a row without a better (lower) score; one that is not finite is not better.

    A training that was killed between its early stop and its model.pt stops again instead of going on.
    """

    def __init__(self, monitor: str, patience: int):
        super().__init__(monitor, patience=patience, check_finite=False, check_on_train_epoch_end=False)

    def on_fit_start(self, trainer, module) -> None:
        """The checkpoint, which has been read by now, knows how long the score has not been better."""
        trainer.should_stop = self.wait_count >= self.patience

    def on_fit_end(self, trainer, module) -> None:
        if self.wait_count >= self.patience and trainer.global_step < trainer.max_steps and trainer.is_global_zero:
            print(
                f"early stop: {self.monitor} was not better in {self.wait_count} epochs, {trainer.global_step} of "
                f"{trainer.max_steps} steps were taken",
                flush=True,
            )


def resolved(settings: Any, model: nn.Module) -> dict[str, Any]:
    """The settings with all defaults, and the model's config as building it left it."""
    return {**config.to_dict(settings), "model": config.to_dict(model.config)}


def write_config(out: Path, settings: dict[str, Any]) -> None:
    """Write resolved settings, the git revision and the packages' versions to `out/config.yaml`."""
    with atomic_write(out / "config.yaml") as file:
        yaml.safe_dump({"git": revision(), "versions": versions(), **settings}, file, sort_keys=False)


def write_model(out: Path, kind: str, model: nn.Module, num_steps: int, num_trainable: int, num_bad_steps: int) -> None:
    """Write `out/model.pt`; num_trainable counts what the training alone needs too, such as ArcFace weights."""
    checkpoint.save_model(
        out / "model.pt",
        kind,
        model,
        git=revision(),
        num_steps=num_steps,
        num_trainable=num_trainable,
        num_bad_steps=num_bad_steps,
        versions=shown(versions()),
    )


HINTS = (
    "does not have many workers",
    "Checkpoint directory .* exists",
    "lr_scheduler.step",
    "treespec",
    "_pytree",
    "Experiment logs directory",
    "GPU available but not used",
    r"module\(s\) in eval mode",
    "mismatched key_padding_mask",
)
CLUSTERS = {"lightning": LightningEnvironment, "torchrun": TorchElasticEnvironment, "srun": SLURMEnvironment}


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning writes to /tmp and moves: between disks that is a copy, of which a kill would leave a part."""

    def save_checkpoint(self, checkpoint: dict, path: str, storage_options: Any = None) -> None:
        write_weights(path, checkpoint)


def fit(module: TrainingModule, kind: str, train: DataLoader, dev: DataLoader, out: Path, ngpu: int) -> None:
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
        max_steps=settings.max_steps,
        max_epochs=-1,
        limit_train_batches=settings.steps_per_epoch,
        gradient_clip_val=settings.clip,
        precision=settings.precision,
        num_sanity_val_steps=0,
        accelerator="gpu" if ngpu else "cpu",
        devices=ngpu or 1,
        strategy="ddp" if ngpu > 1 else "auto",
        use_distributed_sampler=False,
        callbacks=[*optional_callbacks(settings, module.monitor, device), *keeper.callbacks, StepProgress(out.name)],
        log_every_n_steps=min(10, settings.steps_per_epoch),
        logger=_loggers(out),
        enable_model_summary=False,
        plugins=[AtomicCheckpoints(), CLUSTERS[launcher(ngpu)]()],
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
    if installed.is_there("tensorboard"):
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


STREAMS = {"teachers": 0, "students": 0, "extractors": 1, "separators": 1}  # extractors hear what no student heard
DEV_WORKERS = 2


def run(
    module: TrainingModule,
    kind: str,
    data: Path,
    num_spk: int,
    out: Path,
    ngpu: int,
    min_talkers: int | None = None,
    probabilities: Mapping[str, float] | None = None,
    targets: str = "all",
) -> None:
    """Train `module` on mixtures of `num_spk` talkers, or of `min_talkers` to so many; the best epoch has the lowest
    score on the dev set.

    probabilities: of the kinds of condition (data.cues) that are drawn for the `targets`; None draws none.
    """
    settings, trainer = module.settings, module.settings.trainer
    train_set, dev_set = PreparedSet(data / "train"), PreparedSet(data / "dev")
    stream = training_mixtures(train_set, num_spk, settings.seed, trainer.plans, min_talkers, STREAMS[kind])
    fixed: Dataset = FixedMixtures(dev_plans(dev_set, num_spk, min_talkers))
    if probabilities is not None:
        stream = with_cues(stream, train_set, probabilities, settings.seed, targets)
        fixed = with_cues(fixed, dev_set, probabilities, 0, targets)  # the same for every seed of the training
    train = dynamic_loader(stream, settings.batch_size, trainer.steps_per_epoch, trainer.num_workers)
    dev = loader_in_order(fixed, settings.batch_size, min(DEV_WORKERS, trainer.num_workers))
    fit(module, kind, train, dev, out, ngpu)
