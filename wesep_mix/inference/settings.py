"""What conf/embeddings.yaml (stage 4) and conf/score.yaml (stages 6 to 8) hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from wesep_mix.base import installed
from wesep_mix.base.config import Checked, at_least
from wesep_mix.base.names import SETS
from wesep_mix.inference.controls import CONTROLS

WAV_SUBTYPES = ("PCM_16", "FLOAT")
LEAST_CHUNK_S = 0.5


@dataclass(frozen=True)
class Chunks:
    """How a network goes over long signals; `chunk_s` 0: over all of a signal at once.

    chunk_s: seconds of a chunk; overlap_s: seconds that consecutive chunks share, up to half a chunk.
    """

    chunk_s: float = 0.0
    overlap_s: float = 0.0

    def __post_init__(self) -> None:
        if self.chunk_s != 0 and self.chunk_s < LEAST_CHUNK_S:
            raise ValueError(
                f"chunk_s: wanted seconds from {LEAST_CHUNK_S} on, or 0 for whole files, found {self.chunk_s}"
            )
        if not 0 <= self.overlap_s <= self.chunk_s / 2:
            raise ValueError(
                f"overlap_s: wanted 0 to half of chunk_s {self.chunk_s}, found {self.overlap_s}; set it "
                "too, or a longer chunk_s"
            )


WHOLE = Chunks()


@dataclass(frozen=True)
class ScoreConfig:
    """Settings of extraction, scoring and the controls.

    max_bad: how many utterances of a condition may fail, each named, before the stage does.
    wav_subtype: of what is extracted, PCM_16 (FLOAT where that would clip) or FLOAT.
    seed: of k-means and of the choice of random embeddings.
    chunk_s, overlap_s: length and overlap of the chunks of long mixtures in seconds, 0: whole ones.
    batch_size: mixtures of equal length that go through a network together.
    dnsmos: score by DNSMOS P.835 too, which takes longer than the other metrics together.
    perceptual_controls: PESQ, STOI and DNSMOS of the controls too, nearly all of their time. Where an output is another
    talker's they say little: the controls are told apart by SI-SDR.
    """

    max_bad: int = 0
    wav_subtype: str = "PCM_16"
    seed: int = 0
    chunk_s: float = 0.0
    overlap_s: float = 1.0
    batch_size: int = 1
    dnsmos: bool = False
    perceptual_controls: bool = True

    def is_perceptual(self, condition: str) -> bool:
        """Whether PESQ, STOI and DNSMOS are asked for what was extracted under this condition."""
        return self.perceptual_controls or condition not in CONTROLS

    @property
    def chunks(self) -> Chunks:
        return Chunks(self.chunk_s, self.overlap_s) if self.chunk_s else WHOLE

    def __post_init__(self) -> None:
        if self.wav_subtype not in WAV_SUBTYPES:
            raise ValueError(f"wav_subtype: wanted {' or '.join(WAV_SUBTYPES)}, found {self.wav_subtype}")
        if self.max_bad < 0:
            raise ValueError(f"max_bad: wanted 0 or more, found {self.max_bad}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size: wanted 1 or more, found {self.batch_size}")
        if self.dnsmos and not installed.is_there("dnsmos"):
            raise ValueError(f"dnsmos: {installed.how_to_get('dnsmos')}")
        Chunks(self.chunk_s, self.overlap_s if self.chunk_s else 0.0)


@dataclass(frozen=True)
class EmbeddingsConfig(Checked):
    """conf/embeddings.yaml. `sets`: which fixed sets of mixtures get embeddings (train, dev, test).

    matching: which of a student's embeddings is whose (matching.assignment).
    """

    sets: tuple[str, ...] = ("dev", "test")
    batch_size: Annotated[int, at_least(1)] = 16
    matching: Literal["assignment", "nearest"] = "assignment"

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.sets if name not in SETS]
        if unknown or not self.sets:
            raise ValueError(f"sets: wanted some of {', '.join(SETS)}, found {unknown[0] if unknown else 'none'}")
