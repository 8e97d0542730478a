"""Options of a training that Lightning's callbacks provide, made to survive a stop."""

from __future__ import annotations

from collections.abc import Callable

from lightning.pytorch.callbacks import Callback, EarlyStopping, WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from wesep_mix.training.settings import TrainerConfig


def optional_callbacks(settings: TrainerConfig, monitor: str, device: str) -> list[Callback]:
    """What `settings` asks for beside checkpoints: a moving average of the weights, an early stop."""
    callbacks: list[Callback] = []
    if settings.ema:
        callbacks.append(WeightAveraging(device=device, multi_avg_fn=moving_average(settings.ema)))
    if settings.patience:
        callbacks.append(EarlyStop(monitor, settings.patience))
    return callbacks


def moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """average <- decay * average + (1 - decay) * current, in place; counts among the buffers are the current ones.

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
            print(f"early stop: {self.monitor} was not better in {self.wait_count} epochs, {trainer.global_step} of "
                  f"{trainer.max_steps} steps were taken", flush=True)
