"""WeSep v0.1 (2026) as tar shards, with the cue `npy / spk_embedding` of format `wesep_v01`.

    OUT/wesep_v01_shards/{N}mix/SET/{shards/shards_NNNNNNNNN.tar,cues.yaml,cues/,samples.jsonl,shard.list}

samples.jsonl has keys and speakers only, which is what WeSep's training counts. There are no loose wavs: its scoring,
which reads references from single.wav.scp, takes the test set in format `wesep_v01`. shard.list is written last: if it
is there, the folder is whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from wesep_mix.base.files import write_jsonl
from wesep_mix.exports.embeddings import matched_embeddings
from wesep_mix.exports.job import Export
from wesep_mix.exports.settings import ShardConfig
from wesep_mix.exports.shards import write_shards
from wesep_mix.exports.wesep import file_labels
from wesep_mix.exports.wesep_v01 import write_cues

EMBEDDINGS = "required"


@dataclass(frozen=True, kw_only=True)
class Config(ShardConfig):
    name: str = "wesep_v01_shards"


def export(job: Export) -> None:
    """Write the folder. Raises: UserError naming the target without embedding, or the mixture that is bad."""
    write_cues(job, matched_embeddings(job))
    write_jsonl(job.out / "samples.jsonl", ({"key": plan.id, "spk": file_labels(plan)} for plan in job.plans))
    write_shards(job, file_labels)
