"""conf/corpus.yaml: which corpus, how it is mixed, and how many fixed mixtures each set has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from wesep_mix.base import config
from wesep_mix.base.config import FILLED, LOW_HIGH, Checked, Count, CountOrZero, at_least, between
from wesep_mix.base.names import SETS, SetName

Sizes = dict[SetName, Count]  # a number for each set
Share = Annotated[float, between(0, 1, says="a share between 0 and 1")]


@dataclass(frozen=True)
class MixingConfig(Checked):
    """How mixtures are drawn.

    Attributes:
        segment_s: seconds of speech of each talker.
        overlap: lowest and highest share of a segment that consecutive talkers have in common.
        snr_db: modes of the distribution of the SNR; not known from the paper: *open*, 5/10/15 dB.
        lufs: lowest and highest loudness of a talker.
        max_crops: candidate crops of an utterance for training.
    """

    segment_s: Annotated[float, at_least(0.4, says="at least 0.4, which loudness is measured over")] = 5.0
    overlap: Annotated[tuple[Share, ...], LOW_HIGH] = (0.5, 0.8)
    snr_db: Annotated[tuple[float, ...], FILLED] = (5.0, 10.0, 15.0)
    lufs: Annotated[tuple[float, ...], LOW_HIGH] = (-33.0, -25.0)
    max_crops: Count = 4


@dataclass(frozen=True)
class CorpusConfig(Checked):
    """conf/corpus.yaml.

    Attributes:
        mixtures: number of fixed plans of each set of mixtures, at most.
        single: number of fixed plans of each single-speaker set, at most.
        single_noise: prefixes of kinds for the single-speaker set; a set that is not named takes all its noises.
        metadata_dir: official LibriMix CSVs that say which utterances are mixed; "": drawn by us.
        short: what becomes of a CSV's row whose utterance lacks a full segment (see mixing.librimix).
        decoded: stage 1 also decodes speech and noise into 16-bit wavs.
        max_bad: damaged files to tolerate.
    """

    corpus: Any = config.plugin("corpora")
    seed: int = 0
    mixing: MixingConfig = MixingConfig()
    mixtures: Sizes = field(default_factory=lambda: {"train": 1000, "dev": 100, "test": 300})
    single: Sizes = field(default_factory=lambda: {"train": 1000, "dev": 100, "test": 300})
    single_noise: dict[SetName, Annotated[tuple[str, ...], FILLED]] = field(default_factory=dict)
    metadata_dir: str = ""
    short: Literal["replace", "drop"] = "replace"
    decoded: bool = False
    max_bad: CountOrZero = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, sizes in {"mixtures": self.mixtures, "single": self.single}.items():
            if len(sizes) < len(SETS):
                raise ValueError(f"{name}: wanted a positive number for each of {', '.join(SETS)}, found {sizes}")
