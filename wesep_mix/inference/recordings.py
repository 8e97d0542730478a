"""Stages 4 and 6 of recordings without sources: the talkers that a student hears in each, and the speech of all.

Keys are `<recording>-<head>`, heads counted from 0, as in a student's sets of mixtures. An enrolment is embedded by the
teacher for analyses alone: nothing is extracted with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from wesep_mix.base import config
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import Journal, read_table, write_table
from wesep_mix.base.parallel import map_items
from wesep_mix.inference.candidates import Talker, find_talkers, heads_of
from wesep_mix.inference.embeddings import COUNTS
from wesep_mix.inference.listening import embed_voice
from wesep_mix.inference.sharing import extract_among
from wesep_mix.io.audio import SAMPLE_RATE, write_audio
from wesep_mix.io.embeddings import read_embeddings, write_embeddings
from wesep_mix.io.recording import read_recording
from wesep_mix.models.folder import UseConfig, load_network, read_settings
from wesep_mix.models.networks import Networks
from wesep_mix.preparation.recordings import RecordingEntry

HEARD = "heard.jsonl"
STUDENT, ENROLMENT = "student", "enrolment"  # stems of arks
PRESENCE = "presence"
Candidates = Literal["heads", "talkers"]


@dataclass(frozen=True)
class Hearing:
    """How a model hears recordings.

    Attributes:
        networks: its files.
        candidates: `heads` of the student, which hears all of a recording at once; or `talkers`, joined over windows,
            as for a recording of one's own.
        channel: of the recordings.
        use: settings in place of the model's own (models.folder.UseConfig).
        device: where it computes.
    """

    networks: Networks
    candidates: Candidates = "heads"
    channel: str = "mix"
    use: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"

    def used(self) -> UseConfig:
        """How the model is used: as its folder says, or else by the defaults, with these settings in their place."""
        folder = self.networks.folder
        own = read_settings(folder).get("use", {}) if folder else {}
        return config.from_dict(UseConfig, {**own, **self.use}, "recordings.yaml: use")

    def processes(self, nj: int) -> int:
        """How many of `nj` processes may compute: a GPU is one process's."""
        return nj if self.device == "cpu" else 1


@cache
def _network(path: Path, kind: str, device: str) -> torch.nn.Module:
    """A network, once in each process."""
    return load_network(path, kind).to(device)


def embed_recordings(
    entries: Sequence[RecordingEntry], hearing: Hearing, out: Path, nj: int = 1, max_bad: int = 0
) -> None:
    """Write the embeddings of the talkers that are heard, `out/student.{ark,scp}`, and how many, `out/reco2num_spk`.

    Of a student with presence those heads that speak for a talker, and `out/presence` with what they say; where none
    does, the one that says most. `out/enrolment.{ark,scp}` has the teacher's of the enrolments, by recording. A run
    that was stopped goes on with what it has.

    Args:
        entries: the recordings.
        hearing: the model.
        out: folder to write.
        nj: parallel processes.
        max_bad: recordings that may fail, each named and left out.

    Raises:
        UserError: too many recordings fail, or nobody is heard in any of them.
    """
    with Journal(out / HEARD) as journal:
        missing = [entry for entry in entries if entry.id not in journal.rows]
        hear, nj = partial(_heard, hearing), hearing.processes(nj)
        pairs = map_items(hear, missing, nj, "hearing recordings", max_bad, journal.add, "recordings.max_bad")
        rows = journal.rows | {entry.id: row for entry, row in pairs}
    heads = {f"{row['id']}-{head['number']}": head for row in rows.values() for head in row["heads"]}
    if not heads:
        raise UserError(f"wanted talkers in the recordings, found none in any of {len(entries)}")
    write_embeddings(out / STUDENT, _vectors(heads, "embedding"))
    write_table(out / COUNTS, {name: str(len(row["heads"])) for name, row in rows.items()})
    if any(head["presence"] is not None for head in heads.values()):
        write_table(out / PRESENCE, {key: f"{head['presence']:.6f}" for key, head in heads.items()})
    if enrolled := {name: row for name, row in rows.items() if row["enrolment"]}:
        write_embeddings(out / ENROLMENT, _vectors(enrolled, "enrolment"))
    (out / HEARD).unlink()


def _vectors(rows: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, np.ndarray]:
    return {key: np.array(row[name], dtype=np.float32) for key, row in rows.items()}


def _heard(hearing: Hearing, entry: RecordingEntry) -> dict[str, Any]:
    """The heads of a recording that speak, and the embedding of its enrolment."""
    samples = entry.read(hearing.channel).samples
    find = _heads if hearing.candidates == "heads" else _talkers
    found = [
        {"number": number, "embedding": embedding.tolist(), "presence": presence}
        for number, embedding, presence in find(hearing, samples)
    ]
    enrolment = _enrolment(hearing, entry.enrolment) if entry.enrolment else None
    return {"id": entry.id, "heads": found, "enrolment": enrolment}


Head = tuple[int, np.ndarray, float | None]  # its number, embedding, and the probability that it speaks for a talker


def _heads(hearing: Hearing, samples: np.ndarray) -> list[Head]:
    student = _network(hearing.networks.student, "students", hearing.device)
    embeddings, presence = heads_of(student, torch.from_numpy(np.array(samples))[None], hearing.device)
    if presence is None:
        return [(number, embedding, None) for number, embedding in enumerate(embeddings[0])]
    least = min(hearing.used().presence, float(presence[0].max()))
    told = zip(embeddings[0], presence[0].tolist(), strict=True)
    return [(number, embedding, sure) for number, (embedding, sure) in enumerate(told) if sure >= least]


def _talkers(hearing: Hearing, samples: np.ndarray) -> list[Head]:
    student = _network(hearing.networks.student, "students", hearing.device)
    talkers = find_talkers(student, samples, hearing.used(), hearing.device)
    return [(number, talker.embedding, talker.confidence) for number, talker in enumerate(talkers)]


def _enrolment(hearing: Hearing, path: str) -> list[float]:
    teacher = _network(hearing.networks.teacher, "teachers", hearing.device)
    return embed_voice(teacher, read_recording(path).samples, hearing.device).tolist()


@dataclass(frozen=True)
class HeardSet:
    """What a model heard in a set of recordings.

    Attributes:
        embeddings: {`<recording>-<head>`: [D]}.
        keys: {recording: the keys of its talkers, in the order of their heads}; none where nobody was heard.
        presence: {`<recording>-<head>`: probability}; empty for a student that does not say.
        enrolments: {recording: [D]}, of those with an enrolment.
    """

    embeddings: dict[str, np.ndarray]
    keys: dict[str, list[str]]
    presence: dict[str, float]
    enrolments: dict[str, np.ndarray]


def read_heard(folder: Path) -> HeardSet:
    """Read what `embed_recordings` wrote.

    Args:
        folder: that it wrote to.

    Returns:
        What was heard.

    Raises:
        UserError: a file is missing or damaged.
    """
    presence = read_table(folder / PRESENCE) if (folder / PRESENCE).is_file() else {}
    enrolments, embeddings = folder / f"{ENROLMENT}.scp", read_embeddings(folder / f"{STUDENT}.scp")
    keys: dict[str, list[str]] = {name: [] for name in read_table(folder / COUNTS)}
    for key in sorted(embeddings, key=lambda key: int(key.rpartition("-")[2])):
        keys[key.rpartition("-")[0]].append(key)
    return HeardSet(
        embeddings,
        keys,
        {key: float(value) for key, value in presence.items()},
        read_embeddings(enrolments) if enrolments.is_file() else {},
    )


def extract_recordings(
    entries: Sequence[RecordingEntry], heard: HeardSet, hearing: Hearing, out: Path, nj: int = 1
) -> None:
    """Write `out/<recording>-<head>.wav` at 16 kHz of every talker that was heard, and `out/wav.scp`.

    Long recordings go through the extractor in chunks, as recordings of one's own do. Files of an interrupted run are
    kept.

    Args:
        entries: the recordings.
        heard: the talkers.
        hearing: the model.
        out: folder to write.
        nj: parallel processes.

    Raises:
        UserError: a recording cannot be read, or an estimate is not finite.
    """
    out.mkdir(parents=True, exist_ok=True)
    talkers = [(entry, heard.keys.get(entry.id, [])) for entry in entries]
    waiting = [
        (entry, [(key, heard.embeddings[key]) for key in keys])
        for entry, keys in talkers
        if not all((out / f"{key}.wav").is_file() for key in keys)
    ]
    map_items(partial(_extract, hearing, out), waiting, hearing.processes(nj), "extracting recordings")
    wavs = {key: str(out / f"{key}.wav") for keys in heard.keys.values() for key in keys}
    write_table(out / "wav.scp", wavs)


def _extract(hearing: Hearing, out: Path, item: tuple[RecordingEntry, Sequence[tuple[str, np.ndarray]]]) -> None:
    entry, talkers = item
    extractor = _network(hearing.networks.extractor, "extractors", hearing.device)
    samples, use = entry.read(hearing.channel).samples, hearing.used()
    embeddings = np.stack([embedding for _, embedding in talkers])
    whole = ((0.0, len(samples) / SAMPLE_RATE),)
    all_heard = [Talker(number, vector, None, 1.0, whole) for number, vector in enumerate(embeddings, start=1)]
    estimates = extract_among(extractor, samples, embeddings, all_heard, use, hearing.device)
    for (key, _), speech in zip(talkers, estimates, strict=True):
        write_audio(out / f"{key}.wav", speech, subtype="FLOAT" if np.abs(speech).max() > 1.0 else "PCM_16")
