"""Options that all formats share. A format's own options are fields that its `Config` adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from wesep_mix.base.config import Checked, Count

Mode = Literal["max", "min"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True, kw_only=True)
class AudioConfig(Checked):
    """How audio is written.

    Attributes:
        mode: `max` keeps the planned mixture whole, from the first talker's start to the last one's end; `min` ends it
            where the first talker to end does, as LibriMix's min ends with its shortest source.
        wav_subtype: PCM_16 refuses to clip, FLOAT keeps any level; the level is the plan's in both.
        subset: the set's name in the exported folder (`train-360`), the set's own where empty.
    """

    name: str = ""
    mode: Mode = "max"
    wav_subtype: Literal["PCM_16", "FLOAT"] = "PCM_16"
    subset: str = ""

    def set_folder(self, out: Path, subset: str, num_spk: int) -> Path:
        """Where a set goes in the export."""
        return out / self.name / f"{num_spk}mix" / subset

    def index_files(self, folder: Path) -> Sequence[Path]:
        """Files outside the set's folder that name what is in it."""
        return ()


@dataclass(frozen=True, kw_only=True)
class TableConfig(AudioConfig):
    """Tables of wavs.

    Attributes:
        wav: a folder `.../max` or `.../min` of an exported LibriMix tree, whose wavs are named, not written again.
    """

    wav: str = ""


@dataclass(frozen=True, kw_only=True)
class LabelConfig(AudioConfig):
    """Samples with labels.

    Attributes:
        labels: `source` or `speaker`; where empty, `source` in the set named train and `speaker` in others.
    """

    labels: Literal["source", "speaker", ""] = ""


@dataclass(frozen=True, kw_only=True)
class ShardConfig(AudioConfig):
    """Tar shards of `shard_size` mixtures each."""

    shard_size: Count = 1000
