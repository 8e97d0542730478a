"""Kaldi data folder of mixtures.

    OUT/kaldi/{N}mix/SET/{spk1.scp,...,noise1.scp,mix2spk,utt2dur,spk2utt,utt2spk,wav.scp} and wav/

A mixture has several talkers, so in utt2spk every mixture is a speaker of its own, as in ESPnet's mixture recipes; who
talks is in `mix2spk` (`mix spk1 spk2 ...`). wav.scp is written last: if it is there, the folder is whole. Paths are
absolute. Kaldi's own programs read wavs of 16 bit only; of FLOAT the export says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wesep_mix.base.files import write_table
from wesep_mix.exports.job import Export
from wesep_mix.exports.settings import TableConfig
from wesep_mix.exports.signals import exported_length, source_names
from wesep_mix.exports.wavs import wav_folder, wav_path

EMBEDDINGS = "unused"


@dataclass(frozen=True, kw_only=True)
class Config(TableConfig):
    name: str = "kaldi"


def export(job: Export) -> None:
    """Write the folder. Raises: UserError naming the mixture that cannot be written."""
    write_tables(job.out, kaldi_tables(job, wav_folder(job)))
    if job.config.wav_subtype == "FLOAT":
        print("note: Kaldi's own programs do not read wavs of floats; PCM_16 they do", flush=True)


def kaldi_tables(job: Export, wavs: Path) -> dict[str, dict[str, str]]:
    """Make the tables of a set.

    Args:
        job: the set.
        wavs: the folder of its wavs.

    Returns:
        {file name: {mixture id: value}}, wav.scp last.
    """
    signals = {f"spk{name[1:]}.scp": name for name in source_names(job.num_spk)} | {"noise1.scp": "noise"}
    tables = {
        file: {plan.id: str(wav_path(wavs, name, plan.id)) for plan in job.plans} for file, name in signals.items()
    }
    tables["mix2spk"] = {plan.id: " ".join(source.spk for source in plan.sources) for plan in job.plans}
    tables["utt2dur"] = {
        plan.id: f"{exported_length(plan, job.config.mode) / plan.sample_rate:.7g}" for plan in job.plans
    }
    tables["spk2utt"] = tables["utt2spk"] = {plan.id: plan.id for plan in job.plans}
    tables["wav.scp"] = {plan.id: str(wav_path(wavs, "mix_both", plan.id)) for plan in job.plans}
    return tables


def write_tables(folder: Path, tables: Mapping[str, Mapping[str, str]]) -> None:
    """Write Kaldi tables, in their order.

    Args:
        folder: where to write.
        tables: {file name: {key: value}}.
    """
    for name, rows in tables.items():
        write_table(folder / name, rows)
