"""What conf/embeddings.yaml (stage 4) and conf/extract.yaml (stage 6) hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from wesep_mix.base.config import FILLED, Checked, Count, at_least
from wesep_mix.base.names import SetName

ChunkSeconds = Annotated[float, at_least(0.5, also=0, says="seconds from 0.5 on, or 0 for whole files")]


@dataclass(frozen=True)
class Chunks(Checked):
    """How a network goes over long signals.

    Attributes:
        chunk_s: seconds of a chunk; 0: over all of a signal at once.
        overlap_s: seconds that consecutive chunks share, up to half a chunk.
    """

    chunk_s: ChunkSeconds = 0.0
    overlap_s: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.overlap_s <= self.chunk_s / 2:
            raise ValueError(
                f"overlap_s: wanted 0 to half of chunk_s {self.chunk_s}, found {self.overlap_s}; set it "
                "too, or a longer chunk_s"
            )


WHOLE = Chunks()


@dataclass(frozen=True)
class ExtractConfig(Checked):
    """conf/extract.yaml: how speech is extracted, or separated, and written.

    Attributes:
        wav_subtype: of the wavs, PCM_16 (FLOAT where that would clip) or FLOAT.
        chunk_s: seconds of the chunks of long mixtures; 0: whole ones.
        overlap_s: seconds that consecutive chunks share, up to half a chunk; has no part in whole mixtures.
        batch_size: mixtures of equal length that go through a network together.
    """

    wav_subtype: Literal["PCM_16", "FLOAT"] = "PCM_16"
    chunk_s: ChunkSeconds = 0.0
    overlap_s: float = 1.0
    batch_size: Count = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        Chunks(self.chunk_s, self.overlap_s if self.chunk_s else 0.0)  # raises where they do not fit

    @property
    def chunks(self) -> Chunks:
        """How a network goes over the mixtures."""
        return Chunks(self.chunk_s, self.overlap_s) if self.chunk_s else WHOLE


USUAL = ExtractConfig()


@dataclass(frozen=True)
class SingleConfig(Checked):
    """How the noisy single speech that a teacher is tested on is made harder (mixing.harder).

    Attributes:
        length_s: seconds of each utterance, its middle; 0: all of it.
        snr_db: of speech over noise; None: as it was prepared.
    """

    length_s: Annotated[float, at_least(0.4, also=0, says="seconds from 0.4 on, or 0 for all")] = 0.0
    snr_db: float | None = None


@dataclass(frozen=True)
class EmbeddingsConfig(Checked):
    """conf/embeddings.yaml.

    Attributes:
        sets: which fixed sets of mixtures get embeddings.
        batch_size: mixtures.
        matching: which of a student's embeddings is whose (matching.assignment).
        single: of the test set's single speech.
    """

    sets: Annotated[tuple[SetName, ...], FILLED] = ("dev", "test")
    batch_size: Count = 16
    matching: Literal["assignment", "nearest"] = "assignment"
    single: SingleConfig = SingleConfig()
