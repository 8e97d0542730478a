"""Sets of recordings without sources: real clips of which nobody knows what each talker said alone.

`recordings.jsonl`: {"id", "path", "start", "num_samples", "rate"} a line, and where they are known "enrolment", a file
of one talker's voice alone, and "speaker". `start` and `num_samples` count the file's own samples at its own `rate` in
Hz; a long file is cut into several clips. Paths are relative to `roots.json` beside it (io.roots); in memory they are
where the files are. `unused.jsonl`: {"path", "start", "reason"} of what is not in it, `silent` or `unreadable`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import Journal, read_jsonl, read_table, write_jsonl
from wesep_mix.base.names import mixture_id, path_problem, utterance_problem
from wesep_mix.base.parallel import map_items
from wesep_mix.base.stage import Part
from wesep_mix.io.folders import audio_files
from wesep_mix.io.recording import Recording, read_recording
from wesep_mix.io.roots import Roots, plain, read_roots, write_roots
from wesep_mix.preparation.lists import UNUSED
from wesep_mix.preparation.relocation import as_made, folders_now

RECORDINGS = "recordings.jsonl"
SUFFIXES = (".aac", ".aiff", ".flac", ".m4a", ".mp3", ".mp4", ".ogg", ".opus", ".wav", ".webm")
LISTS = (".scp", ".txt")
MARK = re.compile(r"^(enroll?(ment)?)[_-]|[_-](enroll?(ment)?)$", re.IGNORECASE)  # of an enrolment's name
ENDING = "99999-99"  # the longest of clip and head behind a recording's id in the names of files
EXAMINED = "examined.jsonl"
LOW_RATE = 16000
SILENT_DB = -80.0  # of full scale: a quiet recorder's own noise is louder, 16 bits reach to -98


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """A recording, or a clip of one.

    Attributes:
        id: its name in all tables.
        path: of the file.
        start: first sample of it in the file.
        num_samples: of the file, from there.
        rate: of the file, in Hz.
        enrolment: a file with the voice of one of its talkers alone; "" where there is none.
        speaker: who that is; "" where it is not known.
    """

    id: str
    path: str
    start: int
    num_samples: int
    rate: int
    enrolment: str = ""
    speaker: str = ""

    def read(self, channel: str) -> Recording:
        """Read its audio, at 16 kHz.

        Args:
            channel: `mix`, or the number of one.

        Returns:
            The recording.

        Raises:
            UserError: its file cannot be read, or is not as it was when it was listed.
        """
        return read_recording(self.path, channel, self.start, self.num_samples)


@dataclass(frozen=True)
class Listing:
    """Which recordings a set has, and how they are read.

    Attributes:
        recordings_dir: a folder, of which all audio files are taken; or a list, `ID FILE` a line, whose files are
            relative to the list's own folder.
        enrolments_dir: likewise of enrolments; "" for none.
        speaker: a regular expression that finds a speaker in a file's name, as its first group; where no enrolment has
            the name of a recording, one of its speaker is taken. "": not known.
        channel: `mix` for the mean of all channels, or the number of one.
        clip_s: a file is cut into equal clips of about so many seconds; 0: into none.
        max_bad: damaged files to tolerate.
    """

    recordings_dir: str
    enrolments_dir: str = ""
    speaker: str = ""
    channel: str = "mix"
    clip_s: float = 0.0
    max_bad: int = 0


def recordings_part(out: Path, listing: Listing) -> Part:
    """The list of a set as a part of stage 1; `max_bad` does not define it.

    Args:
        out: the set's folder.
        listing: which recordings.

    Returns:
        The part.
    """
    settings = dataclasses.asdict(listing)
    del settings["max_bad"]
    return Part(1, "recordings", out, as_made(settings, out, folders_now(out)))


def prepare_recordings(listing: Listing, out: Path, nj: int) -> None:
    """Find the recordings, read each of them once, and write `out/recordings.jsonl`.

    Args:
        listing: which recordings.
        out: folder to write.
        nj: parallel processes.

    Raises:
        UserError: there is none, two have one name, more than `max_bad` cannot be read, or no enrolment is anybody's.
    """
    found = find_recordings(listing)
    write_roots(out, _roots_of(listing))
    with Journal(out / EXAMINED) as journal:
        if journal.rows:
            print(f"note: {len(journal.rows)} of {len(found)} recordings were read before", flush=True)
        missing = [one for one in found if one.id not in journal.rows]
        examine = partial(_examine, listing)
        pairs = map_items(examine, missing, nj, "recordings", listing.max_bad, journal.add, "recordings.max_bad")
        rows = journal.rows | {one.id: row for one, row in pairs}
    clips = [clip for one in found if one.id in rows for clip in rows[one.id]["clips"]]
    entries = [RecordingEntry(**clip["entry"]) for clip in clips if not clip["silent"]]
    if not entries:
        raise UserError(
            f"{listing.recordings_dir}: wanted a recording that sounds, found none among {len(found)} files"
        )
    roots = read_roots(out)
    unreadable = [{"path": roots.short(one.path), "reason": "unreadable"} for one in found if one.id not in rows]
    silent = [clip["entry"] for clip in clips if clip["silent"]]
    silences = ({"path": roots.short(one["path"]), "start": one["start"], "reason": "silent"} for one in silent)
    write_jsonl(out / UNUSED, [*unreadable, *silences])
    _tell(entries, len(silent), bool(listing.enrolments_dir))
    write_recordings(out, entries)
    (out / EXAMINED).unlink()


def _tell(entries: Sequence[RecordingEntry], num_silent: int, with_enrolments: bool) -> None:
    """What the user should know of a set."""
    seconds = sum(entry.num_samples / entry.rate for entry in entries)
    rates = ", ".join(f"{rate} Hz" for rate in sorted({entry.rate for entry in entries}))
    print(f"{len(entries)} recordings, {seconds / 60:.1f} minutes, at {rates}", flush=True)
    if low := sum(entry.rate < LOW_RATE for entry in entries):
        print(f"note: {low} recordings are of less than {LOW_RATE} Hz: what lies above half of it is missing in them")
    if num_silent:
        print(f"note: {num_silent} recordings are silent and are not used, see {UNUSED}")
    if with_enrolments:
        print(f"{sum(bool(entry.enrolment) for entry in entries)} of {len(entries)} recordings have an enrolment")


def _roots_of(listing: Listing) -> dict[str, str]:
    """The two folders; of a list its own."""
    places = {"recordings": listing.recordings_dir, "enrolments": listing.enrolments_dir}
    paths = {name: Path(plain(place)) for name, place in places.items() if place}
    return {name: str(path if path.is_dir() else path.parent) for name, path in paths.items()}


def find_recordings(listing: Listing) -> list[RecordingEntry]:
    """The recordings of a set by their names alone; their files are not read.

    Args:
        listing: which recordings.

    Returns:
        Whole files, without rate and number of samples, sorted by id.

    Raises:
        UserError: there is none, two have one name, or there are enrolments and none of them is anybody's.
    """
    files = _named_files(listing.recordings_dir, "--recordings", "recordings")
    enrolments = _named_files(listing.enrolments_dir, "--enrolments", "enrolments") if listing.enrolments_dir else {}
    taken = {path.absolute() for path in enrolments.values()}
    files = {name: path for name, path in files.items() if path.absolute() not in taken}
    own = {MARK.sub("", name): path for name, path in enrolments.items()}
    by_speaker: dict[str, Path] = {}
    for name, path in enrolments.items():
        by_speaker.setdefault(_speaker(name, listing.speaker), path)  # of several the first by name
    found = []
    for name, path in files.items():
        speaker = _speaker(name, listing.speaker)
        enrolment = own.get(name) or (by_speaker.get(speaker) if speaker else None)
        found.append(RecordingEntry(name, str(path), 0, 0, 0, str(enrolment or ""), speaker))
    if enrolments and not any(one.enrolment for one in found):
        raise UserError(
            f"{listing.enrolments_dir}: wanted enrolments with the names of recordings, found {next(iter(enrolments))} "
            f"beside {found[0].id}; tell with --set recordings.speaker=REGEX where names have the speaker, or give a "
            "list, ID FILE a line, as --enrolments"
        )
    return found


def _speaker(name: str, pattern: str) -> str:
    found = re.search(pattern, name) if pattern else None
    return "" if found is None else found[1]


def _named_files(place: str, option: str, what: str) -> dict[str, Path]:
    """{id: file} of all audio files in a folder, or of those in a list, sorted."""
    if not place:
        raise UserError(f"{option}: wanted a folder of {what}, or a list, found none")
    path = Path(place).expanduser()
    if path.is_file():
        if path.suffix.lower() not in LISTS:
            raise UserError(f"{option} {path}: wanted a folder of {what}, or a list (.scp or .txt), found another file")
        pairs = [(name, path.parent / file) for name, file in read_table(path).items()]
    elif path.is_dir():
        pairs = [(_name_of(file.relative_to(path)), file) for file in audio_files(path, suffixes=SUFFIXES)]
    else:
        raise UserError(f"{option} {path}: wanted a folder of {what}, or a list, found nothing of that name")
    if not pairs:
        raise UserError(f"{option} {path}: wanted audio files, found none (of {', '.join(SUFFIXES)})")
    named: dict[str, Path] = {}
    for name, file in pairs:
        if problem := path_problem(file) or utterance_problem(name, "-", file):
            raise UserError(problem)
        if name in named:
            raise UserError(f"{named[name]} and {file}: wanted one name a file, found {name} of both; rename one")
        named[name] = file
    return {name: named[name] for name in sorted(named, key=str.encode)}


def _name_of(file: Path) -> str:
    """What a file of a folder is called in tables: a/b c.wav -> a-b_c."""
    name = "-".join("_".join(part.split()) for part in file.with_suffix("").parts)
    return mixture_id(name, [ENDING])


def _examine(listing: Listing, one: RecordingEntry) -> dict[str, Any]:
    """Its clips, and which of them are silent. Raises: UserError when it or its enrolment cannot be read."""
    if one.enrolment:
        read_recording(one.enrolment)
    recording = read_recording(one.path, listing.channel)
    whole = dataclasses.replace(one, num_samples=recording.num_frames, rate=recording.sample_rate)
    clips = cut_into_clips(whole, listing.clip_s)
    step = len(recording.samples) / whole.num_samples
    return {
        "id": one.id,
        "clips": [
            {
                "entry": dataclasses.asdict(clip),
                "silent": _is_silent(recording.samples, clip.start * step, (clip.start + clip.num_samples) * step),
            }
            for clip in clips
        ],
    }


def _is_silent(samples: np.ndarray, start: float, stop: float) -> bool:
    """Whether nothing is heard in a stretch: its deviation, the root mean square without the constant, is too low."""
    stretch = samples[round(start) : round(stop)]
    return not len(stretch) or float(stretch.std(dtype=np.float64)) < 10 ** (SILENT_DB / 20)


def cut_into_clips(whole: RecordingEntry, clip_s: float) -> list[RecordingEntry]:
    """Cut a recording into equal clips.

    Args:
        whole: of a whole file.
        clip_s: about how many seconds a clip has, so that from 2/3 to 4/3 of it come out; 0: it stays whole.

    Returns:
        The clips, `<id>-<number from 1>`, which cover all of it; or itself, where there would be one.
    """
    count = max(1, round(whole.num_samples / whole.rate / clip_s)) if clip_s else 1
    if count == 1:
        return [whole]
    edges = [round(number * whole.num_samples / count) for number in range(count + 1)]
    width = len(str(count))
    return [
        dataclasses.replace(whole, id=f"{whole.id}-{number + 1:0{width}d}", start=start, num_samples=stop - start)
        for number, (start, stop) in enumerate(zip(edges, edges[1:], strict=False))
    ]


def write_recordings(folder: Path, entries: Iterable[RecordingEntry]) -> None:
    """Write a set's list, sorted by id, with paths relative to the roots in `folder`."""
    roots = read_roots(folder)
    ordered = sorted(entries, key=lambda entry: entry.id.encode())
    if twice := next((one.id for one, two in zip(ordered, ordered[1:], strict=False) if one.id == two.id), None):
        raise UserError(f"{folder / RECORDINGS}: wanted one name a recording, found {twice} twice; rename a file")
    write_jsonl(folder / RECORDINGS, (_row(entry, roots) for entry in ordered))


def _row(entry: RecordingEntry, roots: Roots) -> dict[str, Any]:
    row = {key: value for key, value in dataclasses.asdict(entry).items() if value != ""}
    return row | {key: roots.short(row[key]) for key in ("path", "enrolment") if key in row}


def read_recordings(folder: Path) -> list[RecordingEntry]:
    """Read a set's list.

    Args:
        folder: the set's.

    Returns:
        Its recordings, sorted by id.

    Raises:
        UserError: the list is missing, damaged, or empty.
    """
    roots, path = read_roots(folder), folder / RECORDINGS
    entries = [_entry(path, row, roots) for row in read_jsonl(path)]
    if not entries:
        raise UserError(f"{path}: wanted recordings, found none; redo stage 1 with --force true")
    return entries


def _entry(path: Path, row: Mapping[str, Any], roots: Roots) -> RecordingEntry:
    try:
        entry = RecordingEntry(**row)
    except TypeError as err:
        raise UserError(f"{path}: wanted the fields of a recording ({err}); redo stage 1 with --force true") from err
    enrolment = roots.full(entry.enrolment) if entry.enrolment else ""
    return dataclasses.replace(entry, path=roots.full(entry.path), enrolment=enrolment)
