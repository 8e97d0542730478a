"""Baseline: the constrained incremental clustering of diart.

J. M. Coria et al., "Overlap-aware low-latency online speaker diarization based on end-to-end local segmentation" (ASRU
2021), as https://github.com/juanmc2005/diart has it in src/diart/blocks/clustering.py; written anew. Its rule:

1. Active speakers of a window and centres are paired one to one, with the least sum of cosine distances. Pairs from
   `delta_new` on are parted, and the speakers that are left are paired once more.
2. A speaker without a centre opens one if it is long enough and there is room. One that is not takes the nearest centre
   that nobody has in this window, however far that is, and does not move it.
3. A centre is the sum of its speakers' embeddings, those that were long enough in their windows.
4. In the first window every active speaker opens a centre, whether long enough or not.

What is other here: diart has an activity in frames, and calls a speaker active by its greatest value and long by its
mean, the share of the window. A student's head gives one number a window, so presence stands for both, and `rho_update`
has an effect only above `tau_active`. Where room is short, the most present head has it and not the first, so that the
order of heads does not matter; two heads of one talker are one, as in our other memories (`tau_duplicate: 2` leaves
that out). Embeddings have length 1 in both, so each speaker counts the same in a centre, and cosines see no scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from wesep_mix.base.config import Checked, Count, between
from wesep_mix.memory.baseline import Baseline, Decision
from wesep_mix.memory.pairing import ANY_COSINE, pairs


@dataclass(frozen=True)
class Config(Checked):
    """Named as diart names them, and with its defaults; `delta_new` is chosen on dev sessions.

    Attributes:
        tau_active: presence from which a head is heard at all.
        rho_update: presence from which it is long enough to move a centre, or to open one.
        delta_new: cosine distance of a head and its centre from which they do not belong together.
        max_speakers: most centres.
        tau_duplicate: cosine of two heads from which they are one; the more present stays.
    """

    name: str = "incremental"
    tau_active: float = 0.6
    rho_update: float = 0.3
    delta_new: Annotated[float, between(0, 2)] = 1.0
    max_speakers: Count = 20
    tau_duplicate: float = 0.9

    @property
    def tau_presence(self) -> float:
        """`tau_active`, by the name that all memories have for it."""
        return self.tau_active


class Model(Baseline):
    """See the module."""

    def decide(self, scores: np.ndarray, sure: np.ndarray) -> Decision:
        """The rule.

        Args:
            scores: of the heads that are heard and the slots, [A, K].
            sure: presence of these heads, [A].

        Returns:
            Who takes which slot.
        """
        heads, room = range(len(scores)), self.config.max_speakers - len(self.slots)
        if not self.num_windows:
            return Decision({}, (), heads[:room])
        close = [row for row, column in pairs(scores, ANY_COSINE) if 1 - scores[row, column] < self.config.delta_new]
        known = {close[place]: column for place, column in pairs(scores[close], ANY_COSINE)}
        long = [row for row in heads if sure[row] >= self.config.rho_update]
        moving = [row for row in long if row in known]
        new = [row for row in long if row not in known][:room]
        for row in heads:
            free = [column for column in range(scores.shape[1]) if column not in known.values()]
            if row not in known and row not in new and free:
                known[row] = max(free, key=lambda column: scores[row, column])
        return Decision(known, moving, new)
