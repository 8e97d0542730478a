"""The audio files that lists and plans name: there, readable, of the right rate, and long enough for what is cut."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wesep_mix.base import parallel
from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import LARGE_DC_DB, dc_offset, num_frames, read_audio
from wesep_mix.io.roots import roots_of
from wesep_mix.mixing.plan import PLANS
from wesep_mix.preparation.lists import NOISES, UTTERANCES
from wesep_mix.validation.folders import CheckedSet, segment_size
from wesep_mix.validation.problems import REMOVE, Problem

MEND = "mend it, or redo stage 1 with --force true"


@dataclass(frozen=True)
class Claim:
    """What a list or plan says of a file: samples up to `end` are used, and its length is `length`.

    dc: constant offset that it is mixed without; None: nothing is said about it.
    """

    of: str  # heading of a problem with it
    who: str
    path: str
    end: int
    length: int | None = None
    dc: float | None = None


@dataclass(frozen=True)
class Examined:
    """Length of a good file in samples, and its constant offset; 0 if that is small or only the header was read."""

    length: int
    dc: float = 0.0


def examine_files(sets: Sequence[CheckedSet], nj: int, quick: bool) -> tuple[dict[str, int], list[Problem]]:
    """Open every audio file that lists and plans name.

    Args:
        sets: the sets.
        nj: number of processes.
        quick: believe the headers, do not decode.

    Returns:
        {path: samples} of the good files, and what is wrong.
    """
    first: dict[str, str] = {}
    for claim in _all_claims(sets):
        first.setdefault(claim.path, claim.who)
    gone, lost = _gone_roots(sets, first)
    there = sorted(first.keys() - gone)
    examined = parallel.map_items(functools.partial(_examine, quick=quick), there, nj, "audio files")
    good = {path: found for path, found in examined if isinstance(found, Examined)}
    problems = lost + [
        Problem("audio files", f"{found} (wanted by {first[path]}); {MEND}")
        for path, found in examined
        if isinstance(found, str)
    ]
    problems += [Problem(claim.of, text) for claim in _all_claims(sets) for text in _claim_faults(claim, good)]
    return {path: found.length for path, found in good.items()}, problems


def _gone_roots(sets: Sequence[CheckedSet], paths: Collection[str]) -> tuple[set[str], list[Problem]]:
    """The files in roots that are not there, and a problem for each such root."""
    gone: set[str] = set()
    problems = []
    for roots in {roots.file: roots for each in sets if (roots := roots_of(each.path))}.values():
        for name, folder in roots.gone().items():
            lost = {path for path in paths if path.startswith(os.path.join(folder, ""))} - gone
            gone |= lost
            if lost:
                text = (
                    f'{roots.file}: wanted the folder of "{name}", {folder}, with {len(lost)} files of lists and '
                    "plans, found none; where the corpus has moved, write its new folder there"
                )
                problems.append(Problem("audio files", text))
    return gone, problems


def _examine(path: str, quick: bool) -> Examined | str:
    """What was found in a file, or what is wrong with it."""
    if not Path(path).is_file():
        return f"{path}: wanted an audio file, found none"
    try:
        if quick:
            return Examined(num_frames(path))
        samples = read_audio(path)
        return Examined(len(samples), dc_offset(samples, LARGE_DC_DB))
    except UserError as err:
        return str(err)


def _all_claims(sets: Sequence[CheckedSet]) -> Iterator[Claim]:
    """What all sets say, one claim at a time: together they take more memory than the plans."""
    for each in sets:
        yield from _claims(each, segment_size(each, sets))


def _claims(each: CheckedSet, segment: int | None) -> Iterator[Claim]:
    for entry in each.speech:
        end = max((crop.start for crop in entry.crops), default=0) + (segment or 1)
        yield Claim("lists", f"{each.path / UTTERANCES}, utterance {entry.utt}", entry.path, end)
    for noise in each.noises:
        who = f"{each.path / NOISES}, noise {noise.id}"
        yield Claim("lists", who, noise.path, noise.num_samples, noise.num_samples, noise.dc)
    for plan in each.plans:
        who = f"{each.path / PLANS}, mixture {plan.id}"
        for source in plan.sources:
            yield Claim("plans", f"{who}, {source.utt}", source.path, source.start + source.num_read)
        noise = plan.noise
        yield Claim("plans", f"{who}, noise {noise.id}", noise.path, noise.num_samples, noise.num_samples, noise.dc)


def _claim_faults(claim: Claim, good: Mapping[str, Examined]) -> list[str]:
    if claim.path not in good:
        return []
    found = good[claim.path].length
    if claim.length is not None and claim.length != found:
        return [f"{claim.who}: wanted {claim.length} samples in {claim.path}, found {found}; {MEND}"]
    if claim.end > found:
        return [f"{claim.who}: wanted {claim.path} up to sample {claim.end}, found {found} samples; {MEND}"]
    if claim.dc == 0 and (dc := good[claim.path].dc):
        return [
            f"{claim.who}: wanted no constant offset above {LARGE_DC_DB:g} dB of the power of {claim.path}, found "
            f"{dc:.4f}; {REMOVE}"
        ]
    return []
