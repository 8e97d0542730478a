"""Baseline: only the window before counts, as where the outputs of a separator are stitched chunk by chunk.

Who is silent in one window is somebody new in the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from wesep_mix.base.config import Checked, at_least
from wesep_mix.memory.baseline import Baseline
from wesep_mix.memory.observing import Observed
from wesep_mix.memory.slots import Slot


@dataclass(frozen=True)
class Config(Checked):
    """The threshold is chosen on dev sessions.

    Attributes:
        tau_presence: presence from which a head is heard at all.
        tau_duplicate: cosine of two heads from which they are one; the more present stays.
        tau: least cosine of a head and that of the window before whose slot it takes; else it is somebody new.
    """

    name: str = "stitch"
    tau_presence: float = 0.5
    tau_duplicate: float = 0.9
    tau: Annotated[float, at_least(0)] = 0.5


class Model(Baseline):
    """See the module.

    Attributes:
        slots: those of the last window, each with its head's embedding; the others are forgotten.
    """

    def observe(self, embeddings: np.ndarray, presence: np.ndarray, time_s: float) -> Observed:
        """As every memory, see `memory.slots.Slots`.

        Args:
            embeddings: [N, D].
            presence: [N].
            time_s: of the window.

        Returns:
            The labels, margins and events.
        """
        answer = super().observe(embeddings, presence, time_s)
        self.slots = {number: slot for number, slot in self.slots.items() if number in answer.labels}
        return answer

    def learn(self, slot: Slot, one: np.ndarray) -> None:
        """Forget what the slot was.

        Args:
            slot: which.
            one: unit vector [D].
        """
        slot.total = one
