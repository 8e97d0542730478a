"""Decoded audio: 16-bit samples of many files in a few flat files, memory-mapped, beside an index.

A folder holds `NNNN.s16` (little-endian 16-bit samples, one audio file after the other), `NNNN.npy` (what lies where
in it) and `index.npy`, all of these together, written last: where it is, the folder is whole. Files are known by the
hash of their path, so that an index of 100,000 files costs a process 4 MB and no time. What 16 bits do not hold
exactly (24-bit and float recordings) is left out and read from its original.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, read_json, write_json
from wesep_mix.io.audio import SAMPLE_RATE, read_audio

INDEX = "index.npy"
CORPUS = "corpus.json"  # beside the sets of a prepared folder
Read = Callable[..., np.ndarray]  # called as io.audio.read_audio is
_ROW = np.dtype([("key", "<u8"), ("part", "<u8"), ("first", "<u8"), ("num_samples", "<u8")])
_STEP = np.float32(1 / 32768)  # libsndfile's, and a power of two: samples times it are exact


class DecodedAudio:
    """`read_audio` through a folder of decoded audio; a file that is not in it is read from its original.

    Bit for bit what `read_audio` returns. Files are opened when they are first needed; what travels to another
    process is the folder's name.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._parts: dict[int, np.ndarray] = {}

    def __reduce__(self):
        return DecodedAudio, (self.folder,)

    def __call__(
        self, path: str | Path, start: int = 0, num_samples: int | None = None, sample_rate: int = SAMPLE_RATE
    ) -> np.ndarray:
        """See `read_audio`. Raises also: UserError when the decoded folder is damaged."""
        place = self._place(path)
        if place is None or sample_rate != SAMPLE_RATE:
            return read_audio(path, start, num_samples, sample_rate)
        part, first, length = place
        wanted = length - start if num_samples is None else num_samples
        if start < 0 or wanted < 0 or start + wanted > length:
            raise UserError(f"{path}: wanted samples {start} to {start + wanted}, found {length} in the file")
        samples = self._part(part)[first + start : first + start + wanted].astype(np.float32)
        samples *= _STEP
        return samples

    def __contains__(self, path: str | Path) -> bool:
        return self._place(path) is not None

    @cached_property
    def _index(self) -> tuple[np.ndarray, np.ndarray]:
        """Sorted keys, apart so that they can be searched, and the rows."""
        rows = _load_index(self.folder / INDEX)
        return np.ascontiguousarray(rows["key"]), rows

    def _place(self, path: str | Path) -> tuple[int, int, int] | None:
        keys, rows = self._index
        key = _key(path)
        row = int(keys.searchsorted(key))
        if row == len(keys) or keys[row] != key:
            return None
        _, part, first, num_samples = rows[row].tolist()
        return part, first, num_samples

    def _part(self, number: int) -> np.ndarray:
        if number not in self._parts:
            _, rows = self._index
            own = rows[rows["part"] == number]
            self._parts[number] = _map(_part_path(self.folder, number), int((own["first"] + own["num_samples"]).max()))
        return self._parts[number]


def name_corpus(data: str | Path, corpus: str | Path) -> None:
    """Note in a folder of prepared sets (`data/CORPUS/2mix`) in which folder their corpus was listed."""
    write_json(Path(data) / CORPUS, {"corpus": os.path.relpath(corpus, data)})


def reader_of(data_set: str | Path) -> Read:
    """How to read the audio of a prepared set (`data/CORPUS/2mix/test`): decoded by stage 1, or from the originals."""
    data = Path(data_set).absolute().parent
    corpus = read_json(data / CORPUS)["corpus"] if (data / CORPUS).is_file() else "../corpus"
    folder = Path(os.path.normpath(data / corpus)) / "decoded"
    return DecodedAudio(folder) if (folder / INDEX).is_file() else read_audio


def write_part(folder: Path, number: int, paths: Sequence[str]) -> None:
    """Decode `paths` into part `number`, unless that is done; its rows are written last.

    Raises: UserError naming a file that cannot be read.
    """
    rows_path = _part_path(folder, number).with_suffix(".npy")
    if rows_path.is_file():
        return
    rows, end = [], 0
    with atomic_write(_part_path(folder, number), "wb") as file:
        for path in paths:
            pcm = _exact_pcm(read_audio(path))
            if pcm is not None:
                file.write(pcm.tobytes())
                rows.append((_key(path), number, end, len(pcm)))
                end += len(pcm)
    _save(rows_path, np.array(rows, dtype=_ROW))


def write_index(folder: Path, num_parts: int) -> int:
    """Join the indices of all parts; return the number of files in them.

    Two paths of one hash (of 100,000 files: once in a thousand million folders) are both left to their originals.
    """
    parts = [_load_index(_part_path(folder, number).with_suffix(".npy")) for number in range(num_parts)]
    rows = np.concatenate([np.zeros(0, _ROW), *parts])
    keys, first, counts = np.unique(rows["key"], return_index=True, return_counts=True)
    _save(folder / INDEX, rows[first[counts == 1]])
    return int((counts == 1).sum())


def rename(folder: Path, names: Mapping[str, str]) -> None:
    """Files are known by other paths from now on: old -> new. Names that are not in the folder are passed over."""
    now = {int(_key(old)): _key(new) for old, new in names.items() if old != new} if folder.is_dir() else {}
    for path in sorted(folder.glob("*.npy")):
        rows = _load_index(path)
        keys = np.array([now.get(key, key) for key in rows["key"].tolist()], dtype="<u8")
        if not np.array_equal(keys, rows["key"]):
            rows["key"] = keys
            _save(path, rows[np.argsort(keys)] if path.name == INDEX else rows)


def is_part_there(folder: Path, number: int) -> bool:
    return _part_path(folder, number).with_suffix(".npy").is_file()


def _exact_pcm(samples: np.ndarray) -> np.ndarray | None:
    """The samples as 16-bit integers; None where these would not give back the same bits."""
    pcm = np.clip(samples * 32768, -32768, 32767).astype("<i2")
    same = (pcm.astype(np.float32) * _STEP).view(np.uint32) == samples.view(np.uint32)
    return pcm if same.all() else None


def _key(path: str | Path) -> np.uint64:
    return np.frombuffer(hashlib.blake2b(str(path).encode(), digest_size=8).digest(), "<u8")[0]


def _part_path(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.s16"


def _save(path: Path, rows: np.ndarray) -> None:
    with atomic_write(path, "wb") as file:
        np.save(file, rows)


def _load_index(path: Path) -> np.ndarray:
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as err:
        raise UserError(_damaged(path, str(err))) from err
    if rows.dtype != _ROW:
        raise UserError(_damaged(path, f"wanted an index, found {rows.dtype}"))
    return rows


def _map(path: Path, num_samples: int) -> np.ndarray:
    """The samples of a part. Its size is checked, since reading past the end of a mapped file kills the process."""
    try:
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as err:
        raise UserError(_damaged(path, str(err))) from err
    if len(mapped) < 2 * num_samples:
        raise UserError(_damaged(path, f"wanted {2 * num_samples} bytes, found {len(mapped)}"))
    return np.frombuffer(mapped, "<i2")


def _damaged(path: Path, why: str) -> str:
    return f"{path}: decoded audio cannot be read ({why}); remove the folder and run stage 1 again, or do without it"
