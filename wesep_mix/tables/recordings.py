"""Recordings without sources as a plan: the config, and the folders that stages 1, 4, 6, 7, 8 and 9 make.

data/CORPUS             recordings.jsonl, unused.jsonl, roots.json
exp/CORPUS/input        DNSMOS of the recordings as they are
exp/CORPUS/MODEL        embeddings, speech, scores and margins of each model
exp/CORPUS/TABLE3.md    all models, with table3.json beside it

This module imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from wesep_mix.base import installed
from wesep_mix.base.config import (
    Checked,
    CountOrZero,
    at_least,
    between,
    from_dict,
    load_config,
    locate,
    parse_override,
    read_raw,
)
from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import Need, Part
from wesep_mix.preparation.recordings import Listing, recordings_part

NAME = "recordings"  # of the config
INPUT = "input"  # the row that others are compared with, and the folder of the recordings as they are
ANALYSIS = "analysis"  # a model's folder of stage 8
RULE_NUMBERS, MARGIN_NUMBERS, ABOUT = "rules.json", "margins.json", "about.json"  # in it
Rating = Annotated[float, between(1, 5)]


@dataclass(frozen=True)
class PaperRow(Checked):
    """A printed row: its title, and SIG, BAK and OVRL."""

    title: str
    sig: Rating
    bak: Rating
    ovrl: Rating


@dataclass(frozen=True)
class RecordingsConfig(Checked):
    """conf/recordings.yaml.

    Attributes:
        recordings_dir: as of preparation.recordings.Listing, and so the next five.
        enrolments_dir: likewise.
        speaker: likewise.
        channel: likewise.
        clip_s: likewise.
        max_bad: likewise, in every stage.
        candidates: who is heard (inference.recordings.Hearing).
        use: settings in place of the model's own (models.folder.UseConfig).
        rule: whose speech the main row is of (evaluation.recording_rules.RULES).
        seed: of the bootstrap.
        title: of the page.
        document: name of the page, without its ending.
        note: a paragraph below the table; "" for none.
        paper: printed rows by name, `input` among them where there are any.
    """

    recordings_dir: str = ""
    enrolments_dir: str = ""
    speaker: str = ""
    channel: str = "mix"
    clip_s: Annotated[float, at_least(2, also=0, says="seconds from 2 on, or 0 for whole files")] = 30.0
    max_bad: CountOrZero = 0
    candidates: Literal["heads", "talkers"] = "heads"
    use: dict[str, Any] = field(default_factory=dict)
    rule: Literal["loudest", "present", "mean"] = "loudest"
    seed: int = 0
    title: str = "Recordings"
    document: str = "RECORDINGS"
    note: str = ""
    paper: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.paper and INPUT not in self.paper:
            raise ValueError(f"paper: wanted a row `{INPUT}`, which the others are compared with, found none")
        if not installed.is_there("dnsmos"):
            raise ValueError(f"recordings are rated by DNSMOS: {installed.how_to_get('dnsmos')}")

    @property
    def listing(self) -> Listing:
        """What stage 1 needs of it."""
        return Listing(self.recordings_dir, self.enrolments_dir, self.speaker, self.channel, self.clip_s, self.max_bad)

    @property
    def printed(self) -> dict[str, PaperRow]:
        """The rows of the paper."""
        return {name: from_dict(PaperRow, row, f"recordings.yaml: paper.{name}") for name, row in self.paper.items()}


def load_recordings(path: Path, settings: Sequence[str]) -> RecordingsConfig:
    """Read recordings.yaml; no other config takes a setting of its run.

    Args:
        path: egs/CORPUS/conf/recordings.yaml.
        settings: the `--set` values of the run.

    Returns:
        The config.

    Raises:
        UserError: it is missing or not valid, or a setting is none of it.
    """
    raw = read_raw(path)
    for setting in settings:
        if locate(parse_override(setting)[0], NAME, raw) is None:
            raise UserError(f"--set {setting}: unknown key in {path}; there are: {', '.join(raw)}")
    config = load_config(RecordingsConfig, path, settings)
    _ = config.printed  # which raises where a row is not valid
    return config


@dataclass(frozen=True)
class RecordingsLayout:
    """Where everything lies.

    Attributes:
        config: conf/recordings.yaml.
        data: data/CORPUS.
        exp: exp/CORPUS.
        model: name of the model.
        identity: {what: value} that tells its files from others', beside what stages made.
        networks: what stages made of it: {part: needs}; none of a model's folder.
    """

    config: RecordingsConfig
    data: Path
    exp: Path
    model: str
    identity: Mapping[str, str]
    networks: Mapping[str, Sequence[Need]]

    @property
    def own(self) -> Path:
        """The model's folder of results."""
        return self.exp / self.model

    @property
    def heard(self) -> dict[str, Any]:
        """Settings of what is heard and extracted."""
        return {"candidates": self.config.candidates, "use": self.config.use, **self.identity}

    def listed(self) -> Part:
        """Stage 1: the list."""
        return recordings_part(self.data, self.config.listing)

    def embedded(self) -> Part:
        """Stage 4: the talkers of each recording."""
        needs = [Need(self.data, 1), *self.networks["student"], *self.networks["teacher"]]
        return Part(4, f"embeddings, {self.model}", self.own / "embeddings", self.heard, needs)

    def extracted(self) -> Part:
        """Stage 6: the speech of each talker."""
        needs = [Need(self.data, 1), Need(self.own / "embeddings", 4), *self.networks["extractor"]]
        return Part(6, f"speech, {self.model}", self.own / "speech", self.heard, needs)

    def rated_input(self) -> Part:
        """Stage 7: DNSMOS of the recordings."""
        return Part(7, "DNSMOS of the recordings", self.exp / INPUT / "scores", {}, [Need(self.data, 1)])

    def rated(self) -> Part:
        """Stage 7: DNSMOS of the speech."""
        needs = [Need(self.data, 1), Need(self.rated_input().out, 7), Need(self.own / "speech", 6, large=True)]
        return Part(7, f"DNSMOS of the speech, {self.model}", self.own / "scores", {}, needs)

    def compared(self) -> Part:
        """Stage 8: which talker counts, and what an enrolment would pick."""
        settings = {"rule": self.config.rule, "seed": self.config.seed}
        needs = [Need(self.data, 1), Need(self.own / "embeddings", 4), Need(self.own / "scores", 7)]
        return Part(8, f"rules and margins, {self.model}", self.own / ANALYSIS, settings, needs)
