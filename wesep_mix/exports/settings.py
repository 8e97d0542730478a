"""Options that all formats share. A format's own options are fields that its `Config` adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MODES = ("max", "min")
SUBTYPES = ("PCM_16", "FLOAT")
LABELS = ("source", "speaker")


def check_one_of(name: str, value: str, wanted: tuple[str, ...]) -> None:
    if value not in wanted:
        raise ValueError(f"{name}: wanted {' or '.join(wanted)}, found {value}")


@dataclass(frozen=True, kw_only=True)
class AudioConfig:
    """How audio is written.

    mode: `max` keeps the planned mixture whole, from the first talker's start to the last one's end; `min` ends it
    where the first talker to end does, as LibriMix's min ends with its shortest source.
    wav_subtype: PCM_16 refuses to clip, FLOAT keeps any level; the level is the plan's in both.
    subset: the set's name in the exported folder (`train-360`), the set's own where empty.
    """

    name: str = ""
    mode: str = "max"
    wav_subtype: str = "PCM_16"
    subset: str = ""

    def __post_init__(self) -> None:
        check_one_of("mode", self.mode, MODES)
        check_one_of("wav_subtype", self.wav_subtype, SUBTYPES)

    def set_folder(self, out: Path, subset: str, num_spk: int) -> Path:
        """Where a set goes in the export."""
        return out / self.name / f"{num_spk}mix" / subset

    def index_files(self, folder: Path) -> Sequence[Path]:
        """Files outside the set's folder that name what is in it."""
        return ()


@dataclass(frozen=True, kw_only=True)
class TableConfig(AudioConfig):
    """Tables of wavs. wav: a folder `.../max` or `.../min` of an exported LibriMix tree, whose wavs are named instead
    of written again.
    """

    wav: str = ""


@dataclass(frozen=True, kw_only=True)
class LabelConfig(AudioConfig):
    """labels: `source` or `speaker`; where empty, `source` in the set named train and `speaker` in others."""

    labels: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels:
            check_one_of("labels", self.labels, LABELS)


@dataclass(frozen=True, kw_only=True)
class ShardConfig(AudioConfig):
    """Tar shards of `shard_size` mixtures each."""

    shard_size: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shard_size < 1:
            raise ValueError(f"shard_size: wanted 1 or more, found {self.shard_size}")
