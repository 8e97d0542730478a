"""conf/corpus.yaml: which corpus, how it is mixed, and how many fixed mixtures each set has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wesep_mix import config
from wesep_mix.mixing.draw import MixingConfig

SETS = ("train", "dev", "test")


@dataclass(frozen=True)
class CorpusConfig:
    """conf/corpus.yaml. `mixtures` and `single` are the numbers of fixed plans of each set."""

    corpus: Any = config.plugin("corpora")
    seed: int = 0
    mixing: MixingConfig = MixingConfig()
    mixtures: dict[str, int] = field(default_factory=lambda: {"train": 1000, "dev": 100, "test": 300})
    single: dict[str, int] = field(default_factory=lambda: {"train": 1000, "dev": 100, "test": 300})
    max_bad: int = 0

    def __post_init__(self) -> None:
        for name, sizes in {"mixtures": self.mixtures, "single": self.single}.items():
            if sorted(sizes) != sorted(SETS) or min(sizes.values()) < 1:
                raise ValueError(f"{name}: wanted a positive number for each of {', '.join(SETS)}, found {sizes}")
