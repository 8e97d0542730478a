"""The audio files that lists and plans name: there, readable, of the right rate, and long enough for what is cut."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wesep_mix import parallel
from wesep_mix.errors import UserError
from wesep_mix.io.audio import num_frames, read_audio
from wesep_mix.io.decoded import DecodedAudio, reader_of
from wesep_mix.mixing.lists import NOISES, UTTERANCES
from wesep_mix.mixing.plan import PLANS
from wesep_mix.validation.folders import PreparedSet, segment_size
from wesep_mix.validation.problems import Problem

MEND = "mend it, or redo stage 1: with --corpus_root OLD=NEW if the corpus has moved, else with --force true"


@dataclass(frozen=True)
class Claim:
    """What a list or plan says of a file: samples up to `end` are used, and it has `length` (None: not said)."""

    of: str  # heading of a problem with it
    who: str
    path: str
    end: int
    length: int | None = None


def examine_files(sets: Sequence[PreparedSet], nj: int, quick: bool) -> tuple[dict[str, int], list[Problem]]:
    """Open every file that is named: {path: samples} of the good ones, and what is wrong.

    quick: believe the headers, do not decode.
    """
    decoded = next((read for each in sets if isinstance(read := reader_of(each.path), DecodedAudio)), None)
    first: dict[str, str] = {}
    for claim in _all_claims(sets):
        first.setdefault(claim.path, claim.who)
    examine = functools.partial(_examine, quick=quick, decoded=decoded)
    examined = parallel.map_items(examine, sorted(first), nj, "audio files")
    lengths = {path: found for path, found in examined if isinstance(found, int)}
    problems = [Problem("audio files", f"{found} (wanted by {first[path]}); {MEND}")
                for path, found in examined if isinstance(found, str)]
    claims = _all_claims(sets)
    return lengths, problems + [Problem(claim.of, text) for claim in claims for text in _claim_faults(claim, lengths)]


def _examine(path: str, quick: bool, decoded: DecodedAudio | None) -> int | str:
    """Length of a file in samples, or what is wrong with it or with its decoded copy."""
    if not Path(path).is_file():
        return f"{path}: wanted an audio file, found none"
    try:
        if quick:
            return num_frames(path)
        samples = read_audio(path)
        if decoded is not None and path in decoded and not np.array_equal(decoded(path), samples):
            return f"{path}: wanted the same samples in {decoded.folder}, found others; remove that folder"
        return len(samples)
    except UserError as err:
        return str(err)


def _all_claims(sets: Sequence[PreparedSet]) -> Iterator[Claim]:
    """Made when needed: they take more memory than the plans."""
    for each in sets:
        yield from _claims(each, segment_size(each, sets))


def _claims(each: PreparedSet, segment: int | None) -> Iterator[Claim]:
    for entry in each.speech:
        end = max((crop.start for crop in entry.crops), default=0) + (segment or 1)
        yield Claim("lists", f"{each.path / UTTERANCES}, utterance {entry.utt}", entry.path, end)
    for noise in each.noises:
        who = f"{each.path / NOISES}, noise {noise.id}"
        yield Claim("lists", who, noise.path, noise.num_samples, noise.num_samples)
    for plan in each.plans:
        who = f"{each.path / PLANS}, mixture {plan.id}"
        for source in plan.sources:
            yield Claim("plans", f"{who}, {source.utt}", source.path, source.start + source.num_samples)
        noise = plan.noise
        yield Claim("plans", f"{who}, noise {noise.id}", noise.path, noise.num_samples, noise.num_samples)


def _claim_faults(claim: Claim, lengths: Mapping[str, int]) -> list[str]:
    found = lengths.get(claim.path)
    if found is None:
        return []
    if claim.length is not None and claim.length != found:
        return [f"{claim.who}: wanted {claim.length} samples in {claim.path}, found {found}; {MEND}"]
    if claim.end > found:
        return [f"{claim.who}: wanted {claim.path} up to sample {claim.end}, found {found} samples; {MEND}"]
    return []
