"""A small online memory of talkers: slots with a fading mean and a few exemplars, gated updates, confirmation, merging.

Ours; the paper's second version (arXiv 2604.03219) names "a lightweight online memory mechanism" and tells no more.
Next of kin is the incremental clustering of diart: heads of one window never share a slot (cannot-link), and only sure
ones move a centre.

N heads, D values of an embedding, K slots. Unit vectors all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from wesep_mix.base.config import Checked, Count, CountOrZero, above, at_least
from wesep_mix.base.errors import UserError
from wesep_mix.memory.observing import NOBODY, Event, Observed, checked

BEST = 3  # exemplars that count in a score
NO_PAIR = -1e9


@dataclass(frozen=True)
class Config(Checked):
    """Thresholds of cosines are chosen on dev sessions; the defaults are only a start.

    Attributes:
        tau_presence: presence from which a head is heard at all.
        tau_new_presence: presence from which it may be somebody new.
        min_quality: quality (presence times distance to the nearest other head) from which it may be somebody new.
        tau_duplicate: cosine of two heads from which they are one; the more present stays.
        tau_match: least score of a head for its slot.
        tau_new: a head is somebody new where its best score among the slots that are free in this window is below.
        tau_update: score from which a head moves its slot.
        tau_merge: cosine of two slots from which they are one talker, if they never spoke in one window.
        half_life_s: in which a slot's mean forgets half.
        exemplars: kept for each slot.
        exemplar_gap_s: least time between two exemplars.
        exemplar_share: of the exemplars in a score; the rest is the mean's.
        continuity: added to the score of a slot that spoke in the window before.
        max_slots: most talkers.
        confirm_hits: windows out of `confirm_windows` in a row in which a slot must be heard to be confirmed.
        confirm_windows: see there.
        expire_s: after which a slot that was not confirmed goes.
        merge_every: windows between two looks for slots to merge; 0 for never.
        back_s: silence after which a talker who is heard again is told as `back`.
    """

    name: str = "online"
    tau_presence: float = 0.5
    tau_new_presence: float = 0.6
    min_quality: float = 0.1
    tau_duplicate: float = 0.9
    tau_match: float = 0.5
    tau_new: float = 0.45
    tau_update: float = 0.5
    tau_merge: float = 0.8
    half_life_s: Annotated[float, above(0)] = 120.0
    exemplars: CountOrZero = 8
    exemplar_gap_s: Annotated[float, at_least(0)] = 5.0
    exemplar_share: float = 0.3
    continuity: float = 0.05
    max_slots: Count = 10
    confirm_hits: Count = 2
    confirm_windows: Count = 4
    expire_s: Annotated[float, above(0)] = 15.0
    merge_every: CountOrZero = 10
    back_s: Annotated[float, above(0)] = 15.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tau_new > self.tau_match:
            raise ValueError(f"tau_new: wanted at most tau_match, {self.tau_match:g}, found {self.tau_new:g}")


@dataclass
class Slot:
    """One talker.

    Attributes:
        total: sum of embeddings by quality, [D]; its direction is the talker's mean.
        weight: sum of the qualities, faded like `total`.
        first_s: when opened, last_s: when last heard, updated_s: to when it has faded.
        hits: numbers of the windows in which it was heard; of one that is confirmed, no more.
        confirmed: whether it is more than a passing sound.
        beside: slots that spoke in a window with it, which are others' for sure.
        exemplars: [R, D], with their qualities and times.
    """

    total: np.ndarray
    weight: float
    first_s: float
    last_s: float
    updated_s: float
    hits: list[int] = field(default_factory=list)
    confirmed: bool = False
    beside: set[int] = field(default_factory=set)
    exemplars: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    qualities: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def mean(self) -> np.ndarray:
        """The talker's embedding, a unit vector [D]."""
        return self.total / np.linalg.norm(self.total)


class Model:
    """See the module. The same windows give the same answers, and the order of heads does not matter.

    Attributes:
        slots: by number; numbers are never used again.
    """

    def __init__(self, config: Config):
        self.config = config
        self.slots: dict[int, Slot] = {}
        self.num_windows, self.num_opened = 0, 0
        self.time_s = -np.inf
        self.spoke: set[int] = set()  # in the window before

    def observe(self, embeddings: np.ndarray, presence: np.ndarray, time_s: float) -> Observed:
        """Say who the heads of the next window are, and learn from them.

        Args:
            embeddings: [N, D].
            presence: probability of each head's speaking for a talker, [N].
            time_s: of the window; later than that before.

        Returns:
            The labels, margins and events.

        Raises:
            UserError: what is given cannot be an observation, or does not follow on the one before.
        """
        dim = next((len(slot.total) for slot in self.slots.values()), None)
        found, sure = checked(embeddings, presence, dim)
        if not time_s > self.time_s:
            raise UserError(f"memory: wanted a window later than {self.time_s:g} s, found {time_s:g} s")
        events = list(self._expire(time_s))
        heads = self._distinct(found, sure)
        quality = _quality(found, sure, heads)
        numbers = sorted(self.slots)
        scores = np.array([[self._score(found[head], number) for number in numbers] for head in heads])
        scores = scores.reshape(len(heads), len(numbers))
        labels, margins = np.full(len(found), NOBODY), np.zeros(len(found))
        for row, column in self._pairs(scores):
            labels[heads[row]] = numbers[column]
            margins[heads[row]] = scores[row, column] - max(np.delete(scores[row], column), default=-np.inf)
        taken = {number for number in labels if number != NOBODY}
        free = [column for column, number in enumerate(numbers) if number not in taken]
        for row, head in enumerate(heads):
            if (number := int(labels[head])) != NOBODY:
                score = scores[row, numbers.index(number)]
                events += self._hear(number, found[head], quality[head], score, time_s)
        for row, head in enumerate(heads):
            best = max(scores[row, free], default=-np.inf)
            if labels[head] == NOBODY and self._is_new(sure[head], quality[head], best):
                events += self._make_room(time_s)
                if len(self.slots) < self.config.max_slots:
                    labels[head], margins[head] = self._open(found[head], quality[head], time_s), np.inf
                    events.append(Event("new", int(labels[head]), time_s))
        heard = {int(number) for number in labels if number != NOBODY and int(number) in self.slots}
        for number in heard:
            self.slots[number].beside |= heard - {number}
        self.spoke, self.time_s = heard, time_s
        self.num_windows += 1
        events += self._merge(time_s) if self._merges_now() else ()
        return Observed(tuple(int(number) for number in labels), margins, tuple(events))

    def means(self, confirmed: bool = True) -> dict[int, np.ndarray]:
        """Each talker's embedding by its slot, unit vectors [D]; `confirmed`: only of those who are."""
        return {number: slot.mean for number, slot in self.slots.items() if slot.confirmed or not confirmed}

    def _distinct(self, found: np.ndarray, sure: np.ndarray) -> list[int]:
        """Heads that are heard, each talker once, the most present first."""
        kept: list[int] = []
        for head in _by(sure, found):
            near = found[kept] @ found[head] if kept else np.zeros(0)
            if sure[head] > self.config.tau_presence and not (near > self.config.tau_duplicate).any():
                kept.append(head)
        return kept

    def _score(self, one: np.ndarray, number: int) -> float:
        slot, share = self.slots[number], self.config.exemplar_share
        score = float(one @ slot.mean)
        if len(slot.exemplars):
            score = (1 - share) * score + share * float(np.sort(slot.exemplars @ one)[-BEST:].mean())
        return score + self.config.continuity * (number in self.spoke)

    def _pairs(self, scores: np.ndarray) -> Iterator[tuple[int, int]]:
        """Heads and slots, one to one, with the largest sum over pairs of what is above `tau_match`."""
        gain = np.where(scores >= self.config.tau_match, scores - self.config.tau_match, NO_PAIR)
        for row, column in zip(*linear_sum_assignment(np.maximum(gain, 0.0), maximize=True), strict=True):
            if gain[row, column] > NO_PAIR:
                yield int(row), int(column)

    def _is_new(self, sure: float, quality: float, best: float) -> bool:
        config = self.config
        return sure > config.tau_new_presence and quality > config.min_quality and best < config.tau_new

    def _make_room(self, time_s: float) -> Iterator[Event]:
        """Where all slots are taken, the lightest goes that is neither confirmed nor heard in this window."""
        if len(self.slots) >= self.config.max_slots:
            passing = [number for number, slot in self.slots.items() if not slot.confirmed and slot.last_s < time_s]
            if passing:
                lightest = min(passing, key=lambda number: (self.slots[number].weight, number))
                del self.slots[lightest]
                yield Event("gone", lightest, time_s)

    def _open(self, one: np.ndarray, quality: float, time_s: float) -> int:
        slot = Slot(quality * one, quality, time_s, time_s, time_s, [self.num_windows])
        slot.confirmed = self.config.confirm_hits == 1
        self._keep_exemplar(slot, one, quality, time_s)
        self.slots[self.num_opened] = slot
        self.num_opened += 1
        return self.num_opened - 1

    def _hear(self, number: int, one: np.ndarray, quality: float, score: float, time_s: float) -> Iterator[Event]:
        slot, config = self.slots[number], self.config
        if slot.confirmed and time_s - slot.last_s >= config.back_s:
            yield Event("back", number, time_s, away_s=time_s - slot.last_s)
        slot.last_s = time_s
        if score > config.tau_update:
            fade = 0.5 ** ((time_s - slot.updated_s) / config.half_life_s)
            slot.total, slot.weight = fade * slot.total + quality * one, fade * slot.weight + quality
            slot.updated_s = time_s
            self._keep_exemplar(slot, one, quality, time_s)
        if not slot.confirmed:
            slot.hits = [hit for hit in slot.hits if self.num_windows - hit < config.confirm_windows]
            slot.hits.append(self.num_windows)
            if len(slot.hits) >= config.confirm_hits:
                slot.confirmed = True
                yield Event("confirmed", number, time_s)

    def _keep_exemplar(self, slot: Slot, one: np.ndarray, quality: float, time_s: float) -> None:
        """The best by quality are kept, no two nearer in time than `exemplar_gap_s`."""
        if not self.config.exemplars:
            return
        near = [place for place, at in enumerate(slot.times) if time_s - at < self.config.exemplar_gap_s]
        worst = near or (range(len(slot.times)) if len(slot.times) >= self.config.exemplars else [])
        place = min(worst, key=lambda each: (slot.qualities[each], each)) if worst else len(slot.times)
        if worst and slot.qualities[place] >= quality:
            return
        rows = list(slot.exemplars)
        rows[place : place + 1], slot.qualities[place : place + 1] = [one], [quality]
        slot.times[place : place + 1] = [time_s]
        slot.exemplars = np.stack(rows)

    def _expire(self, time_s: float) -> Iterator[Event]:
        for number, slot in list(self.slots.items()):
            if not slot.confirmed and time_s - slot.last_s > self.config.expire_s:
                del self.slots[number]
                yield Event("gone", number, time_s)

    def _merges_now(self) -> bool:
        return self.config.merge_every > 0 and self.num_windows % self.config.merge_every == 0

    def _merge(self, time_s: float) -> Iterator[Event]:
        """Two slots of one talker become the older."""
        for one in sorted(self.slots):
            for other in sorted(number for number in self.slots if number > one):
                if one not in self.slots or other in self.slots[one].beside:
                    continue
                if self.slots[one].mean @ self.slots[other].mean > self.config.tau_merge:
                    self._join(one, other)
                    yield Event("merged", one, time_s, other)

    def _join(self, one: int, other: int) -> None:
        kept, gone = self.slots[one], self.slots.pop(other)
        kept.total, kept.weight = kept.total + gone.total, kept.weight + gone.weight
        kept.last_s, kept.confirmed = max(kept.last_s, gone.last_s), kept.confirmed or gone.confirmed
        kept.beside |= gone.beside
        for slot in self.slots.values():
            if other in slot.beside:
                slot.beside = (slot.beside - {other}) | {one}
        for row, quality, at in zip(gone.exemplars, gone.qualities, gone.times, strict=True):
            self._keep_exemplar(kept, row, quality, at)
        if other in self.spoke:
            self.spoke = (self.spoke - {other}) | {one}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """All that it remembers.

        Returns:
            What JSON can hold, and arrays by name; `load` takes both.
        """
        slots, arrays = {}, {}
        for number, slot in self.slots.items():
            kept = {each.name: getattr(slot, each.name) for each in dataclasses.fields(Slot)}
            arrays[f"{number}.total"], arrays[f"{number}.exemplars"] = kept.pop("total"), kept.pop("exemplars")
            slots[str(number)] = kept | {"beside": sorted(slot.beside)}
        own = {name: getattr(self, name) for name in ("num_windows", "num_opened")}
        time_s = None if np.isinf(self.time_s) else self.time_s
        return {**own, "time_s": time_s, "spoke": sorted(self.spoke), "slots": slots}, arrays

    def load(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Remember what `state` gave."""
        self.num_windows, self.num_opened = state["num_windows"], state["num_opened"]
        self.time_s = -np.inf if state["time_s"] is None else state["time_s"]
        self.spoke = set(state["spoke"])
        self.slots = {
            int(number): Slot(
                total=np.array(arrays[f"{number}.total"]),
                exemplars=np.array(arrays[f"{number}.exemplars"]),
                **{**kept, "beside": set(kept["beside"])},
            )
            for number, kept in state["slots"].items()
        }


def _by(sure: np.ndarray, found: np.ndarray) -> list[int]:
    """Heads, the most present first; equals by their embeddings, so that their order does not matter."""
    return sorted(range(len(sure)), key=lambda head: (-sure[head], found[head].tolist()))


def _quality(found: np.ndarray, sure: np.ndarray, heads: list[int]) -> np.ndarray:
    """Presence times distance to the nearest other head that is heard, 0 to 1: [N]; needs no slots."""
    quality = np.zeros(len(found))
    for head in heads:
        others = [other for other in heads if other != head]
        near = max(found[others] @ found[head], default=0.0)
        quality[head] = sure[head] * min(max(1.0 - near, 0.0), 1.0)
    return quality
