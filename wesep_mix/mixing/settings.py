"""conf/corpus.yaml: which corpus, how it is mixed, and how many fixed mixtures each set has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wesep_mix import config
from wesep_mix.mixing.draw import MixingConfig

SETS = ("train", "dev", "test")
SHORT = ("replace", "drop")


@dataclass(frozen=True)
class CorpusConfig:
    """conf/corpus.yaml. `mixtures` and `single` are the numbers of fixed plans of each set, at most.

    single_noise: prefixes of kinds for the single-speaker set; a set that is not named takes all its noises.
    metadata_dir: official LibriMix CSVs that say which utterances are mixed; "": drawn by us.
    short: what becomes of a CSV's row whose utterance lacks a full segment (see mixing.metadata).
    decoded: stage 1 also decodes speech and noise into flat 16-bit files.
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
                raise ValueError(f"single_noise: wanted kinds of noise for some of {', '.join(SETS)}, "
                                 f"found {name}: {list(kinds)}")
        if self.short not in SHORT:
            raise ValueError(f"short: wanted {' or '.join(SHORT)}, found {self.short!r}")
