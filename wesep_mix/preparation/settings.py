"""conf/corpus.yaml: which corpus, how it is mixed, and how many fixed mixtures each set has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from wesep_mix.base import config
from wesep_mix.base.config import FILLED, LOW_HIGH, Checked, Count, CountOrZero, above, at_least, between
from wesep_mix.base.installed import how_to_get, is_there
from wesep_mix.base.names import SETS, SetName

Sizes = dict[SetName, Count]  # a number for each set
Speed = Annotated[float, between(0.5, 2, says="a factor from 0.5 to 2")]
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
class EffectsConfig(Checked):
    """What happens to mixtures that a network is trained on (data.effects), each to a share of them, independently.

    Attributes:
        speeds: of each talker of each mixture, drawn anew; 1.1 is ten percent faster and higher. It is another voice,
            also to the teacher, and its enrolments have it too.
        reverberation: the talkers are in a room, and what is wanted of each is the direct sound with its early
            reflections.
        rooms: folder of rooms' impulse responses, mono at 16 kHz; those of one folder below it are of one room. "":
            rooms are simulated.
        num_rooms: how many are simulated.
        t60: shortest and longest reverberation time of a simulated room, in seconds.
        clipping: the mixture is cut off where it is loudest.
        band_limit: nothing above some frequency, at times nothing below 300 Hz, in the talkers' speech likewise.
        codec: the mixture was stored by a lossy codec.
    """

    speeds: Annotated[tuple[Speed, ...], FILLED] = (1.0,)
    reverberation: Share = 0.0
    rooms: str = ""
    num_rooms: Count = 200
    t60: Annotated[tuple[Annotated[float, above(0)], ...], LOW_HIGH] = (0.2, 0.6)
    clipping: Share = 0.0
    band_limit: Share = 0.0
    codec: Share = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reverberation and not self.rooms and not is_there("rooms"):
            raise ValueError(
                f"effects.reverberation: {how_to_get('rooms')}; or name a folder of impulse responses, effects.rooms"
            )

    @property
    def shares(self) -> dict[str, float]:
        """Share of the mixtures by kind of effect, in the order in which they happen."""
        return {name: getattr(self, name) for name in ("reverberation", "clipping", "band_limit", "codec")}


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
