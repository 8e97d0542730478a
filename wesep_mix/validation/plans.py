"""A set's plans by their own arithmetic: who, where from, where to, how loud. No audio is opened."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from wesep_mix.base.names import MAX_NAME, bytes_of_file
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.mixing.plan import PLANS, Noise, Plan, Source
from wesep_mix.preparation.lists import NOISES, UTTERANCES, NoiseEntry, SpeechEntry
from wesep_mix.validation.folders import CheckedSet
from wesep_mix.validation.lists import REDO, twice
from wesep_mix.validation.problems import Problem


def check_plans(each: CheckedSet) -> list[Problem]:
    """Check ids, speakers, places, overlaps and gains of every plan of a set, and compare it with the set's lists."""
    path, num_spk = each.path / PLANS, _wanted_talkers(each.group)
    speech = {entry.utt: entry for entry in each.speech} if UTTERANCES in each.read else None
    noises = {entry.id: entry for entry in each.noises} if NOISES in each.read else None
    texts = [f"{path}: {fault}" for fault in twice(plan.id for plan in each.plans)]
    for plan in each.plans:
        faults = plan_faults(plan)
        if num_spk and len(plan.sources) != num_spk:
            faults.append(f"wanted {num_spk} sources in {each.group}, found {len(plan.sources)}")
        faults += [fault for source in plan.sources for fault in _speech_differences(source, speech)]
        faults += _noise_differences(plan.noise, noises)
        texts += [f"{path}, mixture {plan.id}: {fault}; {REDO}" for fault in faults]
    return [Problem("plans", text) for text in texts]


def plan_faults(plan: Plan) -> list[str]:
    """What is wrong with a plan by itself; empty if nothing is."""
    if not plan.sources:
        return ["wanted at least one source, found none"]
    faults = [fault for source in plan.sources for fault in _source_faults(source)]
    return faults + _whole_faults(plan) + _overlap_faults(plan) + _noise_faults(plan.noise)


def _wanted_talkers(group: str) -> int | None:
    """Number of talkers that a folder's name promises; None if it says nothing."""
    if group == "single":
        return 1
    match = re.fullmatch(r"(?:Libri)?(\d+)mix(?:/.*)?", group, re.IGNORECASE)
    return int(match[1]) if match else None


def _source_faults(source: Source) -> list[str]:
    faults = []
    if min(source.start, source.offset) < 0 or source.num_samples < 1:
        faults.append(
            f"{source.utt}: wanted start and offset of 0 or more and a sample or more, found "
            f"start {source.start}, offset {source.offset}, num_samples {source.num_samples}"
        )
    if not (math.isfinite(source.gain) and source.gain > 0):
        faults.append(f"{source.utt}: wanted a finite gain above 0, found {source.gain}")
    if not math.isfinite(source.lufs):
        faults.append(f"{source.utt}: wanted a finite loudness, found {source.lufs}")
    return faults


def _whole_faults(plan: Plan) -> list[str]:
    faults = []
    if plan.sample_rate != SAMPLE_RATE:
        faults.append(f"wanted {SAMPLE_RATE} Hz, found {plan.sample_rate}")
    end = max(source.offset + source.num_samples for source in plan.sources)
    if plan.num_samples != end:
        faults.append(f"wanted {end} samples, where the last source ends, found {plan.num_samples}")
    speakers = [source.spk for source in plan.sources]
    if len(set(speakers)) < len(speakers):
        faults.append(f"wanted different speakers, found {', '.join(speakers)}")
    if (size := bytes_of_file(plan.id, speakers)) > MAX_NAME:
        faults.append(f"wanted an id whose files have names of at most {MAX_NAME} bytes, found {size}")
    return faults


def _overlap_faults(plan: Plan) -> list[str]:
    """An overlap may be off by one sample: it is stated as a fraction, and sources start on whole samples."""
    pairs = list(zip(plan.sources, plan.sources[1:], strict=False))
    if len(plan.overlaps) != len(pairs):
        return [f"wanted {len(pairs)} overlaps, found {len(plan.overlaps)}"]
    faults = []
    for (one, other), stated in zip(pairs, plan.overlaps, strict=True):
        shorter = max(1, min(one.num_samples, other.num_samples))
        measured = overlap(one, other)
        if not abs(stated - measured) <= 1 / shorter:  # NaN is no good either
            faults.append(
                f"wanted the overlap of {one.utt} and {other.utt} as stated, {stated}, "
                f"found {measured:.4f} by their offsets"
            )
    return faults


def overlap(one: Source, other: Source) -> float:
    """The part of the shorter of two sources that both cover.

    Args:
        one: a source.
        other: the next.

    Returns:
        A fraction from 0 to 1.
    """
    both = min(one.offset + one.num_samples, other.offset + other.num_samples) - max(one.offset, other.offset)
    return max(0, both) / max(1, min(one.num_samples, other.num_samples))


def _noise_faults(noise: Noise) -> list[str]:
    faults = []
    if not 0 <= noise.start < noise.num_samples:
        faults.append(f"noise {noise.id}: wanted a start inside its {noise.num_samples} samples, found {noise.start}")
    if not math.isfinite(noise.snr_db):
        faults.append(f"noise {noise.id}: wanted a finite SNR, found {noise.snr_db}")
    return faults


def _speech_differences(source: Source, speech: Mapping[str, SpeechEntry] | None) -> list[str]:
    if speech is None:
        return []
    entry = speech.get(source.utt)
    if entry is None:
        return [f"wanted an utterance of {UTTERANCES}, found {source.utt}, which is not in it"]
    wanted, found = (entry.spk, entry.path), (source.spk, source.path)
    return (
        []
        if wanted == found
        else [f"{source.utt}: wanted {' '.join(wanted)} as in {UTTERANCES}, found {' '.join(found)}"]
    )


def _noise_differences(noise: Noise, noises: Mapping[str, NoiseEntry] | None) -> list[str]:
    if noises is None:
        return []
    entry = noises.get(noise.id)
    if entry is None:
        return [f"wanted a noise of {NOISES}, found {noise.id}, which is not in it"]
    wanted, found = (entry.path, entry.num_samples), (noise.path, noise.num_samples)
    return (
        []
        if wanted == found
        else [
            f"noise {noise.id}: wanted {wanted[0]} of {wanted[1]} samples as in {NOISES}, "
            f"found {found[0]} of {found[1]}"
        ]
    )
