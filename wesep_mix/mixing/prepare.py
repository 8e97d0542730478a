"""Stage 1: corpus folders -> lists with crops -> plans of every set. Plain text; no mixture audio is written."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix import config, parallel, plugins
from wesep_mix.errors import UserError
from wesep_mix.io import audio
from wesep_mix.io.files import read_json, write_json
from wesep_mix.mixing.draw import MixingConfig, Pool, check_enough_speakers, draw_plan, plan_of
from wesep_mix.mixing.lists import NoiseEntry, SpeechEntry, read_noises, read_speech, write_lists
from wesep_mix.mixing.plan import Plan, write_plans
from wesep_mix.mixing.vad import best_crops
from wesep_mix.seeds import rng_for

SETS = ("train", "dev", "test")
MIXING = "mixing.json"


@dataclass(frozen=True)
class CorpusConfig:
    """conf/corpus.yaml. `mixtures` and `single` are the numbers of fixed plans of each set."""

    corpus: Any = config.plugin("corpora")
    seed: int = 0
    mixing: MixingConfig = MixingConfig()
    mixtures: dict[str, int] = field(default_factory=lambda: {"train": 1000, "dev": 100, "test": 300})
    single: dict[str, int] = field(default_factory=lambda: {"train": 1000, "dev": 100, "test": 300})
    max_bad: int = 0

    def __post_init__(self) -> None:
        for name, sizes in {"mixtures": self.mixtures, "single": self.single}.items():
            if sorted(sizes) != sorted(SETS) or min(sizes.values()) < 1:
                raise ValueError(f"{name}: wanted a positive number for each of {', '.join(SETS)}, found {sizes}")


def prepare_lists(settings: CorpusConfig, folder: Path, nj: int) -> None:
    """Collect (or generate) the corpus into `folder` and write `folder/lists/<set>/`.

    Raises: UserError for a corpus that is empty or damaged (files named).
    """
    corpus = plugins.load("corpora", settings.corpus.name).collect(settings.corpus, folder, nj)
    for name in SETS:
        speech = _speech_entries(corpus.speech[name], settings, nj, f"{name} speech")
        noises = _noise_entries(corpus.noise[name], settings, nj, f"{name} noise")
        write_lists(folder / "lists" / name, speech, noises)


def prepare_plans(settings: CorpusConfig, lists: Path, folder: Path, num_spk: int) -> None:
    """Write lists and fixed plans of `num_spk`-talker mixtures (1: the single-speaker noisy set) of every set.

    Raises: UserError when a set has too few speakers.
    """
    pools = {name: _pool(lists / name, settings.mixing) for name in SETS}
    for name, pool in pools.items():
        check_enough_speakers(pool, num_spk, f"{lists / name}")
    write_json(folder / MIXING, config.to_dict(settings.mixing))
    for name, pool in pools.items():
        entries = [entry for speaker in pool.speech.values() for entry in speaker]
        write_lists(folder / name, entries, pool.noises)
        sizes = settings.single if num_spk == 1 else settings.mixtures
        draw = _single_plans if num_spk == 1 else _mixture_plans
        write_plans(folder / name / "plan.jsonl", draw(pool, num_spk, sizes[name], settings.seed, name))


def load_pool(folder: Path) -> Pool:
    """What can be mixed in a prepared set, and how its plans were drawn, for drawing more."""
    mixing = config.from_dict(MixingConfig, read_json(folder.parent / MIXING), str(folder.parent / MIXING))
    return _pool(folder, mixing)


def _pool(folder: Path, mixing: MixingConfig) -> Pool:
    return Pool.of(read_speech(folder), read_noises(folder), mixing)


def _mixture_plans(pool: Pool, num_spk: int, count: int, seed: int, name: str) -> list[Plan]:
    """Up to `count` plans with different ids; a small set may have fewer different ones."""
    plans: dict[str, Plan] = {}
    for index in range(20 * count):
        plan = draw_plan(pool, num_spk, rng_for(seed, "mixture", name, num_spk, index), best_crop=True)
        plans.setdefault(plan.id, plan)
        if len(plans) == count:
            break
    return [plans[key] for key in sorted(plans)]


def _single_plans(pool: Pool, num_spk: int, count: int, seed: int, name: str) -> list[Plan]:
    """One plan for every crop of every utterance, taken in turn over utterances, until there are `count`."""
    entries = sorted((entry for speaker in pool.speech.values() for entry in speaker), key=lambda entry: entry.utt)
    rounds = range(max(len(entry.crops) for entry in entries))
    crops = [(entry, turn) for turn in rounds for entry in entries if turn < len(entry.crops)]
    if count < len(entries):  # spread over all speakers, which sort together
        crops = [crops[round(k)] for k in np.linspace(0, len(entries) - 1, count)]
    return [_single_plan(entry, turn, pool, seed, name) for entry, turn in crops[:count]]


def _single_plan(entry: SpeechEntry, turn: int, pool: Pool, seed: int, name: str) -> Plan:
    only = SpeechEntry(entry.utt, entry.spk, entry.sex, entry.path, (entry.crops[turn],))
    rng = rng_for(seed, "single", name, entry.utt, turn)
    return plan_of([only], pool, rng, best_crop=True, name=f"{entry.utt}-{turn}")


def _speech_entries(utterances: Sequence, settings: CorpusConfig, nj: int, title: str) -> list[SpeechEntry]:
    mixing = settings.mixing
    examine = functools.partial(_examine, size=round(mixing.segment_s * audio.SAMPLE_RATE), max_crops=mixing.max_crops)
    examined = parallel.map_items(examine, utterances, nj, title, settings.max_bad)
    entries = [SpeechEntry(u.id, u.speaker, u.sex, str(u.path), crops) for u, (crops, _) in examined if crops]
    if not entries:
        raise UserError(f"{title}: none of {len(utterances)} utterances has {mixing.segment_s:g} s with speech")
    if len(entries) < len(examined):
        print(f"note: {title}: {len(examined) - len(entries)} of {len(examined)} utterances lack "
              f"{mixing.segment_s:g} s with speech and are not used")
    _tell_channels([u.path for u, (_, channels) in examined if channels > 1], title)
    return entries


def _noise_entries(noises: Sequence, settings: CorpusConfig, nj: int, title: str) -> list[NoiseEntry]:
    measured = parallel.map_items(_measure, noises, nj, title, settings.max_bad)
    _tell_channels([noise.path for noise, (_, channels) in measured if channels > 1], title)
    return [NoiseEntry(noise.id, str(noise.path), length) for noise, (length, _) in measured]


def _tell_channels(paths: Sequence[Path], title: str) -> None:
    if paths:
        print(f"note: {title}: {len(paths)} files have several channels, the first is used: {paths[0]}, ...")


def _examine(utterance: Any, size: int, max_crops: int) -> tuple[tuple, int]:
    """An utterance's crops, and its number of channels."""
    return tuple(best_crops(audio.read_audio(utterance.path), size, max_crops)), audio.num_channels(utterance.path)


def _measure(noise: Any) -> tuple[int, int]:
    """A noise's length in samples, all of it read, and its number of channels."""
    return len(audio.read_audio(noise.path)), audio.num_channels(noise.path)
