"""WeSep's legacy layout (2024-25) as tar shards, with all that its training and inference read beside them.

    OUT/wesep_shards/{N}mix/SET/{shards/shards_NNNNNNNNN.tar,embed.ark,embed.scp,spkK.enroll,single.utt2spk,shard.list}

The labels in the shards are those of format `wesep`, which says why in training they are per source. There are no
loose wavs: WeSep's scoring tool, which reads references from single.wav.scp, takes the test set in format `wesep`,
which has both.
shard.list is written last: if it is there, the folder is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from wesep_mix.exports.embeddings import matched_embeddings
from wesep_mix.exports.job import Export
from wesep_mix.exports.settings import LabelConfig, ShardConfig
from wesep_mix.exports.shards import write_shards
from wesep_mix.exports.wesep import labels_of, per_source, print_notes, write_embedding_tables

EMBEDDINGS = "required"


@dataclass(frozen=True, kw_only=True)
class Config(LabelConfig, ShardConfig):
    name: str = "wesep_shards"


def export(job: Export) -> None:
    """Write the folder. Raises: UserError naming the target without embedding, or the mixture that is bad."""
    write_embedding_tables(job, matched_embeddings(job))
    write_shards(job, partial(labels_of, per_source=per_source(job)))
    print_notes(job)
