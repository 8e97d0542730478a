"""What conf/score.yaml (stages 7 and 8) holds, and rows of conf/sessions.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from wesep_mix.base import config, installed
from wesep_mix.base.config import Checked, CountOrZero
from wesep_mix.inference.controls import CONTROLS, ENROLMENTS

RATIOS, SHARES, PERCEPTUAL = ("si_sdr", "si_sdri"), ("extracted", "wrong_talker"), ("pesq", "stoi", "estoi")
FILTERED = ("sdr", "sdri")  # ratios to what a filter could make of the target
Targets = Literal["one", "all"]


@dataclass(frozen=True)
class AnalysisConfig(Checked):
    """What stage 8 looks at beyond the tables.

    Attributes:
        interpolation: mixtures of the test set that are extracted on the way from one talker's embedding to the
            other's, eleven times each; 0 leaves it out.
        worst: mixtures with the lowest SI-SDRi whose audio is written; 0 leaves them out.
    """

    interpolation: CountOrZero = 50
    worst: CountOrZero = 20


@dataclass(frozen=True)
class ScoreConfig(Checked):
    """conf/score.yaml: how what was extracted is scored, and the controls.

    Attributes:
        max_bad: how many utterances of a condition may fail, each named, before the stage does.
        seed: of k-means, of the random embeddings, of the enrolments, of the one target a mixture and of the mixtures
            that are interpolated.
        targets: what the means of scores are of: `all` talkers, or `one` talker of each mixture, drawn at random as in
            training. Every talker is scored, whichever it is.
        sdr: score by the SDR of BSS-eval too.
        dnsmos: score by DNSMOS P.835 and P.808 too, which take over four times as long as the other metrics.
        dnsmos_personalised: by personalised DNSMOS too, with `dnsmos` alone.
        perceptual_controls: SDR, PESQ, STOI, ESTOI and DNSMOS of the controls too, nearly all of their time. Where an
            output is another talker's they say little: the controls are told apart by SI-SDR.
        enrolments: stage 8 also extracts with embeddings of another utterance of each talker, clean and noisy.
        analysis: of stage 8.
    """

    max_bad: CountOrZero = 0
    seed: int = 0
    targets: Targets = "all"
    sdr: bool = True
    dnsmos: bool = False
    dnsmos_personalised: bool = False
    perceptual_controls: bool = True
    enrolments: bool = True
    analysis: AnalysisConfig = AnalysisConfig()

    MOVED = {key: f"extract.{key} (conf/extract.yaml)" for key in ("wav_subtype", "chunk_s", "overlap_s", "batch_size")}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dnsmos and not installed.is_there("dnsmos"):
            raise ValueError(f"dnsmos: {installed.how_to_get('dnsmos')}")
        if self.dnsmos_personalised and not self.dnsmos:
            raise ValueError("dnsmos_personalised: true wants dnsmos: true, found false")

    @property
    def controls(self) -> tuple[str, ...]:
        """What stage 8 extracts and scores beside `matched`."""
        return tuple(control for control in CONTROLS if self.enrolments or control not in ENROLMENTS)

    def is_perceptual(self, condition: str) -> bool:
        """Whether SDR, PESQ, STOI, ESTOI and DNSMOS are asked for what was extracted under this condition."""
        return self.perceptual_controls or condition not in CONTROLS


Ear = Literal["student", "teacher", "separated", "frames"]
How = Literal["memory", "revised", "average", "spectral", "voices", "enrolled", "chance"]
COUNT_COST, AGAIN_GAIN = 0.05, 0.25  # in IDF1: of a talker miscounted in the end, of all returns recognised
REFERENCES, COHORT = "references", "cohort.npz"


@dataclass(frozen=True)
class TrackRow(Checked):
    """A row: what hears the windows, and what joins them.

    Attributes:
        title: of the row.
        ear: what hears: the student; the teacher, one embedding a window; a separator and the teacher; k-means over the
            frames of the teacher's front-end.
        how: `memory` as said at the time; `revised` by what merging found out later; `average` linkage or `spectral`
            clustering of the whole session; bounds that know the truth: the nearest of the talkers' mean `voices`, or
            of their `enrolled` ones; `chance`.
        memory: the plugin, for the first two; its thresholds are chosen.
        like: instead, the row whose memory and thresholds it takes.
        changes: of that memory.
        known: clustering is told the number of talkers.
    """

    title: str
    ear: Ear = "student"
    how: How = "memory"
    memory: Any = config.plugin("memory", required=False)
    like: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    known: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        given = (self.memory is not None) + bool(self.like)
        if given != (self.how in ("memory", "revised")):
            raise ValueError(f"wanted memory or like for how memory or revised and none else, found how {self.how}")
        if self.changes and not self.like:
            raise ValueError("changes: wanted them of the memory of another row, found no like")
