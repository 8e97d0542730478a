"""Named arrays in one npz file, without pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays, whole or not at all.

    Args:
        path: the npz to write.
        arrays: by name.
    """
    with atomic_write(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path, advice: str = "redo the stage that made it") -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote.

    Args:
        path: the npz.
        advice: what the user can do if it is damaged, for the error.

    Returns:
        {name: array}.

    Raises:
        UserError: it is missing, damaged, or holds what only pickle can read.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError as err:
        raise UserError(f"{path}: no such file; {advice}") from err
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as err:
        raise UserError(f"{path}: wanted an npz of arrays, found something else ({err}); {advice}") from err
