"""What a student asks of the `Config` of a front-end that is trained as a whole or not at all."""

from __future__ import annotations

import dataclasses
from typing import Any


class TrainedWhole:
    """For a dataclass with the fields `name` and `finetuned`."""

    def with_finetuned(self, num_layers: int | None) -> Any:
        """The same config where all is trained (None), or nothing (0). Raises: ValueError for a number of layers."""
        if num_layers:
            raise ValueError(f"the front-end {self.name} is trained as a whole, wanted a pretrained one (ssl)")
        return dataclasses.replace(self, finetuned=num_layers is None)
