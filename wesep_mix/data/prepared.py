"""A set that stage 1 prepared, such as data/CORPUS/2mix/train: what can be mixed, its plans, how to read its audio."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from wesep_mix.mixing.draw import Pool
from wesep_mix.mixing.plan import PLANS, Plan, read_plans
from wesep_mix.mixing.prepare import load_pool


class PreparedSet:
    """What a set's folder holds, each part read when it is first asked for. Raises: UserError naming a damaged file."""

    def __init__(self, folder: Path):
        self.folder = folder

    @cached_property
    def pool(self) -> Pool:
        """What can be mixed, and how the plans were drawn."""
        return load_pool(self.folder)

    @cached_property
    def plans(self) -> list[Plan]:
        """Its fixed plans."""
        return read_plans(self.folder / PLANS)
