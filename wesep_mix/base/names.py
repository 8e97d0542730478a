"""Names of files, utterances and speakers that lists, Kaldi's tables and the names of made files can hold."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from wesep_mix.base.errors import escaped

SetName = Literal["train", "dev", "test"]
SETS: tuple[SetName, ...] = get_args(SetName)

MAX_NAME = 255  # bytes that a file's name may have
_ROOM = len("..1234567.tmp.wav")  # what a file's name has more while it is written (base.files.atomic_path)
MAX_SPEAKER = 100  # bytes, so that mixtures and talkers together can name a file


def path_problem(path: str | Path) -> str:
    """What is wrong with a file's full name; empty when tables can hold it."""
    name = str(path)
    if escaped(name) == name:
        return ""
    return f"{escaped(name)}: wanted a name in UTF-8 without control characters and line breaks; rename it"


def utterance_problem(utt: str, speaker: str, path: str | Path) -> str:
    """What is wrong with the names of an utterance; empty when all made files can hold them."""
    if problem := path_problem(path) or path_problem(utt) or path_problem(speaker):
        return problem
    if utt.split() != [utt] or speaker.split() != [speaker]:
        return f"{path}: wanted a name without blanks (Kaldi's tables have none), found {utt!r}; rename it"
    if (size := len(speaker.encode())) > MAX_SPEAKER:
        return f"{path}: wanted a speaker's name of at most {MAX_SPEAKER} bytes, found {size}; rename that folder"
    return ""


def mixture_id(name: str, speakers: Sequence[str]) -> str:
    """`name`, or where `<mix>-<speaker>.wav` would be too long for a file's name its beginning and a hash of it."""
    limit = MAX_NAME - bytes_of_file("", speakers)
    if len(name.encode()) <= limit:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{name.encode()[: limit - len(digest) - 1].decode(errors='ignore')}_{digest}"


def bytes_of_file(mix_id: str, speakers: Sequence[str]) -> int:
    """The longest name in bytes that a file of the mixture has, `<mix>-<speaker>.wav` while it is written."""
    return _ROOM + len(f"{mix_id}-".encode()) + max(len(speaker.encode()) for speaker in speakers)
