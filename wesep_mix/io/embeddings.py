"""Speaker embeddings as Kaldi ark and scp files of float32 vectors, which plain kaldiio can read.

We write them with kaldiio, but do not read them with it. A file's first bytes make it run the file as a command, or
unpickle it, or read it as an npy array or a sound. It also takes a truncated vector for a shorter one.

In a set's folder of stage 4 lie `teacher`, `student` and `matched`; and `reference`, if the student was trained without
the teacher.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import kaldiio
import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_path, read_table, write_table

REFERENCE = "reference"  # stem of an ark and scp of stage 4
_KINDS = {
    b"FV ": (np.dtype("<f4"), 1),
    b"DV ": (np.dtype("<f8"), 1),
    b"FM ": (np.dtype("<f4"), 2),
    b"DM ": (np.dtype("<f8"), 2),
}  # Kaldi's mark: type of the values, number of sizes that stand before them


def write_embeddings(stem: str | Path, embeddings: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Write embeddings to `<stem>.ark` and `<stem>.scp`, sorted by key.

    The scp names the ark by its absolute path, so that tools started in any folder can read it. It is written last: if
    it is there, the ark is whole.

    Args:
        stem: path of both files without their endings.
        embeddings: {key: vector [D]}.

    Returns:
        What the scp says: {key: place in the ark}.
    """
    stem = Path(stem).absolute()
    ark, scp = stem.with_name(stem.name + ".ark"), stem.with_name(stem.name + ".scp")
    scp.unlink(missing_ok=True)
    ordered = {key: _finite_vector(key, embeddings[key]) for key in sorted(embeddings, key=str.encode)}
    with atomic_path(ark) as temporary, TemporaryDirectory(dir=ark.parent, prefix=".") as folder:
        index = Path(folder, "scp")  # it names the temporary ark
        kaldiio.save_ark(str(temporary), ordered, scp=str(index))
        offsets = {key: place.rsplit(":", 1)[1] for key, place in read_table(index).items()}
    places = {key: f"{ark}:{offset}" for key, offset in offsets.items()}
    write_table(scp, places)
    return places


def clean_scp(folder: Path) -> Path:
    """Find the embeddings of the clean sources that the student's were matched to.

    They are the teacher's, or the student's own if it was trained without a teacher.

    Args:
        folder: a set's folder of stage 4.

    Returns:
        Their scp.
    """
    own = folder / f"{REFERENCE}.scp"
    return own if own.is_file() else folder / "teacher.scp"


def read_embeddings(scp: str | Path) -> dict[str, np.ndarray]:
    """Read the embeddings that an scp names.

    The ark is looked for beside the scp first, so both may have moved. Its places hold Kaldi's binary vectors of float
    or double, or matrices of one row. Nothing else is read, and nothing is run or unpickled.

    Args:
        scp: `<name>.scp`.

    Returns:
        {key: float32 [D]}.

    Raises:
        UserError: naming scp, key and ark if one is missing, damaged or of another kind.
    """
    scp = Path(scp)
    if not scp.is_file():
        raise UserError(f"{scp}: no such file; stage 4 makes it")
    places = {key: _place(scp, key, place) for key, place in read_table(scp).items()}
    table: dict[str, np.ndarray] = {}
    for ark, keys in itertools.groupby(places, key=lambda key: places[key][0]):  # files are opened one at a time
        table.update(_vectors(scp, ark, {key: places[key][1] for key in keys}))
    sizes = sorted({len(vector) for vector in table.values()})
    if len(sizes) > 1:
        raise UserError(f"{scp}: its ark cannot be read (vectors of {sizes} values); redo stage 4 with --force true")
    if not table:
        raise UserError(f"{scp}: wanted embeddings, found no embedding at all; redo stage 4 with --force true")
    return table


def _place(scp: Path, key: str, place: str) -> tuple[Path, int]:
    """The ark, and the byte in it. A place of any other form (`-`, a URL, a range of rows) counts as a file name."""
    if place.startswith("|") or place.endswith("|"):  # Kaldi's tools would give it to a shell
        raise UserError(f"{scp}: {key}: wanted a place in an ark, found the command {place}")
    name, colon, offset = place.rpartition(":")
    if not (colon and offset.isascii() and offset.isdigit()):
        name, offset = place, "0"
    beside = scp.with_suffix(".ark").absolute()
    is_moved = colon and beside.is_file() and (Path(name).name == beside.name or not Path(name).exists())
    return beside if is_moved else Path(name), int(offset)


def _vectors(scp: Path, ark: Path, offsets: Mapping[str, int]) -> Iterator[tuple[str, np.ndarray]]:
    key = next(iter(offsets))
    try:
        if not ark.is_file():  # a pipe or a device might never end
            raise ValueError("it is no file" if ark.exists() else "no such file")
        with open(ark, "rb") as file:
            for key, offset in offsets.items():
                yield key, _vector(file, offset)
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) else err
        raise UserError(f"{scp}: its ark cannot be read ({key}, {ark}: {why}); redo stage 4 with --force true") from err


def _vector(ark: BinaryIO, offset: int) -> np.ndarray:
    """Read the vector that begins at byte `offset`. Raises: ValueError if something else is there."""
    ark.seek(offset)
    head = ark.read(5)
    if head[:2] != b"\0B" or head[2:] not in _KINDS:
        raise ValueError(f"wanted a binary vector of floats, found {head[:5]!r} at byte {offset}")
    dtype, num_sizes = _KINDS[head[2:]]
    sizes = [_size(ark, offset) for _ in range(num_sizes)]
    if num_sizes == 2 and sizes[0] != 1:
        raise ValueError(f"wanted a vector, found a matrix of shape {sizes} at byte {offset}")
    wanted = sizes[-1] * dtype.itemsize
    data = ark.read(wanted) if wanted <= os.fstat(ark.fileno()).st_size else b""
    if not wanted or len(data) != wanted:
        raise ValueError(f"truncated: wanted {sizes[-1]} values at byte {offset}, found {len(data) // dtype.itemsize}")
    with np.errstate(over="ignore"):  # a double that is too large becomes infinite
        vector = np.frombuffer(data, dtype).astype(np.float32)
    if not np.isfinite(vector).all():
        raise ValueError("holds values that are not finite")
    return vector


def _size(ark: BinaryIO, offset: int) -> int:
    data = ark.read(5)
    if len(data) != 5 or data[0] != 4:  # the number of bytes of the size itself
        raise ValueError(f"wanted the size of a vector, found {data!r} behind byte {offset}")
    return max(0, struct.unpack("<i", data[1:])[0])


def _finite_vector(key: str, vector: np.ndarray) -> np.ndarray:
    vector = np.asarray(vector, dtype=np.float32)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise UserError(
            f"embedding {key}: wanted a finite vector, found shape {vector.shape}, "
            f"{int((~np.isfinite(vector)).sum())} values not finite"
        )
    return vector


MATCHED, TEACHER = "matched.scp", "teacher.scp"


def lookup(embeddings: Mapping[str, np.ndarray], keys: Iterable[str], scp: str) -> np.ndarray:
    """Stack the embeddings of some keys.

    Args:
        embeddings: {key: vector [D]}.
        keys: the wanted keys.
        scp: the file that they were read from, for the error.

    Returns:
        Array [number of keys, D].

    Raises:
        UserError: naming the scp and the first key that is missing.
    """
    keys = list(keys)
    for key in keys:
        if key not in embeddings:
            fewer = ", with a student that has a head for every talker" if Path(scp).name == MATCHED else ""
            raise UserError(f"{scp}: {key} is not among the {len(embeddings)} embeddings; redo stage 4{fewer}")
    return np.stack([embeddings[key] for key in keys])
