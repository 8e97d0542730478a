"""Reading files of weights made by others or by us: tensors and plain values only, no code."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from wesep_mix.errors import UserError

# What unpickling raises; it takes the letters of a text for its commands.
UNREADABLE = (RuntimeError, OSError, EOFError, LookupError, ValueError, struct.error, pickle.UnpicklingError)


def read_weights(path: str | Path) -> Any:
    """What `torch.save` wrote, on the CPU. Raises: UserError when the file is missing, damaged or holds code."""
    if not Path(path).is_file():
        raise UserError(f"{path}: no such model file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as err:
        raise UserError(f"{path}: not a readable model file ({reason_of(err)}); it is cut short or of another "
                        "kind, copy or make it anew") from err


def reason_of(err: Exception) -> str:
    """One line for people, without torch's advice to load code."""
    if isinstance(err, pickle.UnpicklingError):
        return "it is no file of tensors and plain values"
    text = str(err).strip()
    return text.splitlines()[0] if text and not isinstance(err, KeyError) else type(err).__name__
