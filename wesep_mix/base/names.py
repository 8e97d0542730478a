"""Which names of files, utterances and speakers are allowed: lists, Kaldi's tables and file names must hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from wesep_mix.base.errors import escaped

SetName = Literal["train", "dev", "test"]
SETS: tuple[SetName, ...] = get_args(SetName)

MAX_NAME = 255  # bytes that a file's name may have
_ROOM = len("..1234567.tmp.wav")  # what atomic_path (base.files) adds to a file's name while it is written
MAX_SPEAKER = 100  # bytes, so that mixture and talker together fit into one file name


def path_problem(path: str | Path) -> str:
    """What is wrong with a file's full name; empty if tables can hold it."""
    name = str(path)
    if escaped(name) == name:
        return ""
    return f"{escaped(name)}: wanted a name in UTF-8 without control characters and line breaks; rename it"


def utterance_problem(utt: str, speaker: str, path: str | Path) -> str:
    """Say what is wrong with the names of an utterance.

    Args:
        utt: its id.
        speaker: its speaker's name.
        path: its audio file.

    Returns:
        One line for the user; empty if all files that a run writes can hold the names.
    """
    if problem := path_problem(path) or path_problem(utt) or path_problem(speaker):
        return problem
    if utt.split() != [utt] or speaker.split() != [speaker]:
        return f"{path}: wanted a name without blanks (Kaldi's tables have none), found {utt!r}; rename it"
    if (size := len(speaker.encode())) > MAX_SPEAKER:
        return f"{path}: wanted a speaker's name of at most {MAX_SPEAKER} bytes, found {size}; rename that folder"
    return ""


def mixture_id(name: str, speakers: Sequence[str]) -> str:
    """Shorten a mixture's name where a file could not have it.

    Args:
        name: the wanted name.
        speakers: the mixture's speakers, since `<mix>-<speaker>.wav` must fit.

    Returns:
        `name`, or its beginning and a hash of it.
    """
    limit = MAX_NAME - bytes_of_file("", speakers)
    if len(name.encode()) <= limit:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{name.encode()[: limit - len(digest) - 1].decode(errors='ignore')}_{digest}"


def bytes_of_file(mix_id: str, speakers: Sequence[str]) -> int:
    """Length of the longest file name of a mixture: that of `<mix>-<speaker>.wav` while it is written.

    Args:
        mix_id: the mixture's id.
        speakers: its speakers.

    Returns:
        Bytes.
    """
    return _ROOM + len(f"{mix_id}-".encode()) + max(len(speaker.encode()) for speaker in speakers)
