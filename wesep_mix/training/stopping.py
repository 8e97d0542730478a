"""A training that is told to end writes a checkpoint first: SIGTERM (scancel, preemption) and SIGUSR1 (time limit).

Slurm sends SIGUSR1 to what srun has started, some time before the limit, where a job asks for it (`--signal`); the job
then puts itself back into the queue. A job that is preempted is put back by Slurm, one that is cancelled is not. During
validation a signal waits for its end, since a checkpoint follows it anyway. Ctrl-C ends a training at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from wesep_mix.base.environment import rank
from wesep_mix.base.stops import Terminated

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopInTime(Callback):
    """Ends a training behind the step at which a signal came, with a checkpoint from which it goes on at the next.

    Several processes ask each other every `every` steps. A signal often comes more than once: from Slurm to all
    processes, data workers too, and from whoever started this one. Only the first counts.

    Args:
        path: of the checkpoint, which is removed when an epoch ends.
        every: optimiser steps.
    """

    def __init__(self, path: Path, every: int):
        self.path, self.every = path, every
        self.number, self.before = 0, {}
        self.num_done = 0  # batches of this process in the epoch

    def reason(self) -> KeyboardInterrupt:
        """What the training was ended by, when it was; after SIGUSR1 a Slurm job is put back into its queue."""
        if self.number == signal.SIGUSR1 and rank() == 0 and (job := _slurm_job()):
            _put_back(job)
        return Terminated() if self.number else KeyboardInterrupt()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"num_done": self.num_done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Read what a checkpoint holds of it."""
        self.num_done = state_dict["num_done"]

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Begin behind the batches that were taken, and watch for signals in Lightning's place."""
        sampler = trainer.train_dataloader.sampler
        if hasattr(sampler, "skip"):
            sampler.skip = (trainer.current_epoch, self.num_done * trainer.train_dataloader.batch_size)

        def note(number: int, frame: FrameType | None) -> None:
            self.number = self.number or number

        self.before = {number: signal.signal(number, note) for number in SIGNALS}

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Count the batch; where a signal has come, write the checkpoint and end."""
        self.num_done = batch_index + 1
        size = trainer.accumulate_grad_batches
        if self.num_done % size or self.num_done == trainer.num_training_batches:  # the epoch's end has a checkpoint
            return
        if trainer.world_size > 1 and (self.num_done // size) % self.every:
            return
        if self._told(trainer, module):
            trainer.save_checkpoint(self.path)
            self._end(trainer, self.path)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Forget the checkpoint in the middle of the epoch; there is one of its end by now."""
        self.num_done = 0
        if trainer.is_global_zero:
            self.path.unlink(missing_ok=True)
        if self._told(trainer, module):
            self._end(trainer, self.path.parent)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """The checkpoint behind a validation begins a new epoch."""
        self.num_done = 0

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self.on_train_end(trainer, module)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Give the signals back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def _told(self, trainer: Trainer, module: LightningModule) -> bool:
        """Whether a signal has come to any process; all of them ask at once."""
        if trainer.world_size > 1:
            number = torch.tensor(self.number, device=module.device)
            torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MAX)
            self.number = int(number)
        return self.number != 0

    def _end(self, trainer: Trainer, where: Path) -> None:
        """Say where the checkpoint is, and end.

        What comes now comes late: Slurm ends the processes of a job that goes back into the queue.
        """
        if trainer.is_global_zero:
            came = signal.Signals(self.number).name
            print(f"{where}: step {trainer.global_step}, {came} came", flush=True)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self.before = {}
        raise Terminated


def _put_back(job: str) -> None:
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
    said = f": {done.stderr.strip()}; submit it again" if done.returncode else ""
    print(f"job {job}: {'not put back' if said else 'put back'} into Slurm's queue{said}", flush=True)


def _slurm_job() -> str | None:
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")
