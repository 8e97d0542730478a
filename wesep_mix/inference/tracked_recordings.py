"""What the command `track` does with a recording of one's own: who speaks when, written to a folder.

While it is at work the folder has a state, so that the same command goes on after a kill: with files that are the same,
byte for byte, as those of a run that nothing stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from wesep_mix.base import config as configs
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, write_json, write_jsonl
from wesep_mix.inference.candidates import Talker
from wesep_mix.inference.own_recordings import load_bundle, write_vector
from wesep_mix.inference.tracking import Account, HeardWindow, TalkerEvent, Track, Tracker, follow, memory_config
from wesep_mix.io.arrays import read_arrays, write_arrays
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.io.embeddings import write_embeddings
from wesep_mix.io.recording import Recording, read_recording
from wesep_mix.io.rttm import rttm_name
from wesep_mix.models.folder import Bundle, UseConfig, read_settings
from wesep_mix.models.shipped import find_model

FORM = 2  # of the state; 1 had another voice activity
STATE, SUMMARY, EVENTS, TIMELINE = "track.state.npz", "track.json", "events.jsonl", "timeline.png"
SAVE_EVERY = 50  # windows from one state to the next
LONG_VALUES = ("content", "student")  # hashes, which tell a reader nothing
ENDS = 2**20  # bytes at a file's begin and end, by which it is known again
DAMAGED = (UserError, ValueError, TypeError, KeyError, AttributeError)  # of a state that is none
Say = Callable[[str], None]
Draw = Callable[[Mapping[str, Sequence[tuple[float, float]]], float, Path], None]  # turns of each, seconds, file


@dataclass(frozen=True)
class Choices:
    """How a recording is to be tracked, as the command's options say it.

    Attributes:
        model: a model's folder or name, None for the usual one.
        channel: `mix`, or the number of one.
        device: where the student computes.
        window_s: of a window, None for the model's.
        hop_s: from window to window, None for the model's.
        memory: KEY=VALUE, settings of the memory in place of the model's.
    """

    model: str | None = None
    channel: str = "mix"
    device: str = "cpu"
    window_s: float | None = None
    hop_s: float | None = None
    memory: tuple[str, ...] = ()

    def use(self, use: UseConfig) -> UseConfig:
        """A model's windows and thresholds with what was chosen in their place, and the memory's settings.

        Raises: UserError naming the option whose value cannot be.
        """
        windows = {"window_s": self.window_s, "hop_s": self.hop_s}
        own = {name: getattr(use, name) for name in windows}
        chosen = own | {name: value for name, value in windows.items() if value is not None}
        if chosen != own:
            configs.from_dict(UseConfig, chosen, "--window_s, --hop_s")  # which says what is wrong with them
            use = replace(use, **chosen)
        memory = memory_config(use)
        given = {".".join(key): value for key, value in map(configs.parse_override, self.memory)}
        return replace(use, memory=configs.from_dict(type(memory), configs.to_dict(memory) | given, "--set"))


@dataclass(frozen=True)
class Tracked:
    """A recording that was tracked, and what it was tracked with.

    Attributes:
        recording: the recording.
        track: who spoke when.
        made_of: settings and inputs that the result depends on.
        real_time_factor: seconds that a second of the recording took, in this run.
    """

    recording: Recording
    track: Track
    made_of: dict[str, Any]
    real_time_factor: float


def track_recording(path: Path, out: Path | None, choices: Choices, say: Say) -> Tracked:
    """Find out who speaks when in a recording, with a progress bar.

    Args:
        path: of the recording.
        out: folder for the state, from which the same call goes on; None keeps none.
        choices: the command's.
        say: prints a line: what happens in the recording, and whether an earlier run is gone on with.

    Returns:
        The recording with its track; `write_track` writes them.

    Raises:
        UserError: for a model, recording, folder or option that cannot be used.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"{out}: wanted a folder to write to, found a file")
    bundle = load_bundle(choices.model, choices.device)
    use = choices.use(bundle.use)
    recording = read_recording(path, choices.channel)
    made_of = _made_of(path, choices, use)
    tracker, account = _begun(out, made_of, bundle, use, choices.device, say)
    if out is not None:
        _save(out, made_of, tracker, account)  # now, so that a folder that cannot be written to costs nothing
    before, begin = tracker.num_samples, time.monotonic()
    with _bar(tracker, recording) as bar, _stoppable(out):

        def told(heard: HeardWindow) -> None:
            bar.update(not heard.is_rest)
            for line in filter(None, map(line_of, heard.events)):
                say(line)
            if out is not None and tracker.num_windows % SAVE_EVERY == 0 and not tracker.is_over:
                _save(out, made_of, tracker, account)

        track = follow(tracker, account, recording.samples, told)
    heard_s = (len(recording.samples) - before) / SAMPLE_RATE
    return Tracked(recording, track, made_of, (time.monotonic() - begin) / max(heard_s, 1e-9))


def line_of(event: TalkerEvent) -> str | None:
    """What a user is told of an event; None of what concerns nobody who is confirmed."""
    when = clock(event.time_s)
    if event.kind == "confirmed":
        return f"{when} talker {event.talker} is new"
    if event.kind == "back":
        return f"{when} talker {event.talker} is back after {event.away_s:.0f} s"
    if event.kind == "merged" and event.other is not None:
        return f"{when} talker {event.other} is talker {event.talker} after all"
    return None


def clock(seconds: float) -> str:
    """A time as 00:12.5, from an hour on as 1:00:12.5."""
    tenths = round(10 * seconds)
    hours, minutes, rest = tenths // 36000, tenths // 600 % 60, tenths % 600 / 10
    return (f"{hours}:" if hours else "") + f"{minutes:02d}:{rest:04.1f}"


def describe_track(tracked: Tracked) -> dict[str, Any]:
    """What is told of a tracked recording, in plain values.

    Args:
        tracked: the recording.

    Returns:
        {"recording", "seconds", "sample_rate", "channels", "windows", "windows_with_speech", "talkers": [{"number",
        "name", "seconds", "share", "first_s", "last_s"}], "events": {kind: how many}, "settings"}; the same for the
        same recording and settings.
    """
    recording, track = tracked.recording, tracked.track
    kinds = [event.kind for event in track.events]
    return {
        "recording": recording.name,
        "seconds": round(recording.seconds, 3),
        "sample_rate": recording.sample_rate,
        "channels": recording.num_channels,
        "windows": track.num_windows,
        "windows_with_speech": track.num_spoken,
        "talkers": [_described(talker) for talker in track.talkers],
        "events": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "settings": tracked.made_of,
    }


def rttm(name: str, talkers: Sequence[Talker]) -> str:
    """Turns as RTTM, in order of time.

    Args:
        name: of the recording; blanks in it become underscores, since fields have none.
        talkers: with their turns.

    Returns:
        A line a turn.
    """
    file = rttm_name(name)
    turns = sorted((begin, talker.number, end) for talker in talkers for begin, end in talker.spans)
    return "".join(
        f"SPEAKER {file} 1 {begin:.3f} {end - begin:.3f} <NA> <NA> talker-{number} <NA> <NA>\n"
        for begin, number, end in turns
    )


def write_track(out: Path, tracked: Tracked, draw: Draw) -> None:
    """Write who spoke when; track.json, which says what is there, comes last, and the state goes.

    What an earlier call wrote there goes first.

    Args:
        out: folder to write to.
        tracked: what to write.
        draw: makes the timeline's picture.
    """
    name, talkers = tracked.recording.name, tracked.track.talkers
    for pattern in (SUMMARY, "talkers.scp", "talkers.ark", "talker-*.npy"):
        for old in out.glob(pattern):
            old.unlink()
    write_jsonl(out / EVENTS, map(_event_row, tracked.track.events))
    with atomic_write(out / f"{name}.rttm") as file:
        file.write(rttm(name, talkers))
    for talker in talkers:
        write_vector(out / f"talker-{talker.number}.npy", talker.embedding)
    if talkers:
        write_embeddings(out / "talkers", {f"{name}-{talker.number}": talker.embedding for talker in talkers})
    draw({f"talker {talker.number}": talker.spans for talker in talkers}, tracked.track.seconds, out / TIMELINE)
    write_json(out / SUMMARY, describe_track(tracked))
    (out / STATE).unlink(missing_ok=True)


def _described(talker: Talker) -> dict[str, Any]:
    first, last = (talker.spans[0][0], talker.spans[-1][1]) if talker.spans else (None, None)
    return {
        "number": talker.number,
        "name": f"talker-{talker.number}",
        "seconds": round(talker.seconds, 3),
        "share": round(talker.share, 3),
        "first_s": None if first is None else round(first, 3),
        "last_s": None if last is None else round(last, 3),
    }


def _event_row(event: TalkerEvent) -> dict[str, Any]:
    times = {"time_s": round(event.time_s, 3), "away_s": round(event.away_s, 3)}
    return {"kind": event.kind, "talker": event.talker, "other": event.other, "slot": event.slot} | times


def _made_of(path: Path, choices: Choices, use: UseConfig) -> dict[str, Any]:
    """{what: value} of all that the result depends on."""
    told = read_settings(find_model(choices.model))
    return {
        "form": FORM,
        "file": path.name,
        **_known_by(path),
        "channel": choices.channel,
        "device": choices.device,
        "model": told["about"]["name"],
        "student": told["parts"]["student"]["sha256"],
        "window_s": use.window_s,
        "hop_s": use.hop_s,
        **{f"memory.{name}": value for name, value in configs.to_dict(use.memory).items()},
    }


def _known_by(path: Path) -> dict[str, Any]:
    """The size of a file, and a hash of its first and last bytes."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        digest = hashlib.sha256(file.read(ENDS))
        file.seek(max(0, size - ENDS))
        digest.update(file.read(ENDS))
    return {"bytes": size, "content": digest.hexdigest()}


def _begun(
    out: Path | None, made_of: Mapping[str, Any], bundle: Bundle, use: UseConfig, device: str, say: Say
) -> tuple[Tracker, Account]:
    """Those of an earlier run of the same, or new ones."""
    tracker, account = Tracker(bundle.student, use, device=device), Account()
    if out is None or not (out / STATE).is_file():
        return tracker, account
    try:
        arrays = read_arrays(out / STATE)
        state = json.loads(arrays.pop("state").tobytes())
        other = _difference(state["made_of"], made_of)
        if other is None:
            tracker.load(state["tracker"], arrays)
            account.load(state["account"])
    except DAMAGED:
        other, tracker, account = "cannot be read", Tracker(bundle.student, use, device=device), Account()
    if other is not None:
        say(f"{out / STATE}: begun anew, the state of an earlier run there {other}")
    elif tracker.num_windows:
        say(f"{out / STATE}: goes on at {clock(tracker.num_samples / SAMPLE_RATE)}")
    return tracker, account


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The first difference, in words."""
    for name in [*new, *old]:
        if old.get(name) != new.get(name):
            values = "" if name in LONG_VALUES else f" ({old.get(name)}, now {new.get(name)})"
            return f"is of another {name}{values}"
    return None


def _save(out: Path, made_of: Mapping[str, Any], tracker: Tracker, account: Account) -> None:
    own, arrays = tracker.state()
    state = json.dumps({"made_of": made_of, "tracker": own, "account": account.state()})
    write_arrays(out / STATE, {"state": np.frombuffer(state.encode(), dtype=np.uint8), **arrays})


@contextmanager
def _stoppable(out: Path | None) -> Iterator[None]:
    """Say after Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        nothing, kept = "nothing was kept; with --out it is", f"the same command goes on from {out}/{STATE}"
        raise type(stop)(nothing if out is None else kept) from stop


@contextmanager
def _bar(tracker: Tracker, recording: Recording) -> Iterator[tqdm]:
    """Windows done, and the time left."""
    over = max(0, len(recording.samples) - tracker.size)
    total = -(-over // tracker.hop) + 1
    off = not sys.stderr.isatty()
    with tqdm(total=total, initial=tracker.num_windows, desc="tracking", unit="window", disable=off) as bar:
        yield bar
