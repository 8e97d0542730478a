"""Which weights of a training are kept: of its best epoch or epochs on the dev set, or of the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from wesep_mix.base.errors import UserError
from wesep_mix.io.weights import damage, read_weights
from wesep_mix.training.settings import TrainerConfig

State = dict[str, Tensor]
LAST = "last.ckpt"
STOPPED = "stopped.ckpt"  # in the middle of an epoch, behind the last


class Keeper:
    """The checkpoints in `out/checkpoints`, and the weights that are taken from them in the end.

    `last.ckpt` is there to go on from. Beside it is `best.ckpt`, of the epoch with the lowest score, or with `average`
    so many `best-step=<step>.ckpt`.

    Args:
        out: folder of the training.
        settings: of the trainer (`keep`, `average`).
        monitor: name of the score on the dev set.
    """

    def __init__(self, out: Path, settings: TrainerConfig, monitor: str):
        self.folder, self.settings = out / "checkpoints", settings
        name = "best-{step}" if settings.average else "best"
        self.best = self._checkpoints(filename=name, save_top_k=max(settings.average, 1), monitor=monitor)
        # last.ckpt notes which is the best, which is therefore written first
        self.callbacks = [self.best, self._checkpoints(filename="last", save_top_k=1)]

    def start(self) -> Path | None:
        """What a stopped training goes on from: the newest checkpoint, or where it is damaged the one before it.

        Returns:
            The checkpoint; None where there is none yet.

        Raises:
            UserError: none is whole, or one is damaged whose weights may be the ones to keep.
        """
        last, best = self.folder / LAST, sorted(self.folder.glob("best*.ckpt"), key=_step, reverse=True)
        ends = [path for path in (self.folder / STOPPED, last) if path.is_file()]
        if not ends:
            return None
        wrong = {path: reason for path in (*ends, *best) if (reason := damage(path))}
        whole = [path for path in (*ends, *best) if path not in wrong]
        lost = [path for path in best if path in wrong and self.settings.keep == "best"]
        if lost or not whole:
            path = (lost or [last])[0]
            raise UserError(
                f"{path}: damaged ({wrong[path]}), and no other checkpoint can take its place; copy it "
                "from elsewhere, or train anew with --force true"
            )
        for path in ends[: ends.index(whole[0]) if whole[0] in ends else None]:
            print(f"{path}: damaged ({wrong[path]}); the checkpoint before it is taken", flush=True)
        return whole[0]

    def weights(self) -> State:
        """The weights to keep: of the best epoch, the last, or the mean of the best ones.

        Returns:
            State dict of the whole training module.

        Raises:
            UserError: the mean of the best epochs is wanted and none of them has a finite score.
        """
        if not self.settings.average:
            return state_of(self.folder / f"{self.settings.keep}.ckpt")
        paths = self._best_epochs()
        print(
            f"{self.folder.parent}: the mean of the weights of {len(paths)} epochs: "
            f"{', '.join(path.stem.removeprefix('best-') for path in paths)}",
            flush=True,
        )
        return mean_state(paths)

    def _best_epochs(self) -> list[Path]:
        """Best first. One can be missing: a better epoch replaced it, but was worse when trained again after a kill."""
        scores = {Path(path): float(score) for path, score in self.best.best_k_models.items()}
        there = [path for path, score in scores.items() if math.isfinite(score) and path.is_file()]
        if not there:
            raise UserError(
                f"{self.folder}: no epoch with a finite {self.best.monitor}, wanted up to "
                f"{self.settings.average} to average; lower optim.lr, or set trainer.average to 0"
            )
        return sorted(there, key=scores.get)

    def _checkpoints(self, **which) -> ModelCheckpoint:
        """Written after validation; `save_last` would write the last one only when it is among the best."""
        return _Movable(self.folder, enable_version_counter=False, save_on_train_epoch_end=False, **which)


class _Movable(ModelCheckpoint):
    """Remembers the best epochs also in a folder that was moved, where Lightning's own forgets them."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(self.dirpath, Path(path).name)) if path else path

        paths = {key: here(state_dict[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")}
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "dirpath": self.dirpath, "best_k_models": best})


def _step(path: Path) -> int:
    """The step in the name `best-step=<step>.ckpt`; 0 for `best.ckpt`."""
    step = path.stem.rpartition("=")[2]
    return int(step) if step.isdecimal() else 0


def state_of(path: Path) -> State:
    """The weights in a checkpoint; with a moving average these are the averaged ones."""
    return read_weights(path)["state_dict"]


def mean_state(paths: Sequence[Path]) -> State:
    """The mean of the weights in checkpoints, with two of them in memory at a time; counts are the first one's."""
    total = state_of(paths[0])
    for path in paths[1:]:
        for name, value in state_of(path).items():
            if value.is_floating_point():
                total[name] += value
    return {name: value / len(paths) if value.is_floating_point() else value for name, value in total.items()}
