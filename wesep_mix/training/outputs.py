"""What a training leaves in its folder for the stages after it, whether or not there was anything to train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from torch import nn

from wesep_mix import checkpoint, config
from wesep_mix.git import revision
from wesep_mix.io.files import atomic_write
from wesep_mix.versions import shown, versions


def resolved(settings: Any, model: nn.Module) -> dict[str, Any]:
    """The settings with all defaults, and the model's config as building it left it."""
    return {**config.to_dict(settings), "model": config.to_dict(model.config)}


def write_config(out: Path, settings: dict[str, Any]) -> None:
    """Write resolved settings, the git revision and the packages' versions to `out/config.yaml`."""
    with atomic_write(out / "config.yaml") as file:
        yaml.safe_dump({"git": revision(), "versions": versions(), **settings}, file, sort_keys=False)


def write_model(
    out: Path, kind: str, model: nn.Module, num_steps: int, num_trainable: int, num_bad_steps: int
) -> None:
    """Write `out/model.pt`; num_trainable counts what the training alone needs too, such as ArcFace weights."""
    checkpoint.save_model(
        out / "model.pt", kind, model, git=revision(), num_steps=num_steps, num_trainable=num_trainable,
        num_bad_steps=num_bad_steps, versions=shown(versions()),
    )
