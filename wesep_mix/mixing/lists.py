"""The lists of a prepared set: its utterances with their crops, and its noises.

`utterances.jsonl`: {"utt", "spk", "sex", "path", "crops": [{"start", "speech", "lufs"}]} a line, best crop first.
`noises.jsonl`: {"id", "path", "num_samples", "kind"} a line. Beside them Kaldi's wav.scp, utt2spk and spk2utt.
`unused.jsonl` (listing alone): {"utt", "spk", "path", "reason"} of each utterance that can't be a source.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wesep_mix.io.files import atomic_path, read_jsonl, write_jsonl, write_table
from wesep_mix.mixing.vad import Crop

UTTERANCES = "utterances.jsonl"
NOISES = "noises.jsonl"
UNUSED = "unused.jsonl"


@dataclass(frozen=True, slots=True)
class SpeechEntry:
    """An utterance that can be a source, with its candidate crops (at least one)."""

    utt: str
    spk: str
    sex: str
    path: str
    crops: tuple[Crop, ...]


@dataclass(frozen=True, slots=True)
class NoiseEntry:
    """A noise file, its length in samples, and which part of its corpus it is of."""

    id: str
    path: str
    num_samples: int
    kind: str = ""


def write_lists(folder: Path, speech: Sequence[SpeechEntry], noises: Sequence[NoiseEntry]) -> None:
    """Write a set's lists, Kaldi's among them, into `folder`."""
    write_jsonl(folder / UTTERANCES, map(dataclasses.asdict, speech))
    write_table(folder / "wav.scp", {entry.utt: entry.path for entry in speech})
    write_table(folder / "utt2spk", {entry.utt: entry.spk for entry in speech})
    by_speaker: dict[str, list[str]] = {}
    for entry in speech:
        by_speaker.setdefault(entry.spk, []).append(entry.utt)
    write_table(folder / "spk2utt", {spk: " ".join(sorted(utts)) for spk, utts in by_speaker.items()})
    write_noises(folder, noises)


def copy_lists(source: Path, folder: Path, noises: Sequence[NoiseEntry]) -> None:
    """Write the speech of the lists in `source`, and `noises`, into `folder`."""
    for name in (UTTERANCES, "wav.scp", "utt2spk", "spk2utt"):
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(source / name, temporary)
    write_noises(folder, noises)


def write_noises(folder: Path, noises: Sequence[NoiseEntry]) -> None:
    write_jsonl(folder / NOISES, map(dataclasses.asdict, noises))


def read_speech(folder: Path) -> list[SpeechEntry]:
    rows = read_jsonl(folder / UTTERANCES)
    return [SpeechEntry(**{**row, "crops": tuple(Crop(**crop) for crop in row["crops"])}) for row in rows]


def read_noises(folder: Path) -> list[NoiseEntry]:
    return [NoiseEntry(**row) for row in read_jsonl(folder / NOISES)]


def read_unused(folder: Path) -> dict[str, str]:
    """Utterances of the set that can't be a source -> their speakers; empty where none are listed."""
    rows = read_jsonl(folder / UNUSED) if (folder / UNUSED).is_file() else []
    return {row["utt"]: row["spk"] for row in rows}
