"""A progress bar over the whole training, with time left, that reads well in a terminal and in a log file."""

from __future__ import annotations

import os
import sys

from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from wesep_mix.together import BAR_POSITION


class StepProgress(ProgressBar):
    """One bar for all optimiser steps; a log file gets a line every half minute instead of ten a second."""

    def __init__(self, title: str):
        super().__init__()
        self.title, self.bar = title, None

    def on_train_start(self, trainer, module) -> None:
        interval = 0.5 if sys.stderr.isatty() else 30.0
        self.bar = tqdm(
            total=trainer.max_steps, initial=trainer.global_step, desc=self.title, unit="step", mininterval=interval,
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
