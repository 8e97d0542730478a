"""Speaker embeddings as Kaldi ark and scp files (float32 vectors), readable by plain kaldiio."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import kaldiio
import numpy as np

from wesep_mix.errors import UserError
from wesep_mix.io.files import atomic_path, read_table, write_table

REFERENCE = "reference"  # the name of an ark of stage 4


def write_embeddings(stem: str | Path, embeddings: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Write {key: vector [D]} to `<stem>.ark` and `<stem>.scp`, sorted by key; return the scp: {key: place in the ark}.

    The scp names the ark by its absolute path, so that tools started in any folder can read it. The scp is
    written last: where it is, the ark is whole.
    """
    stem = Path(stem).absolute()
    ark, scp = stem.with_name(stem.name + ".ark"), stem.with_name(stem.name + ".scp")
    scp.unlink(missing_ok=True)
    ordered = {key: _checked(key, embeddings[key]) for key in sorted(embeddings, key=str.encode)}
    with atomic_path(ark) as temporary, TemporaryDirectory(dir=ark.parent, prefix=".") as folder:
        index = Path(folder, "scp")  # it names the temporary ark
        kaldiio.save_ark(str(temporary), ordered, scp=str(index))
        offsets = {key: place.rsplit(":", 1)[1] for key, place in read_table(index).items()}
    places = {key: f"{ark}:{offset}" for key, offset in offsets.items()}
    write_table(scp, places)
    return places


def clean_scp(folder: Path) -> Path:
    """Where in a set's folder of stage 4 the embeddings of the clean sources are that the student's were matched to:
    the teacher's, or its own for a student that was trained without it.
    """
    own = folder / f"{REFERENCE}.scp"
    return own if own.is_file() else folder / "teacher.scp"


def read_embeddings(scp: str | Path) -> dict[str, np.ndarray]:
    """Read `<name>.scp` into {key: float32 [D]}; of an ark that is not where it was, the one beside the scp.

    Raises: UserError when the scp or its ark is missing or damaged, or names a command for one.
    """
    scp = Path(scp)
    if not scp.is_file():
        raise UserError(f"{scp}: no such file; stage 4 makes it")
    lines = StringIO("".join(f"{key} {_place(scp, key, place)}\n" for key, place in read_table(scp).items()))
    try:
        table = {key: np.asarray(vector, dtype=np.float32) for key, vector in kaldiio.load_scp_sequential(lines)}
    except (OSError, ValueError, EOFError, AssertionError) as err:
        raise UserError(f"{scp}: its ark cannot be read ({' '.join(str(err).split())}); redo stage 4 with --force "
                        "true") from err
    sizes = sorted({len(vector) for vector in table.values()})
    if len(sizes) > 1:  # kaldiio takes what is left of a truncated ark for a shorter vector
        raise UserError(f"{scp}: its ark cannot be read (vectors of {sizes} values); redo stage 4 with --force true")
    broken = next((key for key, vector in table.items() if not np.isfinite(vector).all()), None)
    if broken is not None or not table:
        found = f"values of {broken} that are not finite" if table else "no embedding at all"
        raise UserError(f"{scp}: wanted embeddings, found {found}; redo stage 4 with --force true")
    return table


def _place(scp: Path, key: str, place: str) -> str:
    if "|" in place:  # which kaldiio would give to a shell
        raise UserError(f"{scp}: {key}: wanted a place in an ark, found the command {place}")
    ark, colon, offset = place.rpartition(":")
    moved = scp.with_suffix(".ark").absolute()
    return f"{moved}{colon}{offset}" if ark and not Path(ark).exists() and moved.is_file() else place


def _checked(key: str, vector: np.ndarray) -> np.ndarray:
    vector = np.asarray(vector, dtype=np.float32)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise UserError(f"embedding {key}: wanted a finite vector, found shape {vector.shape}, "
                        f"{int((~np.isfinite(vector)).sum())} values not finite")
    return vector
