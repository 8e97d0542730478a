"""Baseline: a running mean a slot and one threshold (leader clustering, heads of one window one to one)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from wesep_mix.base.config import Checked, at_least
from wesep_mix.memory.baseline import Baseline


@dataclass(frozen=True)
class Config(Checked):
    """The threshold is chosen on dev sessions.

    Attributes:
        tau_presence: presence from which a head is heard at all.
        tau_duplicate: cosine of two heads from which they are one; the more present stays.
        tau: least cosine of a head and its slot; a head that is left over is somebody new.
    """

    name: str = "leader"
    tau_presence: float = 0.5
    tau_duplicate: float = 0.9
    tau: Annotated[float, at_least(0)] = 0.5


class Model(Baseline):
    """See the module: every head that is heard has a slot, and every slot learns from every head that it takes."""
