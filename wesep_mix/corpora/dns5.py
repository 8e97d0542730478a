"""The development set of DNS-Challenge 5 (ICASSP 2023): real noisy clips, each with an enrolment of its main talker.

As its download script describes it: V5_dev_testset/{Track1_Headset,Track2_Speakerphone}/{noisy,enrol}/*.wav, 48 kHz
clips of about 10 s with enrolments of 10 to 30 s. There is no clean reference, so it can only be scored by DNSMOS;
arXiv 2604.03219 (Table 3) scores 641 clips and does not say which. A reader, no corpus: nothing is trained on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wesep_mix.corpora.folders import audio_files, folder_with
from wesep_mix.corpora.problems import Problems
from wesep_mix.errors import UserError

TRACKS = {"headset": "Track1_Headset", "speakerphone": "Track2_Speakerphone"}
_MARK = re.compile(r"^enroll?(ment)?[_-]|[_-]enroll?(ment)?$", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class Clip:
    """A noisy recording and the enrolment of its main talker; `id` is <track>-<name of the file>."""

    id: str
    track: str
    path: Path
    enrolment: Path


def read_clips(folder: str | Path, tracks: Sequence[str] = tuple(TRACKS)) -> list[Clip]:
    """List the clips of some tracks, sorted by id; `folder` is `V5_dev_testset` or the folder that it is in.

    An enrolment has the name of its clip, or that name with `enrol` before or after it.
    Raises: UserError for a missing folder or track, and for clips without an enrolment (all are listed).
    """
    root, _ = folder_with(folder, "V5_dev_testset", tuple(TRACKS.values()), "the unpacked V5_dev_testset.zip")
    problems, clips = Problems(), []
    for track in tracks:
        with problems.gathering():
            clips += _read_track(root / TRACKS[track], track, problems)
    problems.refuse()
    return sorted(clips)


def _read_track(folder: Path, track: str, problems: Problems) -> list[Clip]:
    for name in ("noisy", "enrol"):
        if not (folder / name).is_dir():
            raise UserError(f"{folder}: wanted folders noisy and enrol, found no {name}")
    enrolments = {_MARK.sub("", path.stem): path for path in audio_files(folder / "enrol")}
    clips = []
    for path in audio_files(folder / "noisy"):
        if path.stem in enrolments:
            clips.append(Clip(f"{track}-{path.stem}", track, path, enrolments[path.stem]))
        else:
            problems.add(f"{path}: no enrolment of that name in {folder / 'enrol'}")
    if not clips:
        raise UserError(f"{folder / 'noisy'}: wanted clips as wav files with an enrolment, found none")
    return clips
