"""One estimate and its scores: the work of stage 7's worker processes, which import no torch.

A trial says where its estimate and references are. Of the test set it is a `Trial`, whose references are rendered; in
lists of files it is an `evaluation.listed.ListedTrial`. What `score_trial` and `rate_trials` do is the same for both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from wesep_mix.base.errors import NoValue, UserError
from wesep_mix.evaluation.settings import FILTERED, PERCEPTUAL, ScoreConfig
from wesep_mix.io.audio import SAMPLE_RATE, read_audio
from wesep_mix.metrics.dnsmos import dnsmos
from wesep_mix.metrics.extraction import is_extracted, is_wrong_talker
from wesep_mix.metrics.perceptual import pesq_wideband, stoi
from wesep_mix.metrics.sdr import sdr
from wesep_mix.metrics.si_sdr import si_sdr
from wesep_mix.mixing.plan import Plan, speaker_keys
from wesep_mix.mixing.render import Rendered, render

NAN = float("nan")  # an empty cell


@dataclass(frozen=True)
class Measures:
    """What is computed beside SI-SDR and the shares that follow from it.

    Attributes:
        sdr: SDR of BSS-eval.
        perceptual: PESQ, STOI and ESTOI.
        dnsmos: DNSMOS P.835 and P.808.
        personalised: personalised DNSMOS too.
        others: whether another talker's speech is looked for, for which their references are needed.
    """

    sdr: bool = True
    perceptual: bool = True
    dnsmos: bool = False
    personalised: bool = False
    others: bool = True

    @staticmethod
    def of(settings: ScoreConfig, perceptual: bool = True, others: bool = True) -> Measures:
        """Those of conf/score.yaml; without `perceptual` SI-SDR alone."""
        costly = (settings.sdr, True, settings.dnsmos, settings.dnsmos_personalised)
        return Measures(*(perceptual and each for each in costly), others)


ALL = Measures()  # but DNSMOS


@dataclass(frozen=True)
class Signals:
    """What an estimate is scored with.

    Attributes:
        est: the estimate, [T].
        sources: the clean sources, [S, T].
        index: number of the target among them.
        mix: the unprocessed mixture, [T]; None where it is not known, and nothing is told of an improvement.
        sample_rate: Hz.
        note: what was done to them, for the user.
    """

    est: np.ndarray
    sources: np.ndarray
    index: int
    mix: np.ndarray | None
    sample_rate: int = SAMPLE_RATE
    note: str = ""


@dataclass
class Scores:
    """Of one estimate.

    Attributes:
        values: {metric: number}, 1 and 0 for what becomes a share, NaN for a metric without a value.
        why: {metric: why it has none}.
        note: as of `Signals`.
    """

    values: dict[str, float] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    note: str = ""

    def add(self, metrics: Sequence[str], compute: Callable[[], Iterable[float]]) -> None:
        """Compute metrics together; where they have no value, note why."""
        try:
            self.values |= {metric: float(value) for metric, value in zip(metrics, compute(), strict=True)}
        except NoValue as err:
            self.values |= dict.fromkeys(metrics, NAN)
            self.why |= dict.fromkeys(metrics, str(err))


class AnyTrial(Protocol):
    """An estimate and what it is scored against, whatever it comes from."""

    @property
    def mix(self) -> str:
        """Name of the mixture."""

    @property
    def speaker(self) -> str:
        """Name of the target."""

    @property
    def key(self) -> str:
        """Of the estimate, for messages."""

    def signals(self) -> Signals:
        """Read or render them. Raises: UserError naming the file that cannot be used."""

    def identity(self) -> str:
        """Changes where the estimate or what it is scored against does."""


@dataclass(frozen=True)
class Trial:
    """An estimate and the source of a test mixture that it is scored against.

    Attributes:
        plan: the mixture.
        index: number of the source in the mixture.
        wav: the estimate; None for the unprocessed mixture.
    """

    plan: Plan
    index: int
    wav: Path | None

    @property
    def mix(self) -> str:
        """Name of the mixture."""
        return self.plan.id

    @property
    def speaker(self) -> str:
        """Name of the target."""
        return self.plan.sources[self.index].spk

    @property
    def key(self) -> str:
        """`<mix>-<speaker>`."""
        return speaker_keys(self.plan)[self.index]

    def signals(self) -> Signals:
        """Render the mixture and read the estimate.

        Returns:
            The signals.

        Raises:
            UserError: the estimate is missing, cannot be read, or is not as long as the mixture.
        """
        rendered = render(self.plan)
        return Signals(estimate(self, rendered), rendered.sources, self.index, rendered.mix, self.plan.sample_rate)

    def identity(self) -> str:
        """Changes where the plan or the estimate's file does."""
        return identity_of((repr(self.plan), self.index), [self.wav])


def estimate(trial: Trial, rendered: Rendered) -> np.ndarray:
    """The samples of an estimate.

    Args:
        trial: the estimate.
        rendered: its mixture.

    Returns:
        [T], as long as the mixture.

    Raises:
        UserError: the file is missing, cannot be read, or is of another length.
    """
    if trial.wav is None:
        return rendered.mix
    if not trial.wav.is_file():
        raise UserError(f"{trial.wav}: no such file; extract it first")
    est = read_audio(trial.wav)
    if len(est) != len(rendered.mix):
        raise UserError(f"{trial.wav}: wanted {len(rendered.mix)} samples as in the mixture, found {len(est)}")
    return est


def identity_of(facts: Any, files: Iterable[Path | None] = ()) -> str:
    """A short hash of what a result is computed from: facts, and the sizes and times of files."""
    stats = [file and file.is_file() and (str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((facts, stats)).encode()).hexdigest()[:16]


def score_trial(trial: AnyTrial, measures: Measures = ALL) -> dict[str, Any]:
    """All metrics of one estimate but for DNSMOS and the teacher's cosine.

    Args:
        trial: the estimate and what it is scored against.
        measures: what is computed.

    Returns:
        The fields of `Scores`.

    Raises:
        UserError: the estimate as a whole cannot be scored; begins with its key.
    """
    try:
        return vars(_scores(trial.signals(), measures))
    except UserError as err:
        raise UserError(f"{trial.key}: {err}") from err


def _scores(signals: Signals, measures: Measures) -> Scores:
    found = Scores(_ratios(signals, measures), note=signals.note)
    est, source, rate = signals.est, signals.sources[signals.index], signals.sample_rate
    if measures.sdr:
        found.add(FILTERED if signals.mix is not None else FILTERED[:1], lambda: _filtered(signals))
    if measures.perceptual:
        found.add(PERCEPTUAL[:1], lambda: [pesq_wideband(est, source, rate)])
        found.add(PERCEPTUAL[1:], lambda: stoi(est, source, rate))
    return found


def _ratios(signals: Signals, measures: Measures) -> dict[str, float]:
    ratios = [si_sdr(signals.est, each) for each in signals.sources]
    found = {"si_sdr": ratios[signals.index]}
    if signals.mix is not None:
        improvement = ratios[signals.index] - si_sdr(signals.mix, signals.sources[signals.index])
        found |= {"si_sdri": improvement, "extracted": float(is_extracted(improvement))}
    if measures.others:
        found["wrong_talker"] = float(is_wrong_talker(ratios, signals.index))
    return found


def _filtered(signals: Signals) -> list[float]:
    """SDR, and its improvement where the mixture is known."""
    source = signals.sources[signals.index]
    if signals.mix is None:
        return list(sdr(signals.est[None], source))
    est, mix = sdr(np.stack([signals.est, signals.mix]), source)
    return [est, est - mix]


def rate_trials(trials: Sequence[AnyTrial], personalised: bool = False) -> list[dict[str, float]]:
    """DNSMOS of several estimates, which goes through the networks in batches.

    Args:
        trials: the estimates.
        personalised: as for `metrics.dnsmos.dnsmos`.

    Returns:
        {scale: rating} of each.
    """
    each = [trial.signals() for trial in trials]
    return dnsmos([signals.est for signals in each], each[0].sample_rate, personalised)
