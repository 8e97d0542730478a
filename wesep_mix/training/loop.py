"""The life of a training, from its settings to `model.pt`.

`run` gathers what is trained on: fresh mixtures of data/train, the fixed ones of data/dev. `fit` hands module and data
to Lightning's Trainer, goes on from the last checkpoint where there is one, and saves the weights that the settings
want. Below them are their parts: config.yaml and model.pt, callbacks, logs and the progress bar.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ProgressBar, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from wesep_mix.base import config, installed
from wesep_mix.base.environment import ONE, Processes, launcher, rank
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write
from wesep_mix.base.installed import revision, shown, versions
from wesep_mix.base.processes import BAR_POSITION
from wesep_mix.data.cues import with_cues
from wesep_mix.data.datasets import (
    FixedMixtures,
    Share,
    dev_plans,
    dynamic_loader,
    loader_in_order,
    training_mixtures,
)
from wesep_mix.data.effects import with_effects
from wesep_mix.data.loading import lost_workers_told
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.io.weights import write_weights
from wesep_mix.models import checkpoint
from wesep_mix.training.checkpoints import STOPPED, Keeper, State
from wesep_mix.training.module import TrainingModule
from wesep_mix.training.settings import TrainerConfig
from wesep_mix.training.stopping import StopInTime

STREAMS = {"teachers": 0, "students": 0, "extractors": 1, "separators": 1}  # extractors get mixtures new to the student
DEV_WORKERS = 2
LOG_STEPS = 10
CLUSTERS = {"lightning": LightningEnvironment, "torchrun": TorchElasticEnvironment, "srun": SLURMEnvironment}
HINTS = (  # of Lightning and torch, that do not concern the user of a recipe
    "does not have many workers",
    "Checkpoint directory .* exists",
    "lr_scheduler.step",
    "treespec",
    "_pytree",
    "Experiment logs directory",
    "GPU available but not used",
    r"module\(s\) in eval mode",
    "mismatched key_padding_mask",
    "`srun` command is available",
    "Grad strides do not match",
    "your dataloader is not resumable",
)


@dataclass(frozen=True)
class TrainingMixtures:
    """The mixtures that a network is trained on.

    Attributes:
        folder: prepared sets `train` and `dev`: data/CORPUS/Nmix, or data/CORPUS/single.
        num_spk: the largest number of talkers in a mixture.
        min_talkers: the smallest; None for always `num_spk`.
        talkers: how numbers between them are drawn, `even` or `by_number` (data.datasets).
        cues: probability of each kind of cue (data.cues.KINDS) that is drawn for a target; None draws no cues.
        targets: `random` or `all` sources of a mixture get a cue.
    """

    folder: Path
    num_spk: int
    min_talkers: int | None = None
    talkers: str = "even"
    cues: Mapping[str, float] | None = None
    targets: str = "all"


def run(module: TrainingModule, kind: str, mixtures: TrainingMixtures, out: Path, processes: Processes) -> None:
    """Train a module; `trainer.keep` says which epoch is saved, the best has the lowest score on the dev set.

    Args:
        module: what is trained.
        kind: of the network, such as `students`; also chooses the stream of random mixtures.
        mixtures: what it is trained and validated on.
        out: folder to write.
        processes: where it is trained.
    """
    settings, trainer = module.settings, module.settings.trainer
    num_spk, min_talkers, talkers = mixtures.num_spk, mixtures.min_talkers, mixtures.talkers
    train_set, dev_set = PreparedSet(mixtures.folder / "train"), PreparedSet(mixtures.folder / "dev")
    stream = training_mixtures(
        train_set,
        num_spk,
        settings.seed,
        trainer.plans,
        min_talkers,
        STREAMS[kind],
        talkers,
        trainer.effects.speeds,
    )
    stream = with_effects(stream, trainer.effects, num_spk, settings.seed)
    fixed: Dataset = FixedMixtures(dev_plans(dev_set, num_spk, min_talkers, talkers))
    if mixtures.cues is not None:
        stream = with_cues(stream, train_set, mixtures.cues, settings.seed, mixtures.targets)
        fixed = with_cues(fixed, dev_set, mixtures.cues, 0, mixtures.targets)  # the same for every seed of the training
    share = Share(rank(), processes.world)
    train = dynamic_loader(
        stream, settings.batch_size, trainer.steps_per_epoch, trainer.num_workers, share, trainer.accumulate
    )
    dev = loader_in_order(fixed, train.batch_size, min(DEV_WORKERS, trainer.num_workers), share)
    fit(module, kind, train, dev, out, processes)


def fit(
    module: TrainingModule, kind: str, train: DataLoader, dev: DataLoader, out: Path, processes: Processes = ONE
) -> None:
    """Train until `max_steps`, from the last checkpoint in `out/checkpoints` if there is one; write `out/model.pt`.

    The saved weights are those of the epoch with the best (lowest) score on the dev set, the mean of several such
    epochs, or those of the last, as the trainer's settings say (`keep`, `average`).

    Args:
        module: what is trained.
        kind: of the network, such as `students`.
        train: batches without end.
        dev: batches of the dev set.
        out: folder to write.
        processes: where it is trained.

    Raises:
        KeyboardInterrupt: the training was ended by Ctrl-C or SIGTERM.
        UserError: there are fewer GPUs, checkpoints are damaged, or no epoch can be averaged.
    """
    _silence_hints()
    if processes.ngpu > torch.cuda.device_count():
        raise UserError(f"{processes}: wanted as many GPUs that torch can use, found {torch.cuda.device_count()}")
    settings = module.settings.trainer
    if settings.num_threads:
        torch.set_num_threads(settings.num_threads)
    if rank() == 0:
        write_config(out, resolved_settings(module.settings, module.model))
    keeper = Keeper(out, settings, module.monitor)
    stop = StopInTime(keeper.folder / STOPPED, LOG_STEPS)
    trainer = _trainer(module, [*keeper.callbacks, stop], out, processes)
    start = keeper.start()
    if start and rank() == 0:
        print(f"{out}: going on from {start}", flush=True)
        _keep_log(out / "logs" / "csv" / "metrics.csv")
    try:
        with lost_workers_told(), _named_log_errors(out / "logs"):
            trainer.fit(module, train, dev, ckpt_path=start)
    except SystemExit as err:  # Lightning's own end, with status 1 after Ctrl-C and 0 after SIGTERM
        raise stop.reason() from err
    if trainer.interrupted:
        raise stop.reason()
    if trainer.is_global_zero:
        _save_model(module, kind, keeper.weights(), out, trainer.global_step)


def _trainer(module: TrainingModule, keepers: list[Callback], out: Path, processes: Processes) -> Trainer:
    settings, device = module.settings.trainer, "cuda" if processes.ngpu else "cpu"
    return lightning.Trainer(
        max_steps=settings.max_steps,
        max_epochs=-1,
        limit_train_batches=settings.steps_per_epoch * settings.accumulate,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.clip,
        precision=settings.precision,
        num_sanity_val_steps=0,
        accelerator="gpu" if processes.ngpu else "cpu",
        devices=processes.local,
        num_nodes=processes.num_nodes,
        strategy=DDPStrategy(forward_sync_buffers=False) if processes.world > 1 else "auto",
        sync_batchnorm=processes.ngpu > 0 and processes.world > 1,
        use_distributed_sampler=False,
        callbacks=[
            *optional_callbacks(settings, module.monitor, device),
            *keepers,
            StepProgress(out.name),
        ],
        log_every_n_steps=min(LOG_STEPS, settings.steps_per_epoch),
        logger=_loggers(out),
        enable_model_summary=False,
        plugins=[AtomicCheckpoints(), CLUSTERS[launcher(processes)]()],
    )


def _silence_hints() -> None:
    for hint in HINTS:
        warnings.filterwarnings("ignore", f".*{hint}.*")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


# What a training leaves for the stages after it: config.yaml and model.pt, also where there was nothing to train.


def resolved_settings(settings: Any, model: nn.Module) -> dict[str, Any]:
    """All settings with their defaults, and the model's own as they were after it was built.

    Args:
        settings: of the training.
        model: the network.

    Returns:
        What config.yaml holds beside revision and versions.
    """
    return {**config.to_dict(settings), "model": config.to_dict(model.config)}


def write_config(out: Path, settings: dict[str, Any]) -> None:
    """Write `out/config.yaml`: the git revision, the packages' versions and the settings.

    Args:
        out: folder of the training.
        settings: from `resolved_settings`.
    """
    with atomic_write(out / "config.yaml") as file:
        yaml.safe_dump({"git": revision(), "versions": versions(), **settings}, file, sort_keys=False)


def write_model(out: Path, kind: str, model: nn.Module, num_steps: int, num_trainable: int, num_bad_steps: int) -> None:
    """Write `out/model.pt`.

    Args:
        out: folder of the training.
        kind: of the network, such as `students`.
        model: the network with the weights to keep.
        num_steps: optimiser steps that were taken.
        num_trainable: trained parameters, also those that only the training needs, such as ArcFace weights.
        num_bad_steps: steps that were skipped because a gradient was not finite.
    """
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


def _save_model(module: TrainingModule, kind: str, weights: State, out: Path, num_steps: int) -> None:
    num_bad_steps = int(module.num_bad_steps)  # of the whole training, not of the kept epoch
    module.load_state_dict(weights)
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    write_model(out, kind, module.model, num_steps=num_steps, num_trainable=trainable, num_bad_steps=num_bad_steps)


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or not there.

    Lightning writes to /tmp and moves: between disks that is a copy, and a kill would leave a part of it.
    """

    def save_checkpoint(self, checkpoint: dict, path: str, storage_options: Any = None) -> None:
        """Write under a temporary name beside the file, then rename."""
        write_weights(path, checkpoint)


# Callbacks that the settings ask for; they survive a stop of the training.


def optional_callbacks(settings: TrainerConfig, monitor: str, device: str) -> list[Callback]:
    """A moving average of the weights and an early stop, where `settings` ask for them.

    Args:
        settings: of the trainer.
        monitor: name of the score on the dev set.
        device: where the average is kept, `cpu` or `cuda`.

    Returns:
        None to two callbacks.
    """
    callbacks: list[Callback] = []
    if settings.ema:
        callbacks.append(WeightAveraging(device=device, multi_avg_fn=moving_average(settings.ema)))
    if settings.patience:
        callbacks.append(EarlyStop(monitor, settings.patience))
    return callbacks


def moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """Average <- decay * average + (1 - decay) * current, in place; integer buffers (counts) are copied instead.

    Lightning's EMAWeightAveraging would average counts too, and move frozen weights by its rounding.

    Args:
        decay: how much of the average stays in each step, 0 to 1.

    Returns:
        Function of averages, current values (lists of tensors of one type) and the number of averages so far.
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

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop at once where the checkpoint, which has been read by now, says that patience had run out."""
        trainer.should_stop = self.wait_count >= self.patience

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Print that the training stopped early, and why."""
        if self.wait_count >= self.patience and trainer.global_step < trainer.max_steps and trainer.is_global_zero:
            print(
                f"early stop: {self.monitor} was not better in {self.wait_count} epochs, {trainer.global_step} of "
                f"{trainer.max_steps} steps were taken",
                flush=True,
            )


# Logs.


def _loggers(out: Path) -> list[Logger]:
    """`out/logs/csv`, and `out/logs/tensorboard` where the package tensorboard is installed."""
    loggers: list[Logger] = [CSVLogger(out, name="logs", version="csv")]
    if installed.is_there("tensorboard"):
        loggers.insert(0, TensorBoardLogger(out, name="logs", version="tensorboard"))
    return loggers


@contextmanager
def _named_log_errors(folder: Path) -> Iterator[None]:
    """Name `folder` in an OSError without a file name, such as of a full disk.

    TensorBoard's writer runs in a thread, which hands its OSError to the training as well: the thread's own traceback
    is left out.
    """

    def print_others(failure: threading.ExceptHookArgs) -> None:
        if not issubclass(failure.exc_type, OSError):
            before(failure)

    before, threading.excepthook = threading.excepthook, print_others
    try:
        yield
    except OSError as err:
        if err.errno and err.filename is None:
            err.filename = str(folder)
        raise
    finally:
        threading.excepthook = before


def _keep_log(path: Path) -> None:
    """Rename the log of a stopped run: Lightning's CSV logger begins an empty file."""
    if path.is_file():
        path.rename(path.with_stem(f"metrics.{len(list(path.parent.glob('metrics*.csv')))}"))


class StepProgress(ProgressBar):
    """One bar over all optimiser steps, with time left.

    A terminal is refreshed twice a second; a log file gets a line every half minute.
    """

    def __init__(self, title: str):
        super().__init__()
        self.title, self.bar = title, None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Open the bar at the step that the training goes on from."""
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

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Show the step and the latest losses."""
        latest = {name.split("/")[-1]: f"{value:.3f}" for name, value in trainer.callback_metrics.items()}
        self.bar.set_postfix(latest, refresh=False)
        self.bar.update(trainer.global_step - self.bar.n)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Close the bar."""
        self.bar.close()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the error is on a line of its own."""
        if self.bar is not None:
            self.bar.close()

    def disable(self) -> None:
        """Show no bar; Lightning calls it on all ranks but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show the bar again."""
        self._enabled = True

    @property
    def is_enabled(self) -> bool:
        """Whether the bar is shown."""
        return getattr(self, "_enabled", True)
