"""The wavs of an exported LibriMix tree: are they there, and are they what their plan renders to?"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from wesep_mix.base import parallel
from wesep_mix.base.errors import UserError
from wesep_mix.exports.settings import MODES
from wesep_mix.exports.signals import MIXTURES, exported_length, signals, source_names
from wesep_mix.exports.wavs import wav_path
from wesep_mix.io.audio import num_frames, read_audio
from wesep_mix.mixing.plan import PLANS, Plan
from wesep_mix.validation.folders import CheckedSet
from wesep_mix.validation.problems import Problem

MAX_ERROR = 1.5 / 32768  # half a step of rounding; and for 1.0 libsndfile writes 32767, but reads 32768
REDO = "export the set again with --force true"


def check_exported(each: CheckedSet, plans: Sequence[Plan], nj: int, quick: bool) -> list[Problem]:
    """Compare the wavs of a set with what its plans render to; a set outside an exported tree has nothing to check.

    Args:
        each: the set.
        plans: those of its plans that can be rendered.
        nj: number of processes.
        quick: compare only lengths, by the headers.

    Returns:
        What is wrong.
    """
    if not is_exported(each.path):
        return []
    check = functools.partial(_mixture_faults, folder=each.path, mixtures=_mixture_kinds(each.path), quick=quick)
    checked = parallel.map_items(check, plans, nj, f"wavs of {each.title}")
    texts = [*_strangers(each), *(f"{fault}; {REDO}" for _, faults in checked for fault in faults)]
    return [Problem("exported audio", text) for text in texts]


def is_exported(folder: Path) -> bool:
    """Whether a folder is a set's in an exported tree: .../max/SUBSET with wavs of mixtures."""
    return folder.resolve().parent.name in MODES and bool(_mixture_kinds(folder))


def _mixture_kinds(folder: Path) -> list[str]:
    return [name for name in MIXTURES if (folder / name).is_dir()]


def _mixture_faults(plan: Plan, folder: Path, mixtures: Sequence[str], quick: bool) -> list[str]:
    """What is wrong with the wavs of one mixture; empty if nothing is."""
    mode, names = folder.resolve().parent.name, [*mixtures, *source_names(len(plan.sources)), "noise"]
    try:
        length, rendered = exported_length(plan, mode), {} if quick else signals(plan, mode)
    except UserError as err:
        return [f"{folder / PLANS}, mixture {plan.id}: {err}"]
    return [
        fault
        for name in names
        for fault in _wav_faults(wav_path(folder, name, plan.id), length, rendered.get(name), plan.sample_rate)
    ]


def _wav_faults(path: Path, length: int, wanted: np.ndarray | None, sample_rate: int) -> list[str]:
    if not path.is_file():
        return [f"{path}: wanted the wav of a mixture of {PLANS}, found none"]
    try:
        found = None if wanted is None else read_audio(path, sample_rate=sample_rate)
        num_samples = num_frames(path, sample_rate) if found is None else len(found)
    except UserError as err:
        return [str(err)]
    if num_samples != length:
        return [f"{path}: wanted {length} samples as planned, found {num_samples}"]
    if found is None:
        return []
    errors = np.abs(found - wanted)
    worst = int(errors.argmax())
    if errors[worst] <= MAX_ERROR:
        return []
    return [f"{path}: wanted what the plan renders to, {wanted[worst]:.5f} at sample {worst}, found {found[worst]:.5f}"]


def _strangers(each: CheckedSet) -> Iterator[str]:
    """Wavs of mixtures that the plan does not have, left from another plan."""
    known = {f"{plan.id}.wav" for plan in each.plans}
    for folder in sorted(path for path in each.path.iterdir() if path.is_dir() and not path.name.startswith(".")):
        for path in sorted(folder.iterdir()):
            if path.name not in known and not path.name.startswith("."):
                yield f"{path}: wanted wavs of mixtures in {PLANS} alone, found this one; remove it"
