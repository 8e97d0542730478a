"""Slots: what every memory of this room keeps of its talkers, tells, saves and loads."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.memory.observing import Observed, checked
from wesep_mix.memory.pairing import distinct


@dataclass
class Slot:
    """One talker.

    Attributes:
        total: sum of embeddings, [D]; its direction is the talker's mean.
    """

    total: np.ndarray
    confirmed = True  # more than a passing sound; in a memory that asks for more, a field

    @property
    def mean(self) -> np.ndarray:
        """The talker's embedding, a unit vector [D]."""
        return self.total / np.sqrt(self.total @ self.total)

    def parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Its fields by name.

        Returns:
            Copies of those that JSON can hold, sets as lists; and the arrays, which are replaced and never changed.
        """
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
        plain = {name: copy.copy(value) for name, value in fields.items() if name not in arrays}
        return {name: sorted(one) if isinstance(one, set) else one for name, one in plain.items()}, arrays


class Slots:
    """What the memories share. The same windows give the same answers, and the order of heads does not matter.

    Attributes:
        config: the plugin's; it has `tau_presence` and `tau_duplicate`, see `memory.pairing.distinct`.
        slots: by number; numbers are never used again.
        num_windows: heard.
        num_opened: slots that were ever opened.
        time_s: of the last window; -inf before the first.
    """

    KIND: type[Slot] = Slot

    def __init__(self, config: Any):
        self.config = config
        self.slots: dict[int, Any] = {}  # of KIND
        self.num_windows, self.num_opened = 0, 0
        self.time_s = -np.inf

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
        raise NotImplementedError

    def heard(
        self, embeddings: np.ndarray, presence: np.ndarray, time_s: float
    ) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Check a window, and find the heads in it that are heard.

        Args:
            embeddings: as for `observe`.
            presence: likewise.
            time_s: likewise.

        Returns:
            Unit vectors [N, D], presence [N], and the heads, as `memory.pairing.distinct` gives them.

        Raises:
            UserError: as `observe`.
        """
        dim = next((len(slot.total) for slot in self.slots.values()), None)
        found, sure = checked(embeddings, presence, dim)
        if not time_s > self.time_s:
            raise UserError(f"memory: wanted a window later than {self.time_s:g} s, found {time_s:g} s")
        return found, sure, distinct(found, sure, self.config.tau_presence, self.config.tau_duplicate)

    def opened(self, slot: Slot) -> int:
        """Keep a new slot; returns its number."""
        self.slots[self.num_opened] = slot
        self.num_opened += 1
        return self.num_opened - 1

    def means(self, confirmed: bool = True) -> dict[int, np.ndarray]:
        """Each talker's embedding by its slot, unit vectors [D]; `confirmed`: only of those who are."""
        return {number: slot.mean for number, slot in self.slots.items() if slot.confirmed or not confirmed}

    @property
    def num_talkers(self) -> int:
        """The number of talkers that a user is told: of slots that are confirmed."""
        return sum(slot.confirmed for slot in self.slots.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that it holds."""
        return sum(array.nbytes for array in self.state()[1].values())

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """All that it remembers; later windows do not change what was given.

        Returns:
            What JSON can hold, and arrays by name; `load` takes both.
        """
        slots: dict[str, dict[str, Any]] = {}
        arrays: dict[str, np.ndarray] = {}
        for number, slot in self.slots.items():
            plain, own = slot.parts()
            slots[str(number)] = plain
            arrays |= {f"{number}.{name}": array for name, array in own.items()}
        counts = {"num_windows": self.num_windows, "num_opened": self.num_opened}
        return {**counts, "time_s": None if np.isinf(self.time_s) else self.time_s, "slots": slots}, arrays

    def load(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Remember what `state` gave.

        Args:
            state: what JSON can hold.
            arrays: by name.
        """
        self.num_windows, self.num_opened = state["num_windows"], state["num_opened"]
        self.time_s = -np.inf if state["time_s"] is None else state["time_s"]
        self.slots = {}
        for number, plain in state["slots"].items():
            own = {name.partition(".")[2]: name for name in arrays if name.startswith(f"{number}.")}
            loaded = {name: np.array(arrays[whole]) for name, whole in own.items()}
            self.slots[int(number)] = self.KIND(**copy.deepcopy(dict(plain)), **loaded)
