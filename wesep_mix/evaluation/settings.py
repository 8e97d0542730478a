"""What conf/score.yaml (stages 7 and 8) holds."""

from __future__ import annotations

from dataclasses import dataclass

from wesep_mix.base import installed
from wesep_mix.base.config import Checked, CountOrZero
from wesep_mix.inference.controls import CONTROLS


@dataclass(frozen=True)
class ScoreConfig(Checked):
    """conf/score.yaml: how what was extracted is scored, and the controls.

    Attributes:
        max_bad: how many utterances of a condition may fail, each named, before the stage does.
        seed: of k-means and of the choice of random embeddings.
        dnsmos: score by DNSMOS P.835 too, which takes longer than the other metrics together.
        perceptual_controls: PESQ, STOI and DNSMOS of the controls too, nearly all of their time. Where an output is
            another talker's they say little: the controls are told apart by SI-SDR.
    """

    max_bad: CountOrZero = 0
    seed: int = 0
    dnsmos: bool = False
    perceptual_controls: bool = True

    MOVED = {key: f"extract.{key} (conf/extract.yaml)" for key in ("wav_subtype", "chunk_s", "overlap_s", "batch_size")}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dnsmos and not installed.is_there("dnsmos"):
            raise ValueError(f"dnsmos: {installed.how_to_get('dnsmos')}")

    def is_perceptual(self, condition: str) -> bool:
        """Whether PESQ, STOI and DNSMOS are asked for what was extracted under this condition."""
        return self.perceptual_controls or condition not in CONTROLS
