"""What conf/embeddings.yaml (stage 4) and conf/score.yaml (stages 6 to 8) hold."""

from __future__ import annotations

from dataclasses import dataclass

WAV_SUBTYPES = ("PCM_16", "FLOAT")


@dataclass(frozen=True)
class ScoreConfig:
    """Settings of extraction, scoring and the controls.

    max_bad: how many utterances of a condition may fail, each named, before the stage does; wav_subtype:
    PCM_16 refuses to clip, FLOAT keeps any level; seed: of k-means and of the choice of random embeddings.
    """

    max_bad: int = 0
    wav_subtype: str = "PCM_16"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.wav_subtype not in WAV_SUBTYPES:
            raise ValueError(f"wav_subtype: wanted {' or '.join(WAV_SUBTYPES)}, found {self.wav_subtype}")
        if self.max_bad < 0:
            raise ValueError(f"max_bad: wanted 0 or more, found {self.max_bad}")


@dataclass(frozen=True)
class EmbeddingsConfig:
    """conf/embeddings.yaml. `sets`: which fixed sets of mixtures get embeddings (train, dev, test)."""

    sets: tuple[str, ...] = ("dev", "test")
    batch_size: int = 16
