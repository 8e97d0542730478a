"""Speaker embeddings as Kaldi ark and scp files (float32 vectors), readable by plain kaldiio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import kaldiio
import numpy as np

from wesep_mix.errors import UserError
from wesep_mix.io.files import atomic_path, read_table, write_table


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


def read_embeddings(scp: str | Path) -> dict[str, np.ndarray]:
    """Read `<name>.scp` into {key: float32 [D]}.

    Raises: UserError when the scp or its ark is missing or damaged.
    """
    if not Path(scp).is_file():
        raise UserError(f"{scp}: no such file; stage 4 makes it")
    try:
        table = {key: np.asarray(vector, dtype=np.float32) for key, vector in kaldiio.load_scp_sequential(str(scp))}
    except (OSError, ValueError, EOFError, AssertionError) as err:
        raise UserError(f"{scp}: its ark cannot be read ({' '.join(str(err).split())}); redo stage 4 with --force true") from err
    sizes = sorted({len(vector) for vector in table.values()})
    if len(sizes) > 1:  # kaldiio takes what is left of a truncated ark for a shorter vector
        raise UserError(f"{scp}: its ark cannot be read (vectors of {sizes} values); redo stage 4 with --force true")
    broken = next((key for key, vector in table.items() if not np.isfinite(vector).all()), None)
    if broken is not None or not table:
        found = f"values of {broken} that are not finite" if table else "no embedding at all"
        raise UserError(f"{scp}: wanted embeddings, found {found}; redo stage 4 with --force true")
    return table


def _checked(key: str, vector: np.ndarray) -> np.ndarray:
    vector = np.asarray(vector, dtype=np.float32)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise UserError(f"embedding {key}: wanted a finite vector, found shape {vector.shape}, "
                        f"{int((~np.isfinite(vector)).sum())} values not finite")
    return vector
