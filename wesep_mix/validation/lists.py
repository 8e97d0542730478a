"""A set's lists: ids, crops, noise lengths, and whether Kaldi's tables say the same."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_table
from wesep_mix.preparation.activity import Crop
from wesep_mix.preparation.lists import NOISES, UTTERANCES, WAVS, NoiseEntry, SpeechEntry, wavs_of
from wesep_mix.validation.folders import CheckedSet
from wesep_mix.validation.problems import Problem

REDO = "redo stage 1 with --force true"
MOVED = "run stage 1 if the corpus or the project has moved, which mends this, else redo it with --force true"


def check_lists(each: CheckedSet) -> list[Problem]:
    """Everything about a set's lists that can be checked without opening an audio file."""
    speech, noises = each.path / UTTERANCES, each.path / NOISES
    texts = [f"{speech}: {fault}" for fault in twice(entry.utt for entry in each.speech)]
    texts += [f"{noises}: {fault}" for fault in twice(entry.id for entry in each.noises)]
    for entry in each.speech:
        texts += [f"{speech}, utterance {entry.utt}: {fault}; {REDO}" for fault in _utterance_faults(entry)]
    for noise in each.noises:
        texts += [f"{noises}, noise {noise.id}: {fault}; {REDO}" for fault in _noise_faults(noise)]
    problems = [Problem("lists", text) for text in texts]
    return problems + _check_tables(each) if UTTERANCES in each.read else problems


def twice(ids: Iterable[str]) -> list[str]:
    """A line for every id that is there more than once."""
    counts = Counter(ids)
    return [f"wanted every id once, found {name} {count} times; {REDO}" for name, count in counts.items() if count > 1]


def _utterance_faults(entry: SpeechEntry) -> list[str]:
    if not entry.crops:
        return ["wanted at least one crop, found none"]
    bounds = [bound for stretch in entry.speech for bound in stretch]
    faults = [] if bounds == sorted(set(bounds)) else [f"wanted stretches of speech in order, found {entry.speech}"]
    return faults + [fault for crop in entry.crops for fault in _crop_faults(crop)]


def _crop_faults(crop: Crop) -> list[str]:
    faults = []
    if crop.start < 0:
        faults.append(f"wanted a crop that starts at sample 0 or later, found {crop.start}")
    if not 0 <= crop.speech <= 1:
        faults.append(f"wanted a share of speech between 0 and 1 in the crop at {crop.start}, found {crop.speech}")
    if not math.isfinite(crop.lufs):
        faults.append(f"wanted a finite loudness of the crop at {crop.start}, found {crop.lufs}")
    return faults


def _noise_faults(noise: NoiseEntry) -> list[str]:
    if noise.num_samples <= 0:
        return [f"wanted a positive number of samples, found {noise.num_samples}"]
    bounds = [bound for stretch in noise.silent for bound in stretch]
    if bounds != sorted(set(bounds)) or bounds and not (bounds[0] >= 0 and bounds[-1] <= noise.num_samples):
        return [f"wanted silent stretches in order inside its {noise.num_samples} samples, found {noise.silent}"]
    return [] if noise.sounds else ["wanted a noise that sounds, found a silent one"]


def _check_tables(each: CheckedSet) -> list[Problem]:
    by_speaker: dict[str, list[str]] = {}
    for entry in each.speech:
        by_speaker.setdefault(entry.spk, []).append(entry.utt)
    tables = {
        WAVS: wavs_of(each.speech),
        "utt2spk": {entry.utt: entry.spk for entry in each.speech},
        "spk2utt": {spk: " ".join(sorted(set(utts))) for spk, utts in by_speaker.items()},
    }
    return [
        Problem("lists", text) for name, wanted in tables.items() for text in _table_faults(each.path / name, wanted)
    ]


def _table_faults(path: Path, wanted: Mapping[str, str]) -> list[str]:
    try:
        found = read_table(path)
    except UserError as err:
        return [f"{err}; {REDO}"]
    if path.name == WAVS:  # an older revision wrote the paths of the lists, which may be relative
        found = {utt: os.path.abspath(wav) for utt, wav in found.items()}
    faults = _order_faults(list(found)) or (_speaker_order_faults(found) if path.name == "utt2spk" else [])
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            faults.append(
                f"{key}: wanted {wanted.get(key, 'no such key')!r} as in {UTTERANCES}, "
                f"found {found.get(key, 'no such key')!r}"
            )
    advice = MOVED if path.name == WAVS else REDO
    return [f"{path}: {fault}; {advice}" for fault in faults]


def _order_faults(keys: Sequence[str]) -> list[str]:
    for before, after in zip(keys, keys[1:], strict=False):
        if before.encode() > after.encode():
            return [f"wanted keys sorted as LC_ALL=C sort does, found {before} before {after}"]
    return []


def _speaker_order_faults(utt2spk: Mapping[str, str]) -> list[str]:
    """Kaldi's own checks want utt2spk sorted by speaker too: an id begins with its speaker, so both sort alike."""
    rows = list(utt2spk.items())
    for (utt, spk), (next_utt, next_spk) in zip(rows, rows[1:], strict=False):
        if spk.encode() > next_spk.encode():
            return [
                f"wanted the order of utterances to be that of speakers, as Kaldi wants it, found {utt} of {spk} "
                f"before {next_utt} of {next_spk}; rename a speaker"
            ]
    return []
