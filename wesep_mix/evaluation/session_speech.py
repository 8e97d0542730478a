"""Speech extracted over sessions, window by window, with embeddings of different origins; and diarisation by it.

Of each window's output the middle counts, up to halfway to the neighbours' middles. All embeddings are compared on the
same places: where a talker speaks, has a head, and has a slot in the memory by then. `as heard` is what a user gets:
the memory says when to extract as well, and silence is where it hears nobody.

W windows, K talkers, T samples, D embedding size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.tracking import Case
from wesep_mix.evaluation.tracks import Track, named
from wesep_mix.inference import chunked
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.memory.observing import NOBODY
from wesep_mix.metrics.si_sdr import si_sdr
from wesep_mix.metrics.tracking import one_to_one
from wesep_mix.mixing.session import Session, render_range

ORIGINS = ("own", "memory", "first", "enrolled", "wrong")
AS_HEARD = "heard"
FRAME_S = 0.1
FLOORS_DB = (-3.0, -6.0, -9.0, -12.0, -15.0, -20.0, -25.0, -30.0)  # of which one is chosen on dev
BATCH = 8


@dataclass(frozen=True)
class Spoken:
    """What came out of a session for one talker under one condition, on the places that count, one after another.

    Attributes:
        est: float32 [T]; mix and source are what it was made of and what is wanted.
        active: where the talker speaks, bool [T].
        wrong: in how many windows the output is nearer to another talker who speaks, of how many with one.
    """

    est: np.ndarray
    mix: np.ndarray
    source: np.ndarray
    active: np.ndarray
    wrong: tuple[int, int]


def embeddings_of(case: Case, track: Track) -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
    """The embeddings to compare.

    Args:
        case: the session.
        track: of a memory, with its means.

    Yields:
        Window, talker and {origin: [D]}, where the talker has all of them.
    """
    truth, slots, names = case.truth, track.slots(), named(case.windows, case.references)
    slot_of = [slots[place] if place >= 0 else NOBODY for place in one_to_one(truth, track.active())]
    first: dict[int, np.ndarray] = {}
    rng = rng_for(0, "wrong slot", case.session.id)
    for place, means in enumerate(track.means):
        for head in np.flatnonzero(track.labels[place] != NOBODY):
            first.setdefault(int(track.labels[place, head]), case.windows.embeddings[place, head])
        for talker in np.flatnonzero(truth[place] == 1):
            heads, slot = np.flatnonzero(names[place] == talker), slot_of[talker]
            others = sorted(number for number in means if number != slot)
            if len(heads) and slot in means and others:
                yield (
                    place,
                    int(talker),
                    {
                        "own": case.windows.embeddings[place, heads[0]],
                        "memory": means[slot],
                        "first": first[slot],
                        "enrolled": case.enrolled[talker],
                        "wrong": means[others[int(rng.integers(len(others)))]],
                    },
                )


def extract_windows(extractor: nn.Module, mix: np.ndarray, embeddings: np.ndarray, device: str) -> np.ndarray:
    """Extract several talkers of one window, each at the level that fits the mixture.

    Args:
        extractor: mixture and embedding -> talker.
        mix: float32 [T].
        embeddings: [M, D].
        device: where the extractor is.

    Returns:
        float32 [M, T].
    """
    window, rows = torch.from_numpy(mix), []
    for first in range(0, len(embeddings), BATCH):
        emb = torch.from_numpy(np.asarray(embeddings[first : first + BATCH], dtype=np.float32))
        est = chunked.extract(extractor, window.expand(len(emb), -1), emb, device=device)
        rows.append(chunked.at_mixture_level(est, window).numpy())
    return np.concatenate(rows)


def judge_session(case: Case, track: Track, extractor: nn.Module, device: str) -> list[dict[str, Any]]:
    """Extract a session's talkers under all conditions and score them.

    Args:
        case: the session.
        track: of a memory, with its means.
        extractor: the network.
        device: where it is.

    Returns:
        A row a talker and condition: {"session", "talker", "origin", "si_sdri", "leak_db", "wrong", "num"}; what is not
        defined is None.
    """
    wanted: dict[int, dict[int, dict[str, np.ndarray]]] = {}
    for place, talker, embeddings in embeddings_of(case, track):
        wanted.setdefault(place, {})[talker] = embeddings
    heard: dict[tuple[int, str], list[Spoken]] = {}
    spoken = _activity(case)
    for place, talkers in wanted.items():
        start, (first, end) = int(case.windows.starts[place]), case.middles[place]
        audio = render_range(case.session, start, start + case.windows.size)
        stacked = np.stack([embeddings[origin] for embeddings in talkers.values() for origin in ORIGINS])
        est = extract_windows(extractor, audio.mix, stacked, device).reshape(len(talkers), len(ORIGINS), -1)
        cut = slice(first - start, end - start)
        present = np.flatnonzero(case.truth[place] == 1)
        for talker, outputs in zip(talkers, est, strict=True):
            for origin, output in zip(ORIGINS, outputs, strict=True):
                heard.setdefault((talker, origin), []).append(
                    Spoken(
                        output[cut],
                        audio.mix[cut],
                        audio.sources[talker, cut],
                        spoken[talker, first:end],
                        _wrong(output, audio.sources, talker, present),
                    )
                )
    return [_row(case.session, talker, origin, parts) for (talker, origin), parts in heard.items()]


def _activity(case: Case) -> np.ndarray:
    """When each talker speaks: bool [K, T]."""
    spoken = np.zeros((len(case.turns), case.session.num_samples), dtype=bool)
    for row, own in zip(spoken, case.turns, strict=True):
        for first, end in own:
            row[first:end] = True
    return spoken


def _wrong(output: np.ndarray, sources: np.ndarray, talker: int, present: np.ndarray) -> tuple[int, int]:
    """Whether another talker of the window is nearer, and whether there is one."""
    if len(present) < 2:
        return 0, 0
    scores = {int(other): _si_sdr(output, sources[other]) for other in present}
    return int(max(scores, key=scores.__getitem__) != talker), 1


def _row(session: Session, talker: int, origin: str, parts: list[Spoken]) -> dict[str, Any]:
    est, mix, source, active = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("est", "mix", "source", "active")
    )
    wrong, num = (sum(part.wrong[place] for part in parts) for place in range(2))
    improvement = leak = None
    if active.any() and est[active].any():
        improvement = _si_sdr(est[active], source[active]) - _si_sdr(mix[active], source[active])
        if (~active).any():
            leak = float(10 * np.log10((_power(est[~active]) + 1e-12) / (_power(est[active]) + 1e-12)))
    return {
        "session": session.id,
        "regime": session.regime,
        "num_talkers": len(session.talkers),
        "talker": session.talkers[talker],
        "origin": origin,
        "si_sdri": improvement,
        "leak_db": leak,
        "wrong": wrong,
        "num": num,
    }


def _si_sdr(est: np.ndarray, source: np.ndarray) -> float:
    return float(si_sdr(est, source))


def _power(samples: np.ndarray) -> float:
    return float(np.square(samples, dtype=np.float64).mean())


def heard_speech(case: Case, track: Track, extractor: nn.Module, device: str) -> dict[int, np.ndarray]:
    """Extract every slot wherever the memory hears it, with its embedding at that time, as a user gets it.

    Args:
        case: the session.
        track: of a memory, with its means.
        extractor: the network.
        device: where it is.

    Returns:
        {slot: float32 [T]}, silence where it is not heard.
    """
    speech: dict[int, np.ndarray] = {}
    for place, (first, end) in enumerate(case.middles):
        slots = sorted({int(slot) for slot in track.labels[place] if slot in track.means[place]})
        if slots:
            start = int(case.windows.starts[place])
            mix = render_range(case.session, start, start + case.windows.size).mix
            outputs = extract_windows(extractor, mix, np.stack([track.means[place][slot] for slot in slots]), device)
            for slot, output in zip(slots, outputs, strict=True):
                whole = speech.setdefault(slot, np.zeros(case.session.num_samples, dtype=np.float32))
                whole[first:end] = output[first - start : end - start]
    return speech


def segments_of(speech: Mapping[int, np.ndarray], floor_db: float) -> Iterator[tuple[float, float, str]]:
    """Diarisation by extraction: a slot speaks in frames of 0.1 s that are not far below its loudest until then.

    Args:
        speech: from `heard_speech`.
        floor_db: how far below, in dB, below 0.

    Yields:
        (start_s, end_s, slot).
    """
    frame = round(FRAME_S * SAMPLE_RATE)
    for slot, samples in speech.items():
        padded = np.pad(samples, (0, -len(samples) % frame)).astype(np.float64)
        powers = np.square(padded).reshape(-1, frame).mean(1)
        loudest = np.maximum.accumulate(powers)
        for place in np.flatnonzero((powers > loudest * 10 ** (floor_db / 10)) & (powers > 0)):
            yield place * FRAME_S, min((place + 1) * FRAME_S, len(samples) / SAMPLE_RATE), str(slot)


def judge_heard(case: Case, track: Track, speech: Mapping[int, np.ndarray]) -> list[dict[str, Any]]:
    """Score each talker's slot as a user hears it, over the whole session.

    Args:
        case: the session.
        track: of a memory.
        speech: from `heard_speech`.

    Returns:
        Rows as `judge_session` gives them, of origin `heard`. A talker without a slot, or whose slot is silent wherever
        the talker speaks, has None for SI-SDRi: nothing came out that could be scored.
    """
    session, spoken, slots = case.session, _activity(case), track.slots()
    audio = render_range(session, 0, session.num_samples)
    rows, nothing = [], np.zeros(session.num_samples, dtype=np.float32)
    for talker, place in enumerate(one_to_one(case.truth, track.active())):
        if spoken[talker].any():
            est = speech.get(slots[place], nothing) if place >= 0 else nothing
            part = Spoken(est, audio.mix, audio.sources[talker], spoken[talker], (0, 0))
            rows.append(_row(session, talker, AS_HEARD, [part]))
    return rows
