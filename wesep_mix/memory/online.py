"""A small online memory of talkers: slots with a fading mean and a few exemplars, gated updates, confirmation, merging.

Ours; the paper's second version (arXiv 2604.03219) names "a lightweight online memory mechanism" and tells no more.
Next of kin is the incremental clustering of diart: heads of one window never share a slot (cannot-link), and only sure
ones move a centre.

N heads, D values of an embedding, K slots. Unit vectors all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import numpy as np

from wesep_mix.base.config import Checked, Count, CountOrZero, above, at_least, between
from wesep_mix.base.errors import UserError
from wesep_mix.memory import slots
from wesep_mix.memory.observing import NOBODY, Event, Observed, directions
from wesep_mix.memory.pairing import margin, pairs

BEST = 3  # exemplars that count in a score
LEAST_SPREAD = 1e-6  # of a head's scores with a cohort


@dataclass(frozen=True)
class Config(Checked):
    """Thresholds of cosines are chosen on dev sessions; the defaults are only a start.

    Attributes:
        tau_presence: presence from which a head is heard at all.
        tau_new_presence: presence from which it may be somebody new.
        min_quality: quality (presence times distance to the nearest other head) from which it may be somebody new.
        tau_duplicate: cosine of two heads from which they are one; the more present stays.
        tau_match: least score of a head for its slot.
        doubt: taken off the scores of a head for slots, times what its presence lacks to 1: who hardly seems to speak
            has to be nearer. With it, `tau_presence` may be low.
        tau_new: a head is somebody new where its best score among the slots that are free in this window is below.
        tau_taken: a head whose score for a slot that another head has in this window is as high is nobody new: it hears
            that talker, too.
        tau_update: score from which a head moves its slot.
        tau_merge: cosine of two slots from which they are one talker, if they never spoke in one window.
        merge_share: of the windows of a slot, up to which two may have spoken together and still be merged.
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
        as_norm: whether a head's scores are told in standard deviations from the mean of its cosines with a cohort of
            training talkers' embeddings (`Model.cohort`), before `continuity` is added. `tau_match`, `tau_new`,
            `tau_update` and `continuity` are of such scores then.

    Parts are left out, to see what each is worth, by `continuity: 0`, `exemplars: 0`, `tau_update: -1` (a slot always
    moves), `confirm_hits: 1`, `merge_every: 0` and `half_life_s: .inf`.
    """

    name: str = "online"
    tau_presence: float = 0.5
    tau_new_presence: float = 0.6
    min_quality: float = 0.1
    tau_duplicate: float = 0.9
    tau_match: float = 0.5
    doubt: Annotated[float, at_least(0)] = 0.0
    tau_new: float = 0.45
    tau_update: float = 0.5
    tau_merge: float = 0.8
    merge_share: Annotated[float, between(0, 1)] = 0.1
    tau_taken: float = 0.8
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
    as_norm: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tau_new > self.tau_match:
            raise ValueError(f"tau_new: wanted at most tau_match, {self.tau_match:g}, found {self.tau_new:g}")
        if self.confirm_hits > self.confirm_windows:
            wanted = f"at most confirm_windows, {self.confirm_windows}"
            raise ValueError(f"confirm_hits: wanted {wanted}, found {self.confirm_hits}")


@dataclass
class Slot(slots.Slot):
    """One talker.

    Attributes:
        total: sum of embeddings by quality, [D]; its direction is the talker's mean.
        weight: sum of the qualities, faded like `total`.
        first_s: when opened, last_s: when last heard, updated_s: to when it has faded.
        hits: numbers of the windows in which it was heard; of one that is confirmed, no more.
        confirmed: whether it is more than a passing sound.
        windows: in how many it was heard.
        beside: in how many of these each other slot spoke, too.
        exemplars: [R, D], with their qualities and times.
    """

    weight: float
    first_s: float
    last_s: float
    updated_s: float
    hits: list[int] = field(default_factory=list)
    confirmed: bool = False
    windows: int = 0
    beside: dict[int, int] = field(default_factory=dict)
    exemplars: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    qualities: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.beside = {int(number): count for number, count in self.beside.items()}  # names in JSON are text


class Norms(NamedTuple):
    """Mean and standard deviation of each head's scores with a cohort, [N, 1]."""

    mean: np.ndarray
    spread: np.ndarray


class Model(slots.Slots):
    """See the module. The same windows give the same answers, and the order of heads does not matter.

    Attributes:
        slots: by number; numbers are never used again.
        spoke: slots that were heard in the window before.
        cohort: for `as_norm`; it may be set after the memory was built.
    """

    KIND = Slot

    def __init__(self, config: Config, cohort: np.ndarray | None = None):
        super().__init__(config)
        self.spoke: set[int] = set()
        self.cohort = cohort

    @property
    def cohort(self) -> np.ndarray | None:
        """Embeddings of training talkers that `as_norm` measures scores by, unit vectors [C, D]; saved with the rest.

        Setting it takes vectors of any length above 0, and raises a UserError for what cannot be a cohort.
        """
        return self._cohort

    @cohort.setter
    def cohort(self, embeddings: np.ndarray | None) -> None:
        self._cohort = None if embeddings is None else directions(embeddings)

    def observe(self, embeddings: np.ndarray, presence: np.ndarray, time_s: float) -> Observed:
        """Say who the heads of the next window are, and learn from them.

        Args:
            embeddings: [N, D]; N may be 0.
            presence: probability of each head's speaking for a talker, [N].
            time_s: of the window; later than that before.

        Returns:
            The labels, margins and events.

        Raises:
            UserError: what is given cannot be an observation, or does not follow on the one before; with `as_norm`,
                the cohort is missing or does not fit.
        """
        found, sure, heads = self.heard(embeddings, presence, time_s)
        norms = self._norms(found[heads])
        events = list(self._expire(time_s))
        quality = _quality(found, sure, heads)
        numbers = sorted(self.slots)
        near = self._near(found[heads], numbers, norms)
        scores = near - self.config.doubt * (1.0 - sure[heads])[:, None]
        labels, margins = np.full(len(found), NOBODY), np.zeros(len(found))
        for row, column in pairs(scores, self.config.tau_match):
            labels[heads[row]], margins[heads[row]] = numbers[column], margin(scores[row], column)
        taken = set(labels.tolist())
        free = [column for column, number in enumerate(numbers) if number not in taken]
        for row, head in enumerate(heads):
            if (number := int(labels[head])) != NOBODY:
                score = scores[row, numbers.index(number)]
                events += self._hear(number, found[head], quality[head], score, time_s)
        for row, head in enumerate(heads):
            best = max(near[row, free], default=-np.inf)
            known = max(np.delete(near[row], free), default=-np.inf) >= self.config.tau_taken
            if labels[head] == NOBODY and not known and self._is_new(sure[head], quality[head], best):
                events += self._make_room(time_s)
                if len(self.slots) < self.config.max_slots:
                    labels[head], margins[head] = self._open(found[head], quality[head], time_s), np.inf
                    events.append(Event("new", int(labels[head]), time_s))
        heard = {number for number in labels.tolist() if number in self.slots}
        for number in heard:
            self.slots[number].windows += 1
            for other in heard - {number}:
                self.slots[number].beside[other] = self.slots[number].beside.get(other, 0) + 1
        self.spoke, self.time_s = heard, time_s
        self.num_windows += 1
        events += self._merge(time_s) if self._merges_now() else ()
        return Observed(tuple(labels.tolist()), margins, tuple(events))

    def _near(self, heads: np.ndarray, numbers: list[int], norms: Norms | None) -> np.ndarray:
        """How near each head, unit vectors [N, D], is to each slot, those that spoke before being nearer: [N, K]."""
        kept = [self.slots[number] for number in numbers]
        means = [slot.mean for slot in kept]
        scores = np.array([[one.dot(mean) for mean in means] for one in heads]).reshape(len(heads), len(kept))
        near, share = self._nearest(heads, kept)
        scores = (1 - share) * scores + share * near
        if norms is not None:
            scores = (scores - norms.mean) / norms.spread
        return scores + self.config.continuity * np.array([number in self.spoke for number in numbers], dtype=bool)

    def _nearest(self, heads: np.ndarray, kept: list[Slot]) -> tuple[np.ndarray, np.ndarray]:
        """Mean cosines of the heads and the nearest exemplars of each slot, [N, K], and the share they have, [K]."""
        counts = np.array([len(slot.exemplars) for slot in kept], dtype=int)
        cosines = np.full((len(heads), len(kept), counts.max(initial=0)), -np.inf)
        for column, slot in enumerate(kept):
            for row, one in enumerate(heads if counts[column] else ()):
                cosines[row, column, : counts[column]] = slot.exemplars.dot(one)
        cosines.sort(axis=2)
        best = cosines[:, :, -BEST:]
        best[np.isinf(best)] = 0.0  # fewer exemplars than that
        near = best.sum(2) / np.clip(counts, 1, BEST)
        return near, np.where(counts > 0, self.config.exemplar_share, 0.0)

    def _norms(self, heads: np.ndarray) -> Norms | None:
        """What the heads' scores are with the cohort, where `as_norm` asks for it."""
        if not self.config.as_norm:
            return None
        if self.cohort is None:
            raise UserError("memory: as_norm: there is no cohort; give training talkers' embeddings, or as_norm: false")
        if self.cohort.shape[1] != heads.shape[1]:
            raise UserError(f"memory: wanted a cohort [C, {heads.shape[1]}], found {self.cohort.shape}")
        scores = heads @ self.cohort.T
        norms = Norms(scores.mean(1, keepdims=True), scores.std(1, keepdims=True))
        if (norms.spread < LEAST_SPREAD).any():
            raise UserError(
                f"memory: as_norm: a head is equally near to all {len(self.cohort)} embeddings of the cohort; wanted "
                "those of many talkers"
            )
        return norms

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
        return self.opened(slot)

    def _hear(self, number: int, one: np.ndarray, quality: float, score: float, time_s: float) -> Iterator[Event]:
        slot, config = self.slots[number], self.config
        if slot.confirmed and time_s - slot.last_s >= config.back_s:
            yield Event("back", number, time_s, away_s=time_s - slot.last_s)
        slot.last_s = time_s
        if score > config.tau_update:
            self._fade(slot, time_s)
            slot.total, slot.weight = slot.total + quality * one, slot.weight + quality
            self._keep_exemplar(slot, one, quality, time_s)
        if not slot.confirmed:
            slot.hits = [hit for hit in slot.hits if self.num_windows - hit < config.confirm_windows]
            slot.hits.append(self.num_windows)
            if len(slot.hits) >= config.confirm_hits:
                slot.confirmed = True
                yield Event("confirmed", number, time_s)

    def _fade(self, slot: Slot, time_s: float) -> None:
        """What a slot remembers becomes less until a time."""
        fade = 0.5 ** ((time_s - slot.updated_s) / self.config.half_life_s)
        slot.total, slot.weight, slot.updated_s = fade * slot.total, fade * slot.weight, time_s

    def _keep_exemplar(self, slot: Slot, one: np.ndarray, quality: float, time_s: float) -> None:
        """The best by quality are kept, no two nearer in time than `exemplar_gap_s`."""
        if not self.config.exemplars:
            return
        near = [place for place, at in enumerate(slot.times) if abs(time_s - at) < self.config.exemplar_gap_s]
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
                if one not in self.slots or not self._may_be_one(one, other):
                    continue
                if self.slots[one].mean @ self.slots[other].mean > self.config.tau_merge:
                    self._join(one, other)
                    yield Event("merged", one, time_s, other)

    def _may_be_one(self, one: int, other: int) -> bool:
        """Whether two slots have hardly ever spoken in one window, where they would be two talkers."""
        both, fewer = self.slots[one].beside.get(other, 0), min(self.slots[each].windows for each in (one, other))
        return both <= self.config.merge_share * fewer

    def _join(self, one: int, other: int) -> None:
        kept, gone = self.slots[one], self.slots.pop(other)
        until = max(kept.updated_s, gone.updated_s)
        for slot in (kept, gone):
            self._fade(slot, until)
        kept.total, kept.weight = kept.total + gone.total, kept.weight + gone.weight
        kept.last_s, kept.confirmed = max(kept.last_s, gone.last_s), kept.confirmed or gone.confirmed
        kept.windows += gone.windows
        for number, count in gone.beside.items():
            kept.beside[number] = kept.beside.get(number, 0) + count
        for slot in self.slots.values():
            if other in slot.beside:
                slot.beside[one] = slot.beside.get(one, 0) + slot.beside.pop(other)
        kept.beside.pop(one, None)
        for row, quality, at in zip(gone.exemplars, gone.qualities, gone.times, strict=True):
            self._keep_exemplar(kept, row, quality, at)
        if other in self.spoke:
            self.spoke = (self.spoke - {other}) | {one}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """All that it remembers; later windows do not change what was given.

        Returns:
            What JSON can hold, and arrays by name; `load` takes both.
        """
        state, arrays = super().state()
        own = {} if self.cohort is None else {"cohort": self.cohort}
        return {**state, "spoke": sorted(self.spoke)}, {**arrays, **own}

    def load(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Remember what `state` gave.

        Args:
            state: what JSON can hold.
            arrays: by name.
        """
        super().load(state, arrays)
        self.spoke = set(state["spoke"])
        self._cohort = np.array(arrays["cohort"]) if "cohort" in arrays else None


def _quality(found: np.ndarray, sure: np.ndarray, heads: list[int]) -> np.ndarray:
    """Presence times distance to the nearest other head that is heard, 0 to 1: [N]; needs no slots."""
    quality = np.zeros(len(found))
    for head in heads:
        others = [other for other in heads if other != head]
        near = max(found[others] @ found[head], default=0.0)
        quality[head] = sure[head] * min(max(1.0 - near, 0.0), 1.0)
    return quality
