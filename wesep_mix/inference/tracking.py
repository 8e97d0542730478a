"""Who speaks when in a recording of any length, window by window, as if it came live.

Each window in which somebody speaks goes through the student by itself, and what the heads say of it to the online
memory (wesep_mix.memory), which knows talkers again. Of a window, the middle counts: a talker speaks wherever voice
activity is found in the middle hop of a window in which a head spoke for that talker. Only confirmed talkers have a
number, in the order in which they were confirmed; a number is never given twice.

T samples, N heads, D embedding size.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch

from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError
from wesep_mix.inference.candidates import LONG, Talker, heads_of
from wesep_mix.inference.turns import GAP_S
from wesep_mix.inference.voice import has_speech, voice_frames, voice_stretches
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.io.recording import LEAST_S
from wesep_mix.memory import online
from wesep_mix.memory.observing import NOBODY, Event, Kind
from wesep_mix.models.folder import UseConfig
from wesep_mix.preparation.activity import Stretch, closed

MATCH, NEW, UPDATE, MERGE = 0.3, 0.25, 0.45, 0.55  # shares of the way from `join` to 1, see `memory_config`
NEW_PRESENCE = 0.75  # of the way from `presence` to 1
Heads = tuple[np.ndarray, np.ndarray]  # embeddings [N, D], presence [N]
State = tuple[dict[str, Any], dict[str, np.ndarray]]  # what JSON can hold, and arrays by name


def memory_config(use: UseConfig) -> Any:
    """The settings of a model's memory: those that its folder has, else derived of how it is used.

    Cosines depend on the model, and `join` says how: it is the least mean cosine of a talker's windows. A cosine to a
    slot, which is a mean of them, lies higher; so the memory's thresholds lie a part of the way from `join` to 1. With
    `join` 0, as of the model that comes with the package: match 0.3, new below 0.25, update 0.45, merge 0.55. These
    parts were chosen on conversations of its dev set, by the count of talkers and the diarisation error. A talker is
    confirmed by one window more than can hold the same moment: one sound alone confirms nobody.

    Args:
        use: windows and thresholds of the model.

    Returns:
        A plugin's `Config`.
    """
    if use.memory is not None:
        return use.memory
    usual, hits = online.Config(), math.ceil(use.window_s / use.hop_s) + 1
    match, new, update, merge = (round(use.join + part * (1 - use.join), 4) for part in (MATCH, NEW, UPDATE, MERGE))
    return online.Config(
        tau_presence=use.presence,
        tau_new_presence=round(use.presence + NEW_PRESENCE * (1 - use.presence), 4),
        tau_match=match,
        tau_new=new,
        tau_update=update,
        tau_merge=merge,
        confirm_hits=hits,
        confirm_windows=hits + 1,
        expire_s=max(usual.expire_s, (hits + 1) * use.hop_s),
        back_s=max(usual.back_s, 2 * use.window_s),
    )


@dataclass(frozen=True)
class TalkerEvent:
    """What a user may want to be told, as it was known at that time.

    Attributes:
        time_s: seconds of the recording that had been heard by then.
        kind: a talker is `new`, `confirmed`, or `back` after a while; two are `merged`; one is `gone` again.
        slot: of the memory.
        talker: number; None of one who is not confirmed.
        other: of merged ones the number that goes, where it had one.
        away_s: how long one who is back was not heard.
    """

    time_s: float
    kind: Kind
    slot: int
    talker: int | None
    other: int | None = None
    away_s: float = 0.0


@dataclass(frozen=True)
class HeardWindow:
    """Who speaks in a window's middle.

    Attributes:
        time_s: seconds of the recording that had been heard: the window's end.
        begin: first sample of the middle, and the sample behind it, `end`; those of all windows cover the recording.
        is_spoken: whether somebody speaks in the window, so that the memory was asked.
        is_rest: whether it is no further window, but tells how the last one goes on to the recording's end.
        slots: of the memory, those that speak.
        talkers: the number of each, None of one who is not confirmed.
        margins: by how much each head's slot was ahead of its next best; inf where there was no other.
        speech: voice activity in the middle, samples of the recording; () where no slot speaks.
        events: what happened in this window.
    """

    time_s: float
    begin: int
    end: int
    is_spoken: bool
    is_rest: bool = False
    slots: tuple[int, ...] = ()
    talkers: tuple[int | None, ...] = ()
    margins: tuple[float, ...] = ()
    speech: tuple[Stretch, ...] = ()
    events: tuple[TalkerEvent, ...] = ()


class Tracker:
    """Follows the talkers of a recording whose samples are pushed; it needs the memory of a window, however long it is.

    The same samples give the same windows in whatever pieces they come.

    Args:
        student: mixture -> set of embeddings; one without presence speaks through each of its heads.
        use: windows and thresholds.
        memory: a plugin of wesep_mix.memory; None makes one of `memory_config`.
        device: where the student is.

    Attributes:
        num_samples: that were pushed.
        num_windows: that were heard.
        num_spoken: those in which somebody speaks.
        numbers: of confirmed talkers, by slot.
        merged: slots that were merged: {the one that went: the one that stayed}.
    """

    def __init__(self, student: torch.nn.Module, use: UseConfig, memory: Any = None, device: str = "cpu"):
        self.student, self.device = student, device
        self.memory = plugins.build("memory", memory_config(use)) if memory is None else memory
        self.size, self.hop = (round(seconds * SAMPLE_RATE) for seconds in (use.window_s, use.hop_s))
        self.num_samples = self.num_windows = self.num_spoken = 0
        self.numbers: dict[int, int] = {}
        self.merged: dict[int, int] = {}
        self.is_over = False
        self._kept = np.zeros(0, dtype=np.float32)  # the last samples, from the last window's first on
        self._told = self._num_numbers = 0  # to which sample it was said who speaks; numbers that were given
        self._last = HeardWindow(0.0, 0, 0, False)

    def push(self, samples: np.ndarray) -> list[HeardWindow]:
        """Go on with the next samples.

        Args:
            samples: float [T] at 16 kHz, any number of them.

        Returns:
            What is heard in each window that they complete, in order.

        Raises:
            UserError: for another shape, a sample that is not finite, or after `finish`.
        """
        if self.is_over:
            raise UserError("tracker: wanted no samples after its end, found some; begin another one")
        if np.ndim(samples) != 1:
            raise UserError(f"tracker: wanted samples of shape [T], found {list(np.shape(samples))}")
        found = []
        for first in range(0, len(samples), self.hop):
            self._keep(np.asarray(samples[first : first + self.hop], dtype=np.float32))
            while self.num_samples >= (start := self.num_windows * self.hop) + self.size:
                found.append(self._heard(start, start + (self.size + self.hop) // 2))
        return found

    def finish(self) -> HeardWindow:
        """End the recording.

        Where the last window did not end with it, one more window does. Where nobody could be confirmed since there are
        few windows, all who were heard are confirmed now.

        Returns:
            What is left to say: of one more window, or how the last one goes on to the end.

        Raises:
            UserError: less than half a second was pushed, or it has ended before.
        """
        if self.is_over:
            raise UserError("tracker: wanted one end, found a second one; begin another one")
        if self.num_samples < LEAST_S * SAMPLE_RATE:
            found = self.num_samples / SAMPLE_RATE
            raise UserError(f"tracker: wanted at least {LEAST_S:g} s of audio, found {found:.2f} s")
        self.is_over = True
        start = self._last_start
        if not self.num_windows or self.num_samples > start + self.size:
            rest = self._heard(max(0, self.num_samples - self.size), self.num_samples)
        else:
            rest = dataclasses.replace(self._last, begin=self._told, end=self.num_samples, is_rest=True, events=())
            rest = self._with_speech(rest, voice_frames(self._window(start)), start)
        late = ()
        if not self.numbers and self.num_spoken < LONG:
            late = tuple(self._confirmed(self.memory.means(confirmed=False), rest.time_s))
        talkers = tuple(self.numbers.get(slot) for slot in rest.slots)
        return dataclasses.replace(rest, talkers=talkers, events=rest.events + late)

    def talkers(self) -> dict[int, np.ndarray]:
        """The embedding of each confirmed talker by number, unit vectors, float32 [D]."""
        means = self.memory.means(confirmed=False)
        unit = {number: means[slot] / np.linalg.norm(means[slot]) for slot, number in self.numbers.items()}
        return {number: unit[number].astype(np.float32) for number in sorted(unit)}

    def number_of(self, slot: int) -> int | None:
        """The number of the talker that a slot, which may have been merged since, stands for; None: not confirmed."""
        return self.numbers.get(self._root(slot))

    def state(self) -> State:
        """All that it knows.

        Returns:
            What JSON can hold, and arrays by name (for np.savez); `load` takes both.
        """
        remembered, arrays = self.memory.state()
        last = dataclasses.asdict(self._last) | {"margins": None, "speech": (), "events": ()}
        own = {name: getattr(self, name) for name in ("num_samples", "num_windows", "num_spoken", "is_over")}
        own |= {"told": self._told, "num_numbers": self._num_numbers, "last": last, "memory": remembered}
        own |= {"numbers": list(self.numbers.items()), "merged": list(self.merged.items())}
        kept = {"samples": self._kept, "margins": np.array(self._last.margins)}
        return own, kept | {f"memory.{name}": array for name, array in arrays.items()}

    def load(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` of a tracker with the same settings gave.

        Args:
            state: what JSON held.
            arrays: the arrays.
        """
        for name in ("num_samples", "num_windows", "num_spoken", "is_over"):
            setattr(self, name, state[name])
        self._told, self._num_numbers = state["told"], state["num_numbers"]
        self.numbers, self.merged = dict(state["numbers"]), dict(state["merged"])
        self._kept = np.array(arrays["samples"])
        told = {name: tuple(each) if isinstance(each, list) else each for name, each in state["last"].items()}
        self._last = HeardWindow(**told | {"margins": tuple(np.asarray(arrays["margins"]).tolist())})
        prefix = "memory."
        own = {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
        self.memory.load(state["memory"], own)

    @property
    def _last_start(self) -> int:
        """First sample of the last window on the grid."""
        return max(0, self.num_windows - 1) * self.hop

    def _keep(self, samples: np.ndarray) -> None:
        if not np.isfinite(samples).all():
            first = self.num_samples + int(np.argmin(np.isfinite(samples)))
            raise UserError(f"tracker: sample {first} is not finite (NaN or infinite)")
        self.num_samples += len(samples)
        joined = np.concatenate([self._kept, samples])
        self._kept = joined[max(0, len(joined) - (self.num_samples - self._last_start)) :]

    def _window(self, start: int) -> np.ndarray:
        first = start - (self.num_samples - len(self._kept))
        return self._kept[first : first + self.size]

    def _heard(self, start: int, until: int) -> HeardWindow:
        """Hear the window from sample `start` on; its middle ends at `until`."""
        window = self._window(start)
        frames = voice_frames(window)
        heard = HeardWindow((start + len(window)) / SAMPLE_RATE, self._told, until, has_speech(frames))
        if heard.is_spoken:
            heard = self._with_speech(self._asked(heard, window), frames, start)
            self.num_spoken += 1
        self.num_windows += 1
        self._told, self._last = until, heard
        return heard

    def _with_speech(self, heard: HeardWindow, frames: np.ndarray, start: int) -> HeardWindow:
        """With the voice activity, bool [L], of the window that begins at a sample, as far as it is in the middle."""
        found = voice_stretches(frames, self.size) if heard.slots else ()
        bounds = [(start + begin, start + end) for begin, end in found]
        inside = [(max(begin, heard.begin), min(end, heard.end)) for begin, end in bounds]
        return dataclasses.replace(heard, speech=tuple((begin, end) for begin, end in inside if begin < end))

    def _asked(self, heard: HeardWindow, window: np.ndarray) -> HeardWindow:
        """With what the memory says of a window."""
        observed = self.memory.observe(*self._heads(window), heard.time_s)
        events = [self._told_of(event) for event in observed.events]
        events += self._confirmed(self.memory.means(), heard.time_s)
        pairs = [
            (self._root(label), float(margin))
            for label, margin in zip(observed.labels, observed.margins, strict=True)
            if label != NOBODY
        ]
        slots, margins = tuple(slot for slot, _ in pairs), tuple(margin for _, margin in pairs)
        talkers = tuple(self.numbers.get(slot) for slot in slots)
        return dataclasses.replace(heard, slots=slots, talkers=talkers, margins=margins, events=tuple(events))

    def _heads(self, window: np.ndarray) -> Heads:
        """By itself, and copied: in a batch, or elsewhere in memory, the last digits may be others."""
        embeddings, presence = heads_of(self.student, torch.tensor(window)[None], self.device)
        return embeddings[0], np.ones(len(embeddings[0])) if presence is None else presence[0]

    def _told_of(self, event: Event) -> TalkerEvent:
        """An event of the memory's with the numbers of talkers, which it may change."""
        other = None
        if event.kind == "confirmed":
            self._number(event.slot)
        if event.kind == "merged":
            self.merged[event.other] = event.slot
            both = [self.numbers.pop(slot) for slot in (event.slot, event.other) if slot in self.numbers]
            if both:
                self.numbers[event.slot] = min(both)
            other = max(both) if len(both) == 2 else None
        return TalkerEvent(event.time_s, event.kind, event.slot, self.numbers.get(event.slot), other, event.away_s)

    def _confirmed(self, means: Mapping[int, np.ndarray], time_s: float) -> Iterator[TalkerEvent]:
        """Number those of these slots that have no number yet."""
        for slot in sorted(set(means) - set(self.numbers)):
            self._number(slot)
            yield TalkerEvent(time_s, "confirmed", slot, self.numbers[slot])

    def _number(self, slot: int) -> None:
        self._num_numbers += 1
        self.numbers[slot] = self._num_numbers

    def _root(self, slot: int) -> int:
        while slot in self.merged:
            slot = self.merged[slot]
        return int(slot)


class Account:
    """Who spoke when: what the windows of a tracker told, put together. It grows with the turns.

    Attributes:
        events: all of them, as they were told.
    """

    def __init__(self) -> None:
        self.events: list[TalkerEvent] = []
        self._turns: dict[int, list[list[int]]] = {}  # of each slot, in samples
        self._windows: dict[int, int] = {}  # of each slot, in how many it was heard

    def add(self, heard: HeardWindow) -> None:
        """Go on with the next window."""
        for slot in heard.slots:
            turns = self._turns.setdefault(slot, [])
            for begin, end in heard.speech:
                if turns and begin <= turns[-1][1]:
                    turns[-1][1] = end
                else:
                    turns.append([begin, end])
            self._windows[slot] = self._windows.get(slot, 0) + (not heard.is_rest)
        self.events += heard.events
        for event in heard.events:
            if event.kind == "gone":
                self._turns.pop(event.slot, None)
                self._windows.pop(event.slot, None)

    def talkers(self, tracker: Tracker) -> list[Talker]:
        """The confirmed talkers by number, with what was heard of them before they were confirmed or merged.

        Args:
            tracker: whose windows were added.

        Returns:
            The talkers; their spans are turns of speech.
        """
        found = []
        for number, embedding in tracker.talkers().items():
            slots = [slot for slot in self._turns if tracker.number_of(slot) == number]
            told = sorted((begin, end) for slot in slots for begin, end in self._turns[slot])
            turns = closed(told, round(GAP_S * SAMPLE_RATE))
            spans = tuple((begin / SAMPLE_RATE, end / SAMPLE_RATE) for begin, end in turns)
            share = sum(self._windows[slot] for slot in slots) / max(1, tracker.num_spoken)
            found.append(Talker(number, embedding, None, share, spans))
        return found

    def state(self) -> dict[str, Any]:
        """All that it holds, for JSON; `load` takes it."""
        events = [list(dataclasses.astuple(event)) for event in self.events]
        return {"events": events, "turns": list(self._turns.items()), "windows": list(self._windows.items())}

    def load(self, state: Mapping[str, Any]) -> None:
        """Hold what `state` gave."""
        self.events = [TalkerEvent(*row) for row in state["events"]]
        if not all(event.kind in get_args(Kind) for event in self.events):
            raise ValueError("an event of no known kind")
        self._turns = {slot: [list(turn) for turn in turns] for slot, turns in state["turns"]}
        self._windows = dict(state["windows"])


@dataclass(frozen=True)
class Track:
    """Who spoke when in a whole recording.

    Attributes:
        talkers: the confirmed ones by number, in the order in which they were confirmed; `spans` are their turns of
            speech in seconds, `share` that of the windows with speech in which they were heard. After a merge a
            number may be missing.
        events: what happened, as it was told at the time.
        seconds: of the recording.
        num_windows: that were heard.
        num_spoken: those with speech.
    """

    talkers: tuple[Talker, ...]
    events: tuple[TalkerEvent, ...]
    seconds: float
    num_windows: int
    num_spoken: int


def track_of(tracker: Tracker, account: Account) -> Track:
    """What there is to say once a recording has ended.

    Args:
        tracker: that has finished.
        account: of its windows.

    Returns:
        The track.
    """
    seconds = tracker.num_samples / SAMPLE_RATE
    talkers = tuple(account.talkers(tracker))
    return Track(talkers, tuple(account.events), seconds, tracker.num_windows, tracker.num_spoken)


def follow(
    tracker: Tracker, account: Account, samples: np.ndarray, told: Callable[[HeardWindow], None] = lambda heard: None
) -> Track:
    """Follow the talkers of a recording to its end, from where the tracker is.

    Args:
        tracker: to push to.
        account: that its windows are added to.
        samples: all of the recording, float32 [T] at 16 kHz.
        told: called with each window after it was added.

    Returns:
        Who spoke when.

    Raises:
        UserError: a sample is not finite, or there is less than half a second.
    """
    for first in range(tracker.num_samples, len(samples), tracker.hop):
        for heard in tracker.push(samples[first : first + tracker.hop]):
            account.add(heard)
            told(heard)
    last = tracker.finish()
    account.add(last)
    told(last)
    return track_of(tracker, account)
