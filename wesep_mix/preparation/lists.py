"""The lists of a prepared set: its utterances with their crops, and its noises.

`utterances.jsonl`: {"utt", "spk", "sex", "path", "crops": [{"start", "speech", "lufs"}],
"speech": [[first, end]]} a line, best crop first; `speech` is where the utterance is speech, in samples.
`noises.jsonl`: {"id", "path", "num_samples", "kind"} a line. A path is relative to one of the roots (io.roots); in
memory it is where the file is. Beside them Kaldi's wav.scp (with full paths, for tools that are started elsewhere),
utt2spk and spk2utt.
Where there is one, a crop and a noise have a "dc", the constant that they are mixed without, and a noise has "silent",
[first, end] of each stretch where it must not begin.
`unused.jsonl` (listing alone): {"utt", "spk", "path", "reason"} of each utterance that can't be a source, {"noise",
"path", "reason"} of each noise that can't be one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wesep_mix.base.files import atomic_path, read_jsonl, write_jsonl, write_table
from wesep_mix.io.roots import Roots, roots_of
from wesep_mix.preparation.activity import Crop, Stretch

UTTERANCES = "utterances.jsonl"
NOISES = "noises.jsonl"
UNUSED = "unused.jsonl"
WAVS = "wav.scp"


@dataclass(frozen=True, slots=True)
class SpeechEntry:
    """An utterance that can be a source, with its candidate crops (at least one), and where it is speech.

    speech: () in lists of an older revision, which do not say.
    """

    utt: str
    spk: str
    sex: str
    path: str
    crops: tuple[Crop, ...]
    speech: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True)
class NoiseEntry:
    """A noise file, its length in samples, which part of its corpus it is of, where it must not begin, and the
    constant that it is mixed without.
    """

    id: str
    path: str
    num_samples: int
    kind: str = ""
    silent: tuple[Stretch, ...] = ()
    dc: float = 0.0

    @property
    def sounds(self) -> bool:
        """Whether it may begin anywhere."""
        return self.silent != ((0, self.num_samples),)


def write_lists(folder: Path, speech: Sequence[SpeechEntry], noises: Sequence[NoiseEntry]) -> None:
    """Write a set's lists, Kaldi's among them, into `folder`."""
    roots = roots_of(folder)
    write_jsonl(folder / UTTERANCES, (_row(entry, roots) for entry in speech))
    write_table(folder / WAVS, wavs_of(speech))
    write_table(folder / "utt2spk", {entry.utt: entry.spk for entry in speech})
    by_speaker: dict[str, list[str]] = {}
    for entry in speech:
        by_speaker.setdefault(entry.spk, []).append(entry.utt)
    write_table(folder / "spk2utt", {spk: " ".join(sorted(utts)) for spk, utts in by_speaker.items()})
    write_noises(folder, noises)


def wavs_of(speech: Sequence[SpeechEntry]) -> dict[str, str]:
    """The rows of wav.scp."""
    return {entry.utt: os.path.abspath(entry.path) for entry in speech}


def refresh_wavs(folder: Path) -> None:
    """Write wav.scp of a set anew where its first file has another full name by now, since its corpus or the project
    has moved.
    """
    if _first_row(folder) != (folder / WAVS).read_text(encoding="utf-8").partition("\n")[0]:
        write_table(folder / WAVS, wavs_of(read_speech(folder)))


def _first_row(folder: Path) -> str:
    """The first row that wav.scp should have: both are sorted by id."""
    with open(folder / UTTERANCES, encoding="utf-8") as file:
        row = json.loads(file.readline() or "{}")
    return f"{row['utt']} {os.path.abspath(roots_of(folder).full(row['path']))}" if row else ""


def copy_lists(source: Path, folder: Path, noises: Sequence[NoiseEntry]) -> None:
    """Write the speech of the lists in `source`, and `noises`, into `folder`."""
    for name in (UTTERANCES, WAVS, "utt2spk", "spk2utt"):
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(source / name, temporary)
    write_noises(folder, noises)


def write_noises(folder: Path, noises: Sequence[NoiseEntry]) -> None:
    roots = roots_of(folder)
    write_jsonl(folder / NOISES, (_row(entry, roots) for entry in noises))


def _row(entry: SpeechEntry | NoiseEntry, roots: Roots) -> dict[str, Any]:
    """An entry as its line, without what it does not have."""
    row = dataclasses.asdict(entry) | {"path": roots.short(entry.path)}
    if not row.get("speech", True):
        del row["speech"]
    for part in (row, *row.get("crops", ())):
        for name in ("silent", "dc"):
            if not part.get(name, True):
                del part[name]
    return row


def read_speech(folder: Path) -> list[SpeechEntry]:
    rows, roots = read_jsonl(folder / UTTERANCES), roots_of(folder)
    return [_speech_entry(row, roots) for row in rows]


def _speech_entry(row: dict[str, Any], roots: Roots) -> SpeechEntry:
    crops = tuple(Crop(**crop) for crop in row["crops"])
    speech = tuple(map(tuple, row.get("speech", ())))
    return SpeechEntry(**row | {"path": roots.full(row["path"]), "crops": crops, "speech": speech})


def read_noises(folder: Path) -> list[NoiseEntry]:
    rows, roots = read_jsonl(folder / NOISES), roots_of(folder)
    return [
        NoiseEntry(**row | {"path": roots.full(row["path"]), "silent": tuple(map(tuple, row.get("silent", ())))})
        for row in rows
    ]


def read_unused(folder: Path) -> dict[str, str]:
    """Utterances of the set that can't be a source -> their speakers; empty where none are listed."""
    rows = read_jsonl(folder / UNUSED) if (folder / UNUSED).is_file() else []
    return {row["utt"]: row["spk"] for row in rows if "utt" in row}
