"""What the baselines share: each keeps one vector a slot, and differs in its rule alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wesep_mix.memory.observing import NOBODY, Event, Observed
from wesep_mix.memory.pairing import margin, pairs
from wesep_mix.memory.slots import Slot, Slots


@dataclass(frozen=True)
class Decision:
    """What a rule makes of the heads that are heard, which it knows by their rows of the scores.

    Attributes:
        known: the column that a row takes; no column twice.
        moving: rows of `known` from which their slots learn.
        new: rows that open a slot, in this order. The others are nobody.
    """

    known: Mapping[int, int]
    moving: Collection[int]
    new: Sequence[int]


class Baseline(Slots):
    """A memory whose scores are cosines, and whose slots are told as soon as they are opened; a subclass has the rule.

    `new` is the only event: no slot is ever merged, lost or waited for.
    """

    def observe(self, embeddings: np.ndarray, presence: np.ndarray, time_s: float) -> Observed:
        """Say who the heads of the next window are, and learn from them.

        Args:
            embeddings: [N, D]; N may be 0.
            presence: probability of each head's speaking for a talker, [N].
            time_s: of the window; later than that before.

        Returns:
            The labels, margins and events.

        Raises:
            UserError: what is given cannot be an observation, or does not follow on the one before.
        """
        found, sure, heads = self.heard(embeddings, presence, time_s)
        numbers = sorted(self.slots)
        means = np.array([self.slots[number].mean for number in numbers]).reshape(len(numbers), found.shape[1])
        scores = found[heads] @ means.T
        decision = self.decide(scores, sure[heads])
        labels, margins = np.full(len(found), NOBODY), np.zeros(len(found))
        for row, column in decision.known.items():
            labels[heads[row]], margins[heads[row]] = numbers[column], margin(scores[row], column)
            if row in decision.moving:
                self.learn(self.slots[numbers[column]], found[heads[row]])
        for row in decision.new:
            labels[heads[row]], margins[heads[row]] = self.opened(Slot(found[heads[row]])), np.inf
        self.num_windows, self.time_s = self.num_windows + 1, time_s
        new = tuple(Event("new", int(labels[heads[row]]), time_s) for row in decision.new)
        return Observed(tuple(labels.tolist()), margins, new)

    def decide(self, scores: np.ndarray, sure: np.ndarray) -> Decision:
        """The rule: by default heads and slots are paired from `tau` of the config on, and who is left over is new.

        Args:
            scores: cosines of the heads that are heard, the most present first, and of the slots, [A, K].
            sure: presence of these heads, [A].

        Returns:
            Who takes which slot.
        """
        known = dict(pairs(scores, self.config.tau))
        return Decision(known, moving=known, new=[row for row in range(len(scores)) if row not in known])

    def learn(self, slot: Slot, one: np.ndarray) -> None:
        """Move a slot by a head of its talker's: by default the sum of both, which points where their mean does.

        Args:
            slot: which.
            one: unit vector [D].
        """
        slot.total = slot.total + one

    @property
    def num_talkers(self) -> int:
        """The number of talkers that a user is told: of all slots that were ever opened."""
        return self.num_opened
