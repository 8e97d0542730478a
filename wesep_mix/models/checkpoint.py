"""Model files: weights with the model's kind, name and config beside them, so that a path is all one needs."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from wesep_mix.base import config as configs
from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError
from wesep_mix.io.weights import check_finite, read_weights, write_weights


def save_model(path: str | Path, kind: str, model: nn.Module, **notes: str | int | float) -> None:
    """Write a model file.

    Args:
        path: Where to.
        kind: The model's, such as `extractors`.
        model: A plugin's model.
        **notes: Plain facts to keep with it: git revision, number of trainable parameters...
    """
    content = {"kind": kind, "config": configs.to_dict(model.config), "state": model.state_dict(), "notes": notes}
    write_weights(path, content)


def load_model(path: str | Path, kind: str) -> nn.Module:
    """Build the model that a file holds.

    Args:
        path: A model file.
        kind: The kind that is wanted, such as `extractors`.

    Returns:
        The model with its weights, on the CPU and in eval mode.

    Raises:
        UserError: When the file is missing, damaged, or holds another kind of model, or a weight is not finite.
    """
    content = _read(path, kind)
    config = configs.from_dict(plugins.load(kind, content["config"]["name"]).Config, content["config"], str(path))
    check_finite(path, content["state"])
    model = plugins.build(kind, config)
    try:
        model.load_state_dict(content["state"])
    except RuntimeError as err:
        raise UserError(f"{path}: its weights do not fit its config: {' '.join(str(err).split())}") from err
    return model.eval()


def load_notes(path: str | Path, kind: str) -> dict[str, str | int | float]:
    """The plain notes saved with a model.

    Args:
        path: A model file.
        kind: The kind that is wanted, such as `extractors`.

    Returns:
        Note by name.

    Raises:
        UserError: When the file is missing, damaged, or holds another kind of model.
    """
    return _read(path, kind)["notes"]


def num_parameters(model: nn.Module) -> int:
    """How many numbers its parameters hold, trained or frozen."""
    return sum(parameter.numel() for parameter in model.parameters())


def _read(path: str | Path, kind: str) -> dict:
    content = read_weights(path)
    found = content.get("kind") if isinstance(content, dict) else type(content).__name__
    if found is None and "pytorch-lightning_version" in content:
        raise UserError(
            f"{path}: wanted a model of {kind}, found a checkpoint to resume training from; give the "
            "model.pt that the training wrote"
        )
    if found != kind:
        raise UserError(f"{path}: wanted a model of {kind}, found {found or 'a file that no stage of a recipe wrote'}")
    missing = [key for key in ("config", "state", "notes") if key not in content]
    if missing:
        raise UserError(f"{path}: a model file without {missing[0]}; redo the stage that makes it with --force true")
    return content
