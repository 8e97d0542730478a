"""conf/corpus.yaml: which corpus, how it is mixed, and how many fixed mixtures each set has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wesep_mix.base import config
from wesep_mix.base.names import SETS

SHORT = ("replace", "drop")


@dataclass(frozen=True)
class MixingConfig:
    """How mixtures are drawn. The modes of the SNR distribution are not known from the paper: *open*, 5/10/15 dB."""

    segment_s: float = 5.0
    overlap: tuple[float, ...] = (0.5, 0.8)
    snr_db: tuple[float, ...] = (5.0, 10.0, 15.0)
    lufs: tuple[float, ...] = (-33.0, -25.0)
    max_crops: int = 4

    def __post_init__(self) -> None:
        for name, values in {"overlap": self.overlap, "lufs": self.lufs}.items():
            if len(values) != 2 or values[0] > values[1]:
                raise ValueError(f"{name}: wanted [low, high], found {list(values)}")
        if not 0 <= self.overlap[0] <= self.overlap[1] <= 1:
            raise ValueError(f"overlap: wanted shares between 0 and 1, found {list(self.overlap)}")
        if self.segment_s < 0.4:
            raise ValueError(f"segment_s: wanted at least 0.4, which loudness is measured over, found {self.segment_s}")
        if self.max_crops < 1 or not self.snr_db:
            raise ValueError("max_crops must be positive and snr_db must have a value")


@dataclass(frozen=True)
class CorpusConfig:
    """conf/corpus.yaml. `mixtures` and `single` are the numbers of fixed plans of each set, at most.

    single_noise: prefixes of kinds for the single-speaker set; a set that is not named takes all its noises.
    metadata_dir: official LibriMix CSVs that say which utterances are mixed; "": drawn by us.
    short: what becomes of a CSV's row whose utterance lacks a full segment (see mixing.librimix).
    decoded: stage 1 also decodes speech and noise into 16-bit wavs.
    """

    corpus: Any = config.plugin("corpora")
    seed: int = 0
    mixing: MixingConfig = MixingConfig()
    mixtures: dict[str, int] = field(default_factory=lambda: {"train": 1000, "dev": 100, "test": 300})
    single: dict[str, int] = field(default_factory=lambda: {"train": 1000, "dev": 100, "test": 300})
    single_noise: dict[str, tuple[str, ...]] = field(default_factory=dict)
    metadata_dir: str = ""
    short: str = "replace"
    decoded: bool = False
    max_bad: int = 0

    def __post_init__(self) -> None:
        for name, sizes in {"mixtures": self.mixtures, "single": self.single}.items():
            if sorted(sizes) != sorted(SETS) or min(sizes.values()) < 1:
                raise ValueError(f"{name}: wanted a positive number for each of {', '.join(SETS)}, found {sizes}")
        for name, kinds in self.single_noise.items():
            if name not in SETS or not kinds:
                raise ValueError(
                    f"single_noise: wanted kinds of noise for some of {', '.join(SETS)}, found {name}: {list(kinds)}"
                )
        if self.short not in SHORT:
            raise ValueError(f"short: wanted {' or '.join(SHORT)}, found {self.short!r}")
