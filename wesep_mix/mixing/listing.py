"""The first half of stage 1: corpus folders -> lists of usable speech with its crops, and of noise."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wesep_mix import parallel, plugins
from wesep_mix.errors import UserError
from wesep_mix.io import audio
from wesep_mix.mixing.lists import NoiseEntry, SpeechEntry, write_lists
from wesep_mix.mixing.settings import SETS, CorpusConfig
from wesep_mix.mixing.vad import best_crops


def prepare_lists(settings: CorpusConfig, folder: Path, nj: int) -> None:
    """Collect (or generate) the corpus into `folder` and write `folder/lists/<set>/`.

    Raises: UserError for a corpus that is empty or damaged (files named).
    """
    corpus = plugins.load("corpora", settings.corpus.name).collect(settings.corpus, folder, nj)
    for name in SETS:
        speech = _speech_entries(corpus.speech[name], settings, nj, f"{name} speech")
        noises = _noise_entries(corpus.noise[name], settings, nj, f"{name} noise")
        write_lists(folder / "lists" / name, speech, noises)


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
    return [NoiseEntry(noise.id, str(noise.path), length, noise.kind) for noise, (length, _) in measured]


def _tell_channels(paths: Sequence[Path], title: str) -> None:
    if paths:
        print(f"note: {title}: {len(paths)} files have several channels, the first is used: {paths[0]}, ...")


def _examine(utterance: Any, size: int, max_crops: int) -> tuple[tuple, int]:
    """An utterance's crops, and its number of channels."""
    return tuple(best_crops(audio.read_audio(utterance.path), size, max_crops)), audio.num_channels(utterance.path)


def _measure(noise: Any) -> tuple[int, int]:
    """A noise's length in samples, all of it read, and its number of channels."""
    return len(audio.read_audio(noise.path)), audio.num_channels(noise.path)
