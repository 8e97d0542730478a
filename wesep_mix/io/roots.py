"""Where a corpus lies: lists and plans name audio relative to named folders, the roots.

`data/CORPUS/corpus/roots.json` says where these are: with `{"speech": "/corpora/LibriSpeech"}` the path
`speech:84/121123/84-121123-0000.flac` is `/corpora/LibriSpeech/84/121123/84-121123-0000.flac`. Where a corpus has
moved, its line there is edited, and all goes on. Paths of older revisions name no root: they are as they stand.
Where stage 1 has decoded the corpus (preparation.decoding), files are its wavs in `data/CORPUS/corpus/decoded`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json, write_json

ROOTS = "roots.json"
DECODED = "decoded"
ORIGINALS = "originals.json"  # in it, once it is whole: what is still to be read from its root
FLAT_STORE = "index.npy"  # of decoded audio as an older revision had it
CORPUS = "corpus.json"  # beside the sets of a prepared folder
GENERATED = "generated"  # the root of what stage 1 has made itself


@dataclass(frozen=True)
class Roots:
    """The roots by name, and the file that says so.

    decoded: folder of decoded audio, None where there is none; originals: what is not in it.
    """

    file: Path
    folders: Mapping[str, str] = field(default_factory=dict)
    decoded: Path | None = None
    originals: frozenset[str] = frozenset()

    def full(self, path: str) -> str:
        """Where a file of a list or plan is. Raises: UserError for a root that the file does not name."""
        name, colon, rest = str(path).partition(":")
        if not colon or "/" in name:
            return path
        if name in self.folders:
            if self.decoded and path not in self.originals:
                return str(decoded_path(self.decoded, path))
            return os.path.join(self.folders[name], rest)
        if os.path.exists(path):  # of an older revision, with a colon in its name
            return path
        raise UserError(f'{path}: wanted to know the folder of {name}, write "{name}": "FOLDER" into {self.file}')

    def short(self, path: str) -> str:
        """The path as lists and plans have it: `full` takes it back. What lies in no root stays as it is."""
        if self.decoded and path.startswith(f"{self.decoded}/"):
            return path[len(f"{self.decoded}/") :].removesuffix(".wav").replace("/", ":", 1)
        inside = [name for name, folder in self.folders.items() if path.startswith(os.path.join(folder, ""))]
        if not inside:
            return path
        name = max(inside, key=lambda name: len(self.folders[name]))
        return f"{name}:{path[len(os.path.join(self.folders[name], '')) :]}"

    def gone(self) -> dict[str, str]:
        """The roots whose folder is not there."""
        return {name: folder for name, folder in self.folders.items() if not os.path.isdir(folder)}


def write_roots(corpus: Path, folders: Mapping[str, str]) -> None:
    """Name the roots of the lists in `corpus/lists`."""
    write_json(corpus / ROOTS, dict(folders))


def read_roots(corpus: Path) -> Roots:
    """The roots of the lists in `corpus/lists`; none where an older revision made them.

    Raises: UserError when the file is not {name: folder}, or for audio that an older revision has decoded.
    """
    file = corpus / ROOTS
    folders = read_json(file, "mend it") if file.is_file() else {}
    if not isinstance(folders, dict) or not all(isinstance(folder, str) for folder in folders.values()):
        raise UserError(f"{file}: wanted a folder for each name, found {str(folders)[:80]}; mend it")
    roots = {name: plain(folder) for name, folder in folders.items()}
    decoded = corpus / DECODED
    if (decoded / FLAT_STORE).is_file():
        raise UserError(
            f"{decoded}: holds decoded audio in the form of an older revision; remove that folder, and the corpus "
            "itself is read (with `decoded: true` and --force true stage 1 makes wavs)"
        )
    if not (decoded / ORIGINALS).is_file():
        return Roots(file, roots)
    return Roots(file, roots, decoded.absolute(), frozenset(read_json(decoded / ORIGINALS)))


def roots_of(data_set: str | Path) -> Roots:
    """The roots of a set's lists and plans (`data/CORPUS/2mix/test`, `data/CORPUS/corpus/lists/test`)."""
    group = Path(data_set).absolute().parent
    if group.name == "lists":
        return read_roots(group.parent)
    corpus = read_json(group / CORPUS)["corpus"] if (group / CORPUS).is_file() else "../corpus"
    return read_roots(Path(os.path.normpath(group / corpus)))


def decoded_path(decoded: Path, path: str) -> Path:
    """Where a file of a list has its decoded copy: speech:84/a.flac -> decoded/speech/84/a.flac.wav."""
    name, _, rest = path.partition(":")
    return decoded / name / f"{rest}.wav"


def name_corpus(data: str | Path, corpus: str | Path) -> None:
    """Note in a folder of prepared sets (`data/CORPUS/2mix`) in which folder their corpus was listed."""
    write_json(Path(data) / CORPUS, {"corpus": os.path.relpath(corpus, data)})


def plain(folder: str) -> str:
    """A folder's name without ~, and without what changes nothing in it."""
    return str(Path(folder).expanduser())
