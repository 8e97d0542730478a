"""Files of weights, ours and others': tensors and plain values only, never code."""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write

ZIP = b"PK\x03\x04"  # how a file of `torch.save` begins
# What unpickling may raise: it takes any text's letters for commands.
UNREADABLE = (RuntimeError, OSError, EOFError, LookupError, ValueError, struct.error, pickle.UnpicklingError)

INSIDE = ("state_dict", "model_state_dict", "model_state", "model", "models")  # where trainings keep the weights
WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and DDP, and torch.compile, put before every name


def write_weights(path: str | Path, content: Any) -> None:
    """Write weights as `torch.save` does, completely or not at all.

    Args:
        path: the file to write.
        content: tensors and plain values.

    Raises:
        OSError: the file cannot be written; a full disk, for one.
    """
    try:
        with atomic_write(path, "wb") as file:
            torch.save(content, file)
    except RuntimeError as err:  # torch puts it in place of what writing raised
        if not isinstance(err.__context__, OSError):
            raise
        raise OSError(err.__context__.errno, err.__context__.strerror, str(path)) from err


def read_weights(path: str | Path) -> Any:
    """Read what `torch.save` wrote, onto the CPU.

    Args:
        path: the file.

    Returns:
        Its content.

    Raises:
        UserError: the file is missing, damaged or holds code.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such model file")
    with open(path, "rb") as file:
        reason = damage(path) if file.read(len(ZIP)) == ZIP else None  # torch's old form has no checksums
    if reason is None:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except UNREADABLE as err:
            if (foreign := re.search(r"GLOBAL ([\w.]+)", str(err))) is not None:
                raise UserError(
                    f"{path}: not a readable model file: it holds more than tensors ({foreign[1]}): save "
                    "its weights alone, with torch.save(model.state_dict(), FILE)"
                ) from err
            reason = reason_of(err)
    raise UserError(
        f"{path}: not a readable model file ({reason}); it is damaged or of another kind, copy it again, "
        "or redo the stage that makes it with --force true"
    )


def damage(path: str | Path) -> str | None:
    """What is wrong with a file of `torch.save`, by its checksums, which torch does not check; None if nothing is."""
    try:
        with zipfile.ZipFile(path) as file:
            part = file.testzip()
    except zipfile.BadZipFile:
        return "it is empty" if Path(path).stat().st_size == 0 else "its end is missing, or it was never a checkpoint"
    except (OSError, EOFError, LookupError, ValueError, NotImplementedError, RuntimeError, struct.error, zlib.error):
        return "its list of parts is damaged"
    return None if part is None else f"the checksum of its part {part} is wrong"


def reason_of(err: Exception) -> str:
    """An error of torch as one line for users, without torch's advice to load code."""
    text = str(err).strip()
    if isinstance(err, pickle.UnpicklingError) or "weights_only" in text:
        return "it is no file of tensors and plain values"
    return text.splitlines()[0] if text and not isinstance(err, KeyError) else type(err).__name__


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read the weights in a file of another toolkit.

    They are the whole file, or lie in it under one of INSIDE (of several models, those of the first). What a wrapper
    put before every name is removed.

    Args:
        path: the file.

    Returns:
        {name that its model gave it: weight}.

    Raises:
        UserError: there are no weights, or one is not finite.
    """
    content = read_weights(path)
    while isinstance(content, Mapping) and (name := next((name for name in INSIDE if name in content), None)):
        content = content[name]
        if isinstance(content, (list, tuple)) and content:
            content = content[0]
    if not isinstance(content, Mapping) or not content:
        raise UserError(
            f"{path}: wanted a state dict, alone or under {', '.join(INSIDE)}, found "
            f"{type(content).__name__ if content or content is None else 'none'}"
        )
    other = next((name for name, value in content.items() if not isinstance(value, Tensor)), None)
    if other is not None:
        raise UserError(
            f"{path}: wanted a state dict, alone or under {', '.join(INSIDE)}, found {other}, which is "
            f"{type(content[other]).__name__}; save its weights alone"
        )
    state = dict(content)
    while (wrapper := next((one for one in WRAPPERS if all(name.startswith(one) for name in state)), None)) is not None:
        state = {name.removeprefix(wrapper): value for name, value in state.items()}
    check_finite(path, state)
    return state


def check_finite(path: str | Path, state: Mapping[str, Any]) -> None:
    """Refuse weights that are not finite.

    Args:
        path: the file that they are from, for the error.
        state: the weights by name.

    Raises:
        UserError: naming the first weight with a value that is not finite.
    """
    for name, value in state.items():
        if isinstance(value, Tensor) and not value.isfinite().all():
            bad = int((~value.isfinite()).sum())
            raise UserError(
                f"{path}: weight {name}: {bad} of {value.numel()} values are not finite (NaN or infinite); "
                "its training failed, or the file is damaged: copy or make it anew"
            )
