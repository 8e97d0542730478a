"""The first half of stage 1: corpus folders -> lists of usable speech with its crops, and of noise.

Every file is read once. What was found is kept in `examined/` as it comes, so that a killed run goes on from there.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wesep_mix.base import config, parallel, plugins
from wesep_mix.base.errors import UserError, escaped
from wesep_mix.base.files import Journal, write_jsonl
from wesep_mix.base.names import SETS, path_problem, utterance_problem
from wesep_mix.io import audio
from wesep_mix.io.roots import GENERATED, plain, roots_of, write_roots
from wesep_mix.preparation.activity import Crop, best_crops, silent_stretches, speech_frames, stretches_of
from wesep_mix.preparation.lists import UNUSED, NoiseEntry, SpeechEntry, write_lists
from wesep_mix.preparation.settings import CorpusConfig

EXAMINED = "examined"
RUMBLE = 0.1  # of an utterance's power, above which that is told


def check_folders(corpus: Any) -> None:
    """Ask a corpus's plugin whether its folders are there; some need none.

    Args:
        corpus: its config.

    Raises:
        UserError: a folder is not there, or the plugin has no `collect`.
    """
    plugin = plugins.load("corpora", corpus.name)
    if not hasattr(plugin, "collect"):
        raise UserError(f"{plugin.__file__}: wanted a function collect(config, work_dir, nj, max_bad), found none")
    getattr(plugin, "check_folders", lambda _: None)(corpus)


def prepare_lists(settings: CorpusConfig, folder: Path, nj: int) -> None:
    """Collect (or generate) the corpus into `folder` and write `folder/lists/<set>/`.

    The corpora's folders become the roots that the paths are relative to (io.roots).
    Beside a set's lists, `unused.jsonl` names what is not in them: utterances, a line {"utt", "spk", "path", "reason"}
    each, `short` (of a segment), `silent`, or `unreadable`; and noises, {"noise", "path", "reason"}, that are `silent`.
    Raises: UserError for a corpus that is empty or damaged (files named).
    """
    collect = plugins.load("corpora", settings.corpus.name).collect
    corpus = collect(settings.corpus, folder, nj, settings.max_bad)
    write_roots(folder, _folders(settings) | {GENERATED: str(folder)})
    for name in SETS:
        speech, unused = _speech_entries(corpus.speech[name], settings, folder, nj, f"{name} speech")
        noises, silent = _noise_entries(corpus.noise[name], settings, folder, nj, f"{name} noise")
        write_lists(folder / "lists" / name, speech, noises)
        short = roots_of(folder / "lists" / name).short
        rows = ({**row, "path": short(row["path"])} for row in (*unused, *silent))
        write_jsonl(folder / "lists" / name / UNUSED, rows)
    shutil.rmtree(folder / EXAMINED)


def _folders(settings: CorpusConfig) -> dict[str, str]:
    """The corpora's folders by what their settings are called without `_dir`: {"speech": "/corpora/LibriSpeech"}."""
    values = config.to_dict(settings)
    found = {**values, **values["corpus"]}
    return {key.removesuffix("_dir"): plain(value) for key, value in found.items() if key.endswith("_dir") and value}


def _speech_entries(
    utterances: Sequence, settings: CorpusConfig, folder: Path, nj: int, title: str
) -> tuple[list[SpeechEntry], list[dict[str, str]]]:
    """The usable utterances, and rows of `unused.jsonl` for the others."""
    mixing = settings.mixing
    examine = functools.partial(_examine, size=round(mixing.segment_s * audio.SAMPLE_RATE), max_crops=mixing.max_crops)
    rows = _examined(examine, utterances, settings, folder, nj, title)
    entries = [_speech_entry(u, rows[u.id]) for u in utterances if _reason(rows, u) == ""]
    unused = [
        {"utt": u.id, "spk": u.speaker, "path": str(u.path), "reason": reason}
        for u in utterances
        if (reason := _reason(rows, u))
    ]
    if not entries:
        raise UserError(f"{title}: none of {len(utterances)} utterances has {mixing.segment_s:g} s with speech")
    if len(entries) < len(rows):
        print(
            f"note: {title}: {len(rows) - len(entries)} of {len(rows)} utterances lack {mixing.segment_s:g} s with "
            f"speech and are not used, see {UNUSED}"
        )
    return entries, unused


def _speech_entry(utterance: Any, row: dict[str, Any]) -> SpeechEntry:
    crops, speech = tuple(Crop(**crop) for crop in row["crops"]), tuple(map(tuple, row["speech"]))
    return SpeechEntry(utterance.id, utterance.speaker, utterance.sex, str(utterance.path), crops, speech)


def _reason(rows: dict[str, dict[str, Any]], utterance: Any) -> str:
    """Why an utterance is not used; empty when it is."""
    return rows[utterance.id]["reason"] if utterance.id in rows else "unreadable"


def _noise_entries(
    noises: Sequence, settings: CorpusConfig, folder: Path, nj: int, title: str
) -> tuple[list[NoiseEntry], list[dict[str, str]]]:
    """The noises that sound, and rows of `unused.jsonl` for the silent ones."""
    rows = _examined(_measure, noises, settings, folder, nj, title)
    read = [_noise_entry(noise, rows[noise.id]) for noise in noises if noise.id in rows]
    entries = [entry for entry in read if entry.sounds]
    silent = [{"noise": entry.id, "path": entry.path, "reason": "silent"} for entry in read if not entry.sounds]
    if not entries:
        raise UserError(
            f"{title}: wanted a file that sounds, found none among {len(noises)}; take silent ones out of "
            "the noise folder, or add others"
        )
    if silent:
        print(f"note: {title}: {len(silent)} of {len(noises)} files are silent and are not used, see {UNUSED}")
    if num := sum(bool(entry.silent) for entry in entries):
        print(f"note: {title}: {num} of {len(noises)} files have silent stretches, where none begins in a mixture")
    return entries, silent


def _noise_entry(noise: Any, row: dict[str, Any]) -> NoiseEntry:
    silent = tuple(map(tuple, row["silent"]))
    return NoiseEntry(noise.id, str(noise.path), row["num_samples"], noise.kind, silent, row["dc"])


def _examined(
    function: Callable[[Any], dict[str, Any]],
    files: Sequence,
    settings: CorpusConfig,
    folder: Path,
    nj: int,
    title: str,
) -> dict[str, dict[str, Any]]:
    """`function` of every file by its id, those of a killed run from its journal; more than max_bad bad ones raise."""
    with Journal(folder / EXAMINED / f"{title.replace(' ', '-')}.jsonl") as journal:
        rows = {key: row for key, row in journal.rows.items() if row.keys() & {"speech", "silent"}}  # or an older one
        if rows:
            print(f"note: {title}: {len(rows)} of {len(files)} files were examined before", flush=True)
        missing = [file for file in files if file.id not in rows]
        found = parallel.map_items(function, missing, nj, title, settings.max_bad, journal.add, "corpus.max_bad")
    rows |= {file.id: row for file, row in found}
    read = [(file.path, rows[file.id]) for file in files if file.id in rows]
    _tell([path for path, row in read if row["channels"] > 1], title, "have several channels, the first is used")
    _tell(
        [path for path, row in read if row.get("rumbles")],
        title,
        f"have more than {100 * RUMBLE:g} % of their power below 20 Hz, unheard, but counted by SNR and SI-SDR",
    )
    return rows


def _tell(paths: Sequence[Path], title: str, what: str) -> None:
    if paths:
        print(f"note: {title}: {len(paths)} files {what}: {escaped(str(paths[0]))}, ...")


def _check_names(problem: str) -> None:
    if problem:
        raise UserError(problem)


def _examine(utterance: Any, size: int, max_crops: int) -> dict[str, Any]:
    """What there is to know of an utterance: its crops, or why it has none, and its number of channels.

    Raises: UserError when it cannot be read, or its names cannot be in lists.
    """
    _check_names(utterance_problem(utterance.id, utterance.speaker, os.path.abspath(utterance.path)))  # for wav.scp
    samples = audio.read_audio(utterance.path)
    frames = speech_frames(samples)
    crops = [dataclasses.asdict(crop) for crop in best_crops(samples, size, max_crops, frames=frames)]
    reason = "" if crops else "short" if len(samples) < size else "silent"
    return {
        "id": utterance.id,
        "reason": reason,
        "crops": crops,
        "speech": stretches_of(frames),
        "channels": audio.num_channels(utterance.path),
        "rumbles": audio.rumble_share(samples) > RUMBLE,
    }


def _measure(noise: Any) -> dict[str, Any]:
    """A noise's length in samples, all of it read, where it is silent, its offset, and its number of channels.

    Raises: UserError as `_examine` does.
    """
    _check_names(path_problem(noise.path))
    samples = audio.read_audio(noise.path)
    return {
        "id": noise.id,
        "num_samples": len(samples),
        "silent": silent_stretches(samples),
        "dc": audio.dc_offset(samples, audio.LARGE_DC_DB),
        "channels": audio.num_channels(noise.path),
    }
