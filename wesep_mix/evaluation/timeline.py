"""What a plot of one session shows: who spoke when, whom the memory heard, and what it told."""

from __future__ import annotations

from typing import Any

import numpy as np

from wesep_mix.evaluation import tracks
from wesep_mix.evaluation.tracking import Case, new_memory, spoken_by
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.metrics.tracking import one_to_one

Stretches = dict[str, list[tuple[float, float]]]


def timeline(
    case: Case, memory: Any, cohort: np.ndarray | None
) -> tuple[Stretches, Stretches, list[tuple[float, str]]]:
    """Track a session for a plot.

    Args:
        case: the session.
        memory: its config.
        cohort: others' voices, for a memory that compares with them.

    Returns:
        Stretches in seconds of each talker, and of each slot, those of a talker first and in the talkers' order; and
        what the memory told, with its time.
    """
    track = tracks.by_memory(new_memory(memory, cohort), case.windows)
    turns = {
        talker: [(first / SAMPLE_RATE, end / SAMPLE_RATE) for first, end in own]
        for talker, own in zip(case.session.talkers, case.turns, strict=True)
    }
    slots = track.slots()
    owned = [slots[place] for place in one_to_one(case.truth, track.active()) if place >= 0]
    heard: Stretches = {f"slot {slot}": [] for slot in [*owned, *(slot for slot in slots if slot not in owned)]}
    for first, end, slot in spoken_by(case, track):
        heard[f"slot {slot}"].append((first, end))
    told = [(event.time_s, f"{event.kind} {event.slot}") for event in track.events if event.kind != "confirmed"]
    return turns, heard, told
