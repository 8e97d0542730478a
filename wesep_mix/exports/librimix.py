"""LibriMix's folder tree (Cosentino et al. 2020, arXiv 2005.11262), as its scripts write it.

    OUT/Libri{N}Mix/wav16k/MODE/SUBSET/{mix_both,mix_clean,mix_single,s1,...,noise}/ID.wav
    OUT/Libri{N}Mix/wav16k/MODE/SUBSET/plan.jsonl   the plans, with which check_data compares the wavs
    OUT/Libri{N}Mix/wav16k/MODE/metadata/{mixture,metrics}_SUBSET_{mix_both,mix_clean,mix_single}.csv

Paths in the CSVs are absolute, `length` is in samples, and a metric is a source's power over the power of the rest of
its mixture, in dB. The CSVs are written last: if they are there, the wavs are whole. `mix_single` is the first talker
and the noise, at the levels that they have in the mixture.

What differs from LibriMix: talkers start at their planned offsets. Mode `max` is the mixture as planned; mode `min`
ends it with the talker who ends first, and no talker's start is cut.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np

from wesep_mix.base.config import FILLED
from wesep_mix.base.files import atomic_write
from wesep_mix.base.parallel import map_items
from wesep_mix.exports.job import Export
from wesep_mix.exports.settings import AudioConfig
from wesep_mix.exports.signals import MIXTURES, MixtureKind, exported_length, source_names
from wesep_mix.exports.wavs import wav_path, write_wavs
from wesep_mix.io.audio import read_audio
from wesep_mix.mixing.plan import PLANS, Plan, write_plans

EMBEDDINGS = "unused"
FLOOR = 1e-10  # LibriMix's; it keeps the logarithm finite


@dataclass(frozen=True, kw_only=True)
class Config(AudioConfig):
    """A LibriMix tree.

    Attributes:
        types: which mixtures are written; sources and noise always are.
    """

    name: str = "librimix"
    types: Annotated[tuple[MixtureKind, ...], FILLED] = MIXTURES

    def set_folder(self, out: Path, subset: str, num_spk: int) -> Path:
        return out / f"Libri{num_spk}Mix" / "wav16k" / self.mode / subset

    def index_files(self, folder: Path) -> list[Path]:
        return [_csv_path(folder, table, kind) for kind in self.types for table in ("metrics", "mixture")]


def export(job: Export) -> None:
    """Write wavs, then the CSVs. Raises: UserError naming the mixture that cannot be written."""
    kinds, sources = job.config.types, source_names(job.num_spk)
    write_wavs(job, job.out, [*kinds, *sources, "noise"])
    write_plans(job.out / PLANS, job.plans)
    measured = map_items(partial(_snrs, folder=job.out, kinds=kinds), job.plans, job.nj, "measuring")
    for kind in kinds:
        parts = _parts(kind, sources)
        snrs = [[plan.id, *row[kind]] for plan, row in measured]
        _write_csv(_csv_path(job.out, "metrics", kind), ["mixture_ID", *(f"{_long(part)}_SNR" for part in parts)], snrs)
        header = ["mixture_ID", "mixture_path", *(f"{_long(part)}_path" for part in parts), "length"]
        rows = [
            [
                plan.id,
                *(wav_path(job.out, name, plan.id) for name in (kind, *parts)),
                exported_length(plan, job.config.mode),
            ]
            for plan in job.plans
        ]
        _write_csv(_csv_path(job.out, "mixture", kind), header, rows)


def _csv_path(folder: Path, table: str, kind: str) -> Path:
    return folder.parent / "metadata" / f"{table}_{folder.name}_{kind}.csv"


def _parts(kind: str, sources: Sequence[str]) -> list[str]:
    """The signals that a kind of mixture is the sum of."""
    talkers = list(sources[:1] if kind == "mix_single" else sources)
    return talkers if kind == "mix_clean" else [*talkers, "noise"]


def _long(part: str) -> str:
    return "noise" if part == "noise" else f"source_{part[1:]}"


def _snrs(plan: Plan, folder: Path, kinds: Sequence[str]) -> dict[str, list[float]]:
    """{kind of mixture: dB of each of its parts over the rest}, measured on the files that were written."""
    sources = source_names(len(plan.sources))
    audio = {
        name: read_audio(wav_path(folder, name, plan.id), sample_rate=plan.sample_rate)
        for name in (*kinds, *sources, "noise")
    }
    return {kind: [_snr(audio[part], audio[kind]) for part in _parts(kind, sources)] for kind in kinds}


def _snr(part: np.ndarray, mixture: np.ndarray) -> float:
    power, rest = (float(np.mean(x.astype(np.float64) ** 2)) for x in (part, mixture - part))
    return 10 * math.log10(power / (rest + FLOOR) + FLOOR)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
