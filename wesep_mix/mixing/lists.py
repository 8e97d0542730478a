"""The lists of a prepared set: its utterances with their crops, and its noises.

`utterances.jsonl`: {"utt", "spk", "sex", "path", "crops": [{"start", "speech", "lufs"}]} a line, best crop first.
`noises.jsonl`: {"id", "path", "num_samples", "kind"} a line. Beside them Kaldi's wav.scp, utt2spk and spk2utt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wesep_mix.io.files import read_jsonl, write_jsonl, write_table
from wesep_mix.mixing.vad import Crop


@dataclass(frozen=True)
class SpeechEntry:
    """An utterance that can be a source, with its candidate crops (at least one)."""

    utt: str
    spk: str
    sex: str
    path: str
    crops: tuple[Crop, ...]


@dataclass(frozen=True)
class NoiseEntry:
    """A noise file, its length in samples, and which part of its corpus it is of."""

    id: str
    path: str
    num_samples: int
    kind: str = ""


def write_lists(folder: Path, speech: Sequence[SpeechEntry], noises: Sequence[NoiseEntry]) -> None:
    """Write a set's lists, Kaldi's among them, into `folder`."""
    write_jsonl(folder / "utterances.jsonl", map(dataclasses.asdict, speech))
    write_jsonl(folder / "noises.jsonl", map(dataclasses.asdict, noises))
    write_table(folder / "wav.scp", {entry.utt: entry.path for entry in speech})
    write_table(folder / "utt2spk", {entry.utt: entry.spk for entry in speech})
    by_speaker: dict[str, list[str]] = {}
    for entry in speech:
        by_speaker.setdefault(entry.spk, []).append(entry.utt)
    write_table(folder / "spk2utt", {spk: " ".join(sorted(utts)) for spk, utts in by_speaker.items()})


def read_speech(folder: Path) -> list[SpeechEntry]:
    rows = read_jsonl(folder / "utterances.jsonl")
    return [SpeechEntry(**{**row, "crops": tuple(Crop(**crop) for crop in row["crops"])}) for row in rows]


def read_noises(folder: Path) -> list[NoiseEntry]:
    return [NoiseEntry(**row) for row in read_jsonl(folder / "noises.jsonl")]
