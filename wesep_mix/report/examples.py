"""Mixtures to listen to in report.html: what went in, what was wanted, what came out, heard and seen.

All sounds of a mixture are made louder by one factor, which brings the mixture's peak to PEAK, so that they compare by
ear; what would be above full scale then is clipped. Torch is not imported here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.scoring import read_scored
from wesep_mix.evaluation.worst import mixture_means, worst_rows
from wesep_mix.inference.controls import CONTROLS, MIXTURE, SEPARATED
from wesep_mix.io.audio import SAMPLE_RATE, read_audio
from wesep_mix.mixing.plan import PLANS, Plan, read_plans
from wesep_mix.mixing.render import render
from wesep_mix.page.pictures import data_address, picture, spectrogram, waveform
from wesep_mix.report.results import extractors, scored_conditions, separators
from wesep_mix.report.tables import ordered_rows

PEAK = 0.9
MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "VARIABLE", "compression_level": 0.7}
POINTS = 160  # of a waveform, in time
ROWS, COLUMNS = 128, 320  # of a spectrogram; columns at most
JPEG_QUALITY = 45
PER_KIND, NUM_WORST = 4, 20
MOST_SECONDS = 1500  # of targets and extractions, all together, which are about 11 MB
KINDS = ("best", "median", "worst")


@dataclass(frozen=True)
class Sound:
    """One signal of a mixture.

    Attributes:
        name: what it is, such as `target` or a row of the table of extraction.
        label: which mixture, which signal, which talker: the accessible name of its player.
        samples: float32 [T] at 16 kHz, as loud as it is to be heard.
        loudest: dB of the brightest colour of its spectrogram, one for all of a mixture.
        si_sdri: in dB; None for the mixture and the targets.
    """

    name: str
    label: str
    samples: np.ndarray
    loudest: float
    si_sdri: float | None = None

    @cached_property
    def audio(self) -> str:
        """An MP3, which every browser plays, as an address that needs no file."""
        file = io.BytesIO()
        soundfile.write(file, self.samples, SAMPLE_RATE, **MP3)
        return data_address(file.getvalue(), "audio/mpeg")

    @cached_property
    def wave(self) -> str:
        """The waveform as SVG, each as high as its own peak."""
        return waveform(self.samples, POINTS)

    @cached_property
    def picture(self) -> str:
        """The spectrogram as an address that needs no file."""
        return picture(_levels(self.samples), self.loudest, JPEG_QUALITY)


@dataclass(frozen=True)
class TalkerSounds:
    """What is to be heard of one talker.

    Attributes:
        speaker: who it is.
        sex: F, M or U.
        target: the clean source.
        extracted: by each extractor and separator.
        controls: the extractions with something wrong on purpose, or with an embedding from elsewhere.
    """

    speaker: str
    sex: str
    target: Sound
    extracted: Sequence[Sound]
    controls: Sequence[Sound]


@dataclass(frozen=True)
class Example:
    """A mixture to listen to.

    Attributes:
        mix: its id.
        kind: `best`, `median` or `worst` by the mean SI-SDRi of its talkers.
        si_sdri: that mean, in dB.
        snr_db: of speech over noise.
        overlap: mean of what two talkers that follow each other share, 0 to 1; None with one talker.
        mixture: its sound.
        talkers: in the plan's order.
    """

    mix: str
    kind: str
    si_sdri: float
    snr_db: float
    overlap: float | None
    mixture: Sound
    talkers: Sequence[TalkerSounds]

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.mixture.samples) / SAMPLE_RATE


@dataclass(frozen=True)
class Listening:
    """What report.html has to listen to.

    Attributes:
        row: of the table of extraction, by which the mixtures are chosen.
        num: mixtures that were scored.
        chosen: those with all sounds, the best first.
        worst: the worst ones, the worst first, for a table with the mixture and the extractions of `row`.
    """

    row: str
    num: int
    chosen: Sequence[Example]
    worst: Sequence[Example]


def choose(improvements: Mapping[str, float], per_kind: int = PER_KIND) -> dict[str, str]:
    """The mixtures to listen to: the best, those around the median, the worst; of few mixtures a third each.

    Args:
        improvements: {mixture: mean SI-SDRi of its talkers in dB}.
        per_kind: how many of each kind.

    Returns:
        {mixture: kind}, from the best to the worst; of equal ones the first by name comes first.
    """
    order = sorted(improvements, key=lambda mix: (-improvements[mix], mix))
    num = min(per_kind, max(1, len(order) // 3))
    first = (len(order) - num) // 2
    places = {"best": range(num), "worst": range(len(order) - num, len(order)), "median": range(first, first + num)}
    kinds = {
        order[place]: kind
        for kind in ("median", "worst", "best")
        for place in places[kind]
        if place in range(len(order))
    }
    return {mix: kinds[mix] for mix in order if mix in kinds}


def to_listen_to(mixtures: Path, results: Mapping[str, Any], data: Path | None) -> tuple[Listening | None, str]:
    """The mixtures that report.html plays, chosen by the first extractor, or else by the first separator.

    Args:
        mixtures: folder of the experiment, `exp/<N>mix`.
        results: as `report.results.gather` gives them.
        data: the test set, with its plan.jsonl.

    Returns:
        The mixtures; or None, and why there are none: the numbers stand without them.
    """
    folders = scored_conditions(mixtures)
    models = [*extractors(results), *(f"{name}/{SEPARATED}" for name in separators(results))]
    row = next((name for name in models if name in folders), None)
    if data is None or row is None:
        return None, "no test set was named, --data" if data is None else "nothing was extracted"
    scores = {name: read_scored(folders[name])[0] for name in ordered_rows(folders) if name != MIXTURE}
    try:
        return listening(data, row, scores, folders), ""
    except UserError as err:
        return None, str(err)


def listening(data: Path, row: str, scores: Mapping[str, Sequence[Mapping]], folders: Mapping[str, Path]) -> Listening:
    """The mixtures to listen to, with their sounds.

    Args:
        data: the test set, with its plan.jsonl.
        row: of the table of extraction, by which they are chosen.
        scores: {row: lines of its scores.csv}, in the order of the table.
        folders: {row: folder of its scores}, beside which its wavs lie.

    Returns:
        The best, median and worst with all that is on the disk, and the worst with the extraction of `row` alone. Of
        each kind there are fewer than PER_KIND, but one, where all sounds together were longer than MOST_SECONDS.

    Raises:
        UserError: a mixture has no plan, or its audio is missing or damaged.
    """
    means = mixture_means(scores[row])
    plans = {plan.id: plan for plan in read_plans(data / PLANS)}
    if missing := sorted(means.keys() - plans.keys()):
        raise UserError(f"{data / PLANS}: wanted the scored mixture {missing[0]}, found none; is it another test set?")
    wavs = {name: folders[name].parent / "wav" for name in scores}
    gains = {name: {(line["mix"], line["speaker"]): line["si_sdri"] for line in scores[name]} for name in scores}

    def examples(chosen: Mapping[str, str], names: Sequence[str]) -> list[Example]:
        return [
            _example(plans[mix], kind, means[mix], {name: (wavs[name], gains[name]) for name in names})
            for mix, kind in chosen.items()
        ]

    worst = dict.fromkeys((each["mix"] for each in worst_rows(scores[row], NUM_WORST)), "worst")
    chosen = _fitting(means, plans, len(scores))
    return Listening(row, len(means), examples(chosen, list(scores)), examples(worst, [row]))


def _fitting(means: Mapping[str, float], plans: Mapping[str, Plan], num_rows: int) -> dict[str, str]:
    """As many mixtures of each kind as have no more than MOST_SECONDS of sounds, at least one."""
    for per_kind in range(PER_KIND, 0, -1):
        chosen = choose(means, per_kind)
        samples = sum(plans[mix].num_samples * len(plans[mix].sources) for mix in chosen) * (num_rows + 1)
        if samples <= MOST_SECONDS * SAMPLE_RATE:
            break
    return chosen


Extractions = Mapping[str, tuple[Path, Mapping[tuple[str, str], float]]]  # {row: folder of wavs, SI-SDRi of each}


def _example(plan: Plan, kind: str, mean: float, extractions: Extractions) -> Example:
    rendered = render(plan)
    gain = np.float32(PEAK / max(float(np.abs(rendered.mix).max()), 1e-9))
    loudest = float(_levels(rendered.mix * gain).max())

    def sound(name: str, label: str, samples: np.ndarray, si_sdri: float | None = None) -> Sound:
        return Sound(name, f"{plan.id}: {label}", np.clip(samples * gain, -1, 1), loudest, si_sdri)

    talkers = []
    for source, samples in zip(plan.sources, rendered.sources, strict=True):
        target = sound("target", f"target, talker {source.spk}", samples)
        made = list(_extracted(plan.id, source.spk, extractions, sound))
        controls = [each for each in made if each.name.partition("/")[2] in CONTROLS]
        others = [each for each in made if each not in controls]
        talkers.append(TalkerSounds(source.spk, source.sex, target, others, controls))
    overlap = float(np.mean(plan.overlaps)) if plan.overlaps else None
    whole = sound("mixture", "mixture", rendered.mix)
    return Example(plan.id, kind, mean, plan.noise.snr_db, overlap, whole, talkers)


def _extracted(mix: str, speaker: str, extractions: Extractions, sound: Callable[..., Sound]):
    """The sounds of a talker that are on the disk."""
    for name, (folder, gains) in extractions.items():
        path = folder / f"{mix}-{speaker}.wav"
        if path.is_file():
            yield sound(name, f"{name}, talker {speaker}", read_audio(path), gains.get((mix, speaker)))


def _levels(samples: np.ndarray) -> np.ndarray:
    """A spectrogram with two rows in one, dB [ROWS, N]."""
    levels = spectrogram(samples, most=COLUMNS)
    return levels[: 2 * ROWS].reshape(ROWS, 2, -1).max(axis=1)
