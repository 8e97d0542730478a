"""WeSep's legacy layout (2024-25): a data folder with one embedding for every target.

    OUT/wesep/{N}mix/SET/
      wav.scp          mix  mix.wav s1.wav s2.wav          utt2spk         mix  label label
      single.wav.scp   s1/<mix>.wav  path                  single.utt2spk  s1/<mix>.wav  label
      spkK.enroll      mix  sK/<mix>.wav                   embed.{ark,scp} sK/<mix>.wav  the matched embedding
      wav/             the wavs, unless --wav names a LibriMix tree

Use: `joint_training: false`, `{train,val,test}_spk_embeds: embed.scp`, `train_utt2spk: single.utt2spk`.

A label is what WeSep calls the speaker. For a target, its training loader (`sample_spk_embedding`) draws any of the
embeddings that single.utt2spk gives to the target's label. If labels were the real speakers, that would mostly be the
embedding from another mixture, made beside another talker: a plain enrolment, and not the method. So in the training
set each source is a label of its own, `s1/<mix>.wav`, which has one embedding, the right one. Nothing else reads the
label there: without joint training no speaker is classified.

The other sets' loader follows spkK.enroll. Their labels are the speakers, since inference puts a label into its file
names, where scoring reads it: talker 1 is whom the mixture's id begins with, up to the first `-`, and a label ends at a
`-` or a `T`. A speaker who could not be read there has another label (`file_labels`). Of ids with a `T` no label can be
read, which the export says.

What to know about WeSep here:
- Its evaluation takes two talkers: of three, the third is left out of every batch and given the second one's embedding.
- An epoch counts half the rows of single.utt2spk; with three talkers set `dataset_args.sample_num_per_epoch`.
- It cuts training and validation sets into chunks. If a talker is silent in a whole chunk, it draws another place for
  that signal alone: mixture and target no longer belong together (3 of 200 targets of two-talker mixtures at 2 s, 24 of
  180 of three-talker ones at 3 s). `dataset_args.chunk_len` must be longer than the silence at either end of a mixture;
  the export prints the figure.
- Its training and inference read shards, its scoring single.wav.scp. So this folder is whole, and has the names of its
  examples/librimix/tse/v1/run.sh when the training set goes out as `--subset train-100`. shard.list is written last: if
  it is there, the folder is whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from wesep_mix.exports.embeddings import matched_embeddings
from wesep_mix.exports.job import Export
from wesep_mix.exports.kaldi import write_tables
from wesep_mix.exports.settings import LabelConfig, ShardConfig, TableConfig
from wesep_mix.exports.shards import write_shards
from wesep_mix.exports.signals import longest_silence, source_names
from wesep_mix.exports.wavs import wav_folder, wav_path
from wesep_mix.io.embeddings import write_embeddings
from wesep_mix.mixing.plan import Plan

EMBEDDINGS = "required"


@dataclass(frozen=True, kw_only=True)
class Config(LabelConfig, TableConfig, ShardConfig):
    name: str = "wesep"


def export(job: Export) -> None:
    """Write the folder. Raises: UserError naming the target without embedding, or the mixture that is bad."""
    embeddings = matched_embeddings(job)
    wavs = wav_folder(job)
    write_embedding_tables(job, embeddings)
    names = ("mix_both", *source_names(job.num_spk))
    label = partial(labels_of, per_source=per_source(job))
    write_tables(
        job.out,
        {
            "single.wav.scp": source_paths(job, wavs),
            "utt2spk": {plan.id: " ".join(label(plan)) for plan in job.plans},
            "wav.scp": {plan.id: " ".join(str(wav_path(wavs, name, plan.id)) for name in names) for plan in job.plans},
        },
    )
    write_shards(job, label, wavs)
    print_notes(job)


def source_key(plan: Plan, name: str) -> str:
    """What WeSep's recipe calls a source: `s1/<mix>.wav`.

    Args:
        plan: the mixture.
        name: s1, s2, ...

    Returns:
        Its key.
    """
    return f"{name}/{plan.id}.wav"


def source_paths(job: Export, wavs: Path) -> dict[str, str]:
    """Where the sources lie, by what WeSep's recipe calls them.

    Args:
        job: the set.
        wavs: its folder of wavs.

    Returns:
        {key: path}.
    """
    names = source_names(job.num_spk)
    return {source_key(plan, name): str(wav_path(wavs, name, plan.id)) for plan in job.plans for name in names}


def per_source(job: Export) -> bool:
    """Whether each source is a label of its own: it is in the training set, unless the config says otherwise."""
    return (job.config.labels or ("source" if job.data.name == "train" else "speaker")) == "source"


def labels_of(plan: Plan, per_source: bool) -> list[str]:
    """Labels of a mixture's talkers.

    Args:
        plan: the mixture.
        per_source: each source is a label of its own.

    Returns:
        One label a talker.
    """
    if per_source:
        return [source_key(plan, name) for name in source_names(len(plan.sources))]
    return file_labels(plan)


def file_labels(plan: Plan) -> list[str]:
    """Names of a mixture's talkers that WeSep's scoring reads back out of the names of its wavs.

    Args:
        plan: the mixture.

    Returns:
        The speakers, where their names and the mixture's id have the form of LibriSpeech's; else names like them.
    """
    labels = [plan.id.split("-")[0]]
    for source in plan.sources[1:]:
        label = re.sub("[-T]", "", source.spk)
        while label in labels:
            label += "x"
        labels.append(label)
    return labels


def write_embedding_tables(job: Export, embeddings: Mapping[str, np.ndarray]) -> None:
    """Write embed.{ark,scp}, spkK.enroll and single.utt2spk.

    Args:
        job: the set.
        embeddings: {mixture id: [S, D]}.
    """
    names = source_names(job.num_spk)
    write_embeddings(
        job.out / "embed",
        {
            source_key(plan, name): vector
            for plan in job.plans
            for name, vector in zip(names, embeddings[plan.id], strict=True)
        },
    )
    tables = {f"spk{name[1:]}.enroll": {plan.id: source_key(plan, name) for plan in job.plans} for name in names}
    label = partial(labels_of, per_source=per_source(job))
    tables["single.utt2spk"] = {
        source_key(plan, name): spk for plan in job.plans for name, spk in zip(names, label(plan), strict=True)
    }
    write_tables(job.out, tables)


def print_notes(job: Export) -> None:
    """Say which of WeSep's habits matter for this set."""
    silence = max(longest_silence(plan, job.config.mode) for plan in job.plans)
    print(
        f"note: set WeSep's dataset_args.chunk_len above {silence} samples, the longest silence of a talker here: "
        "a chunk in which a talker is silent does not fit its mixture",
        flush=True,
    )
    unreadable = next((plan.id for plan in job.plans if "T" in plan.id), None)
    if unreadable is not None:
        print(
            f"note: ids of mixtures have a T ({unreadable}): WeSep's scoring cannot read the talkers out of its wavs' "
            "names, score them here",
            flush=True,
        )
    if job.num_spk > 2:
        print(
            f"note: WeSep's evaluation takes two talkers; of these {job.num_spk} it leaves out all after the second",
            flush=True,
        )
