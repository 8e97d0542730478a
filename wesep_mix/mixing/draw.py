"""Plans drawn at random: who speaks, which crop, how much overlap, how loud, in which noise.

Paper, section 'Data' (arXiv 2604.03219): overlap U(0.5, 0.8) between consecutive sources, 5 s crops with speech, noise
at an SNR of a three-mode distribution. Loudness as in LibriMix: U(-33, -25) LUFS for each source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.names import mixture_id
from wesep_mix.base.seeds import rng_for
from wesep_mix.io.audio import SAMPLE_RATE, num_frames
from wesep_mix.mixing.plan import Noise, Plan, Source, speaker_keys
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry
from wesep_mix.preparation.settings import MixingConfig


@dataclass(frozen=True)
class Pool:
    """What can be mixed in one set: utterances by speaker, noises, and how they are mixed."""

    speech: Mapping[str, Sequence[SpeechEntry]]
    noises: Sequence[NoiseEntry]
    config: MixingConfig

    @cached_property
    def speakers(self) -> list[str]:
        """The speakers, sorted."""
        return sorted(self.speech)

    @staticmethod
    def of(speech: Sequence[SpeechEntry], noises: Sequence[NoiseEntry], config: MixingConfig) -> Pool:
        """Make a pool of a set's lists.

        Args:
            speech: the set's utterances.
            noises: its noises.
            config: how they are mixed.

        Returns:
            The pool.
        """
        by_speaker: dict[str, list[SpeechEntry]] = {}
        for entry in speech:
            by_speaker.setdefault(entry.spk, []).append(entry)
        return Pool(by_speaker, list(noises), config)


def check_enough_speakers(pool: Pool, num_spk: int, where: str) -> None:
    """Check that a set can be mixed.

    Args:
        pool: what the set has.
        num_spk: talkers in a mixture.
        where: the set's folder, for the error.

    Raises:
        UserError: the set has fewer speakers than a mixture needs, or no noise.
    """
    if len(pool.speech) < num_spk:
        found = ", ".join(f"{spk} of {own[0].path}" for spk, own in pool.speech.items())
        raise UserError(
            f"{where}: {num_spk}-talker mixtures need at least {num_spk} speakers with {pool.config.segment_s:g} s of "
            f"speech, found {len(pool.speech)}; lower --num_spk or add speakers to this set. Taken for speakers: "
            f"{found}; if these are no speakers, the corpus has another layout than its recipe expects"
        )
    if not pool.noises:
        raise UserError(f"{where}: no noise file of this set, wanted at least one")


def draw_plan(pool: Pool, num_spk: int, rng: np.random.Generator, best_crop: bool = False) -> Plan:
    """Draw one mixture of different speakers.

    Args:
        pool: what can be mixed.
        num_spk: number of speakers.
        rng: draws all of it.
        best_crop: take each utterance's crop with most speech (fixed sets), not any of its crops (training).

    Returns:
        The plan.
    """
    places = rng.choice(len(pool.speakers), size=num_spk, replace=False)
    own = [pool.speech[pool.speakers[place]] for place in places]
    entries = [utterances[int(rng.integers(len(utterances)))] for utterances in own]
    return plan_of(entries, pool, rng, best_crop)


def plan_of(
    entries: Sequence[SpeechEntry], pool: Pool, rng: np.random.Generator, best_crop: bool, name: str | None = None
) -> Plan:
    """Draw crops, offsets, levels and noise for given utterances.

    Args:
        entries: the utterances, one for each source.
        pool: what can be mixed.
        rng: draws all of it.
        best_crop: take each utterance's crop with most speech, not any of its crops.
        name: the mixture's id; None: made of the utterances' ids.

    Returns:
        The plan.
    """
    size = round(pool.config.segment_s * SAMPLE_RATE)
    offsets = draw_offsets(len(entries), pool.config, rng)
    sources = tuple(
        _source(entry, offset, size, pool.config, rng, best_crop)
        for entry, offset in zip(entries, offsets, strict=True)
    )
    return place_sources(sources, draw_noise(pool, rng), name)


def draw_enrolment(pool: Pool, source: Source, rng: np.random.Generator) -> Source:
    """Draw other speech of a source's speaker, as fast: any crop of any other utterance.

    A speaker with one utterance gives another crop of it; if there is no other crop, or the speaker is not in the pool,
    the enrolment is the source itself.

    Args:
        pool: where the speech is taken from.
        source: a source of a mixture.
        rng: draws it.

    Returns:
        The enrolment, as a source at offset 0.
    """
    own = pool.speech.get(source.spk, ())
    entries = [entry for entry in own if entry.utt != source.utt]
    if not entries:
        others = [(entry, tuple(crop for crop in entry.crops if crop.start != source.start)) for entry in own]
        entries = [dataclasses.replace(entry, crops=crops) for entry, crops in others if crops]
    if not entries:
        return dataclasses.replace(source, offset=0)
    size = round(pool.config.segment_s * SAMPLE_RATE)
    found = _source(entries[int(rng.integers(len(entries)))], 0, size, pool.config, rng, best_crop=False)
    return found if source.speed == 1 else at_speed(found, source.speed)


def at_speed(source: Source, speed: float) -> Source:
    """A source as fast as is wanted, and as much higher: another voice, of the same words and as long.

    Args:
        source: as it was spoken.
        speed: 1.1 is ten percent faster.

    Returns:
        It, from an earlier start where the file has too little left; where all of the file is too short, the source.
    """
    faster = dataclasses.replace(source, speed=speed)
    left = num_frames(source.path) - faster.num_read
    return dataclasses.replace(faster, start=min(source.start, left)) if left >= 0 else source


def enrolment_plans(plans: Sequence[Plan], pool: Pool, seed: int, where: str) -> list[Plan]:
    """Draw an enrolment for every talker of every mixture: another utterance of the talker, in a noise of its own.

    The noise and its SNR are drawn as a mixture's are. Each draw is seeded by its mixture and talker, so the order of
    the mixtures does not matter.

    Args:
        plans: the mixtures.
        pool: what their set has.
        seed: of the draws.
        where: the set's folder, for the error.

    Returns:
        A plan of one source for each talker, with the id `<mix>-<speaker>`, in the order of the mixtures.

    Raises:
        UserError: a talker has no other utterance.
    """
    return [
        _enrolment_plan(plan, source, key, pool, seed, where)
        for plan in plans
        for key, source in zip(speaker_keys(plan), plan.sources, strict=True)
    ]


def _enrolment_plan(plan: Plan, source: Source, key: str, pool: Pool, seed: int, where: str) -> Plan:
    if all(entry.utt == source.utt for entry in pool.speech.get(source.spk, ())):
        raise UserError(
            f"{where}: mixture {plan.id}: wanted another utterance of {source.spk} to enrol with, found none beside "
            f"{source.utt}; add one to this set, or do without enrolments: --set score.enrolments=false, and no rows "
            "of tables with them"
        )
    rng = rng_for(seed, "enrolment", plan.id, source.spk)
    other = draw_enrolment(pool, source, rng)
    return Plan(key, other.num_samples, (other,), draw_noise(pool, rng), (), SAMPLE_RATE)


def draw_offsets(num_spk: int, config: MixingConfig, rng: np.random.Generator) -> list[int]:
    """Draw where each source begins: consecutive sources overlap by U(overlap) of a segment.

    Args:
        num_spk: number of sources.
        config: segment length and overlap.
        rng: draws them.

    Returns:
        Offsets in samples.
    """
    size = round(config.segment_s * SAMPLE_RATE)
    overlaps = rng.uniform(*config.overlap, size=num_spk - 1)
    return np.concatenate([[0], np.cumsum(np.round((1 - overlaps) * size))]).astype(int).tolist()


def place_sources(sources: tuple[Source, ...], noise: Noise, name: str | None = None) -> Plan:
    """Make the plan of sources of equal length that have their offsets already.

    Args:
        sources: the sources, in the order of their offsets.
        noise: the noise.
        name: the mixture's id; None: made of the utterances' ids. It is shortened if no file could be called so.

    Returns:
        The plan.
    """
    size, offsets = sources[0].num_samples, [source.offset for source in sources]
    realised = tuple(1 - (after - before) / size for before, after in pairwise(offsets))
    name = mixture_id(name or "_".join(source.utt for source in sources), [source.spk for source in sources])
    return Plan(name, offsets[-1] + size, sources, noise, realised, SAMPLE_RATE)


def draw_noise(pool: Pool, rng: np.random.Generator) -> Noise:
    """Draw a noise: any of the set, from any sample where it sounds, at any of the SNRs.

    Args:
        pool: what can be mixed.
        rng: draws it.

    Returns:
        The noise.
    """
    entry = pool.noises[int(rng.integers(len(pool.noises)))]
    start = int(rng.integers(entry.num_samples - sum(end - first for first, end in entry.silent)))
    for first, end in entry.silent:  # before this, `start` counts only samples that are not silent
        if start >= first:
            start += end - first
    return Noise(entry.id, entry.path, start, entry.num_samples, draw_snr(pool.config, rng), entry.dc)


def draw_snr(config: MixingConfig, rng: np.random.Generator) -> float:
    """Draw one of the SNRs.

    Args:
        config: has them.
        rng: draws it.

    Returns:
        dB.
    """
    return float(config.snr_db[int(rng.integers(len(config.snr_db)))])


def _source(
    entry: SpeechEntry, offset: int, size: int, config: MixingConfig, rng: np.random.Generator, best_crop: bool
) -> Source:
    crop = entry.crops[0 if best_crop else int(rng.integers(len(entry.crops)))]
    lufs = float(rng.uniform(*config.lufs))
    gain = float(10 ** ((lufs - crop.lufs) / 20))
    return Source(entry.utt, entry.spk, entry.sex, entry.path, crop.start, size, offset, gain, lufs, crop.dc)
