"""WeSep v0.1 (2026): samples, their raw list, and the cue `npy / spk_embedding`.

    OUT/wesep_v01/{N}mix/SET/
      samples.jsonl, raw.list   {"key","spk":[...],"mix":{"default":[path]},"src":{speaker:[path]}} a line
      cues.yaml                 the audio cue: which file, looked up by `<mix>::<speaker>`
      cues/embeddings.json      {"<mix>::<speaker>": [{"path": npy}]};  cues/npy/*.npy: float32 [D]
      single.wav.scp            s1/<mix>.wav  path: what its scoring compares with
      shard.list                shards/shards_NNNNNNNNN.tar, the same wavs: `data_type` shard or raw, as one likes
      wav/                      the wavs, unless --wav names a LibriMix tree

The cue is fixed by mixture and speaker, so training gets the matched embedding as it is (compare format `wesep`).
Inference takes any number of talkers; scoring takes two, since it calls all after the first s2. Speakers are named as
in format `wesep`. raw.list is written last: if it is there, the folder is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from wesep_mix.base.files import atomic_write, write_json, write_jsonl
from wesep_mix.exports.embeddings import matched_embeddings, write_npy
from wesep_mix.exports.job import Export
from wesep_mix.exports.kaldi import write_tables
from wesep_mix.exports.settings import ShardConfig, TableConfig
from wesep_mix.exports.shards import write_shards
from wesep_mix.exports.signals import source_names
from wesep_mix.exports.wavs import wav_folder, wav_path
from wesep_mix.exports.wesep import file_labels, source_paths
from wesep_mix.mixing.plan import Plan

EMBEDDINGS = "required"


@dataclass(frozen=True, kw_only=True)
class Config(TableConfig, ShardConfig):
    name: str = "wesep_v01"


def export(job: Export) -> None:
    """Write the folder. Raises: UserError naming the target without embedding, or the mixture that is bad."""
    embeddings = matched_embeddings(job)
    wavs = wav_folder(job)
    write_cues(job, embeddings)
    rows = [_sample(plan, wavs) for plan in job.plans]
    write_jsonl(job.out / "samples.jsonl", rows)
    write_tables(job.out, {"single.wav.scp": source_paths(job, wavs)})
    write_shards(job, file_labels, wavs)
    write_jsonl(job.out / "raw.list", rows)


def write_cues(job: Export, embeddings: Mapping[str, np.ndarray]) -> None:
    """Write cues.yaml and the files that it names.

    Args:
        job: the set.
        embeddings: {mixture id: [S, D]}.
    """
    files = write_npy(job.out / "cues" / "npy", job, embeddings)
    index = job.out / "cues" / "embeddings.json"
    write_json(
        index,
        {
            f"{plan.id}::{label}": [{"path": str(path)}]
            for plan in job.plans
            for label, path in zip(file_labels(plan), files[plan.id], strict=True)
        },
    )
    policy = {"type": "fixed", "key": "mix_spk_id", "resource": str(index)}
    audio = {"type": "npy", "format": "spk_embedding", "scope": "speaker", "guaranteed": True, "policy": policy}
    with atomic_write(job.out / "cues.yaml") as file:
        yaml.safe_dump({"cues": {"audio": audio}}, file, sort_keys=False)


def _sample(plan: Plan, wavs: Path) -> dict:
    speakers, names = file_labels(plan), source_names(len(plan.sources))
    return {
        "key": plan.id,
        "spk": speakers,
        "mix": {"default": [str(wav_path(wavs, "mix_both", plan.id))]},
        "src": {spk: [str(wav_path(wavs, name, plan.id))] for spk, name in zip(speakers, names, strict=True)},
    }
