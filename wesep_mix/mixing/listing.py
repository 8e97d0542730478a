"""The first half of stage 1: corpus folders -> lists of usable speech with its crops, and of noise.

Every file is read once. What was found is kept in `examined/` as it comes, so that a killed run goes on from there.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wesep_mix import parallel, plugins
from wesep_mix.errors import UserError
from wesep_mix.io import audio
from wesep_mix.io.files import write_jsonl
from wesep_mix.io.journal import Journal
from wesep_mix.mixing.lists import UNUSED, NoiseEntry, SpeechEntry, write_lists
from wesep_mix.mixing.settings import SETS, CorpusConfig
from wesep_mix.mixing.vad import Crop, best_crops

EXAMINED = "examined"


def check_folders(corpus: Any) -> None:
    """Raises: UserError when the corpus's plugin can tell beforehand that a folder is not there (some need none)."""
    getattr(plugins.load("corpora", corpus.name), "check_folders", lambda _: None)(corpus)


def prepare_lists(settings: CorpusConfig, folder: Path, nj: int) -> None:
    """Collect (or generate) the corpus into `folder` and write `folder/lists/<set>/`.

    Beside a set's lists, `unused.jsonl` names the utterances that are not in them, a line
    {"utt", "spk", "path", "reason"} each: `short` (of a segment), `silent`, or `unreadable`.
    Raises: UserError for a corpus that is empty or damaged (files named).
    """
    collect = plugins.load("corpora", settings.corpus.name).collect
    corpus = collect(settings.corpus, folder, nj, settings.max_bad)
    for name in SETS:
        speech, unused = _speech_entries(corpus.speech[name], settings, folder, nj, f"{name} speech")
        noises = _noise_entries(corpus.noise[name], settings, folder, nj, f"{name} noise")
        write_lists(folder / "lists" / name, speech, noises)
        write_jsonl(folder / "lists" / name / UNUSED, unused)
    shutil.rmtree(folder / EXAMINED)


def _speech_entries(
    utterances: Sequence, settings: CorpusConfig, folder: Path, nj: int, title: str
) -> tuple[list[SpeechEntry], list[dict[str, str]]]:
    """The usable utterances, and rows of `unused.jsonl` for the others."""
    mixing = settings.mixing
    examine = functools.partial(_examine, size=round(mixing.segment_s * audio.SAMPLE_RATE), max_crops=mixing.max_crops)
    rows = _examined(examine, utterances, settings, folder, nj, title)
    entries = [_speech_entry(u, rows[u.id]["crops"]) for u in utterances if _reason(rows, u) == ""]
    unused = [
        {"utt": u.id, "spk": u.speaker, "path": str(u.path), "reason": reason}
        for u in utterances
        if (reason := _reason(rows, u))
    ]
    if not entries:
        raise UserError(f"{title}: none of {len(utterances)} utterances has {mixing.segment_s:g} s with speech")
    if len(entries) < len(rows):
        print(f"note: {title}: {len(rows) - len(entries)} of {len(rows)} utterances lack {mixing.segment_s:g} s with "
              f"speech and are not used, see {UNUSED}")
    return entries, unused


def _speech_entry(utterance: Any, crops: Sequence[dict[str, Any]]) -> SpeechEntry:
    found = tuple(Crop(**crop) for crop in crops)
    return SpeechEntry(utterance.id, utterance.speaker, utterance.sex, str(utterance.path), found)


def _reason(rows: dict[str, dict[str, Any]], utterance: Any) -> str:
    """Why an utterance is not used; empty when it is."""
    return rows[utterance.id]["reason"] if utterance.id in rows else "unreadable"


def _noise_entries(
    noises: Sequence, settings: CorpusConfig, folder: Path, nj: int, title: str
) -> list[NoiseEntry]:
    rows = _examined(_measure, noises, settings, folder, nj, title)
    return [NoiseEntry(n.id, str(n.path), rows[n.id]["num_samples"], n.kind) for n in noises if n.id in rows]


def _examined(
    function: Callable[[Any], dict[str, Any]], files: Sequence, settings: CorpusConfig, folder: Path, nj: int,
    title: str,
) -> dict[str, dict[str, Any]]:
    """`function` of every file by its id, those of a killed run from its journal; more than max_bad bad ones raise."""
    with Journal(folder / EXAMINED / f"{title.replace(' ', '-')}.jsonl") as journal:
        rows = journal.rows
        if rows:
            print(f"note: {title}: {len(rows)} of {len(files)} files were examined before", flush=True)
        missing = [file for file in files if file.id not in rows]
        found = parallel.map_items(function, missing, nj, title, settings.max_bad, journal.add, "corpus.max_bad")
    rows |= {file.id: row for file, row in found}
    _tell_channels([file.path for file in files if file.id in rows and rows[file.id]["channels"] > 1], title)
    return rows


def _tell_channels(paths: Sequence[Path], title: str) -> None:
    if paths:
        print(f"note: {title}: {len(paths)} files have several channels, the first is used: {paths[0]}, ...")


def _examine(utterance: Any, size: int, max_crops: int) -> dict[str, Any]:
    """What there is to know of an utterance: its crops, or why it has none, and its number of channels."""
    samples = audio.read_audio(utterance.path)
    crops = [dataclasses.asdict(crop) for crop in best_crops(samples, size, max_crops)]
    reason = "" if crops else "short" if len(samples) < size else "silent"
    return {"id": utterance.id, "reason": reason, "crops": crops, "channels": audio.num_channels(utterance.path)}


def _measure(noise: Any) -> dict[str, Any]:
    """A noise's length in samples, all of it read, and its number of channels."""
    length = len(audio.read_audio(noise.path))
    return {"id": noise.id, "num_samples": length, "channels": audio.num_channels(noise.path)}
