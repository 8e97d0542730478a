"""The level of a signal, for models that work at unit level and give the mixture's back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SILENT = 1e-8  # root mean square below which a signal is left as it is


def root_mean_square(wav: Tensor) -> Tensor:
    """float [B, T] -> float [B, 1]; 1 for a silent row, so that one can divide by it."""
    return _to_divide_by(wav.square().mean(1, keepdim=True).sqrt())


@dataclass(frozen=True)
class Longer:
    """What a model must know of the longer signal that it is given a part of.

    level: root mean square of all of it, float [B, 1]; energy, count: sum of squares (float64 [B, 1]) and number of
    the samples in front of the part.
    """

    level: Tensor
    energy: Tensor
    count: int


class Level(nn.Module):
    """A level that a model takes from its input, or from the signal of which its input is a part (`part_of`)."""

    longer: Longer | None = None


class UnitLevel(Level):
    """The level of the whole signal."""

    def forward(self, wav: Tensor) -> Tensor:
        """float [B, T] -> float [B, 1], never 0."""
        return root_mean_square(wav) if self.longer is None else self.longer.level


class LevelSoFar(Level):
    """The level of all that was heard up to a sample, for causal models."""

    def forward(self, wav: Tensor, ends: Tensor) -> Tensor:
        """float [B, T], int64 [L] -> float [B, L]: the level of the samples in front of each of `ends`, never 0."""
        energy = wav.double().square().cumsum(1)[:, ends - 1]
        count = ends
        if self.longer is not None:
            energy, count = energy + self.longer.energy, ends + self.longer.count
        return _to_divide_by((energy / count).sqrt().to(wav.dtype))


@contextmanager
def part_of(model: nn.Module, longer: Longer) -> Iterator[None]:
    """Within it the model takes its input for a part of that signal."""
    levels = [module for module in model.modules() if isinstance(module, Level)]
    for module in levels:
        module.longer = longer
    try:
        yield
    finally:
        for module in levels:
            module.longer = None


def _to_divide_by(level: Tensor) -> Tensor:
    return torch.where(level > SILENT, level, 1.0)
