"""Models that come with the package, and which one a command takes."""

from __future__ import annotations

import os
from pathlib import Path

from wesep_mix.base.errors import UserError

SHIPPED = Path(__file__).parents[1] / "pretrained"
VARIABLE = "WESEP_MIX_MODEL"


def find_model(model: str | Path | None) -> Path:
    """The folder of a model.

    Args:
        model: a folder, the name of a model that came with the package, or None for the one that the environment
            variable WESEP_MIX_MODEL names, else for the first that came with it.

    Returns:
        The folder, which need not hold a model.

    Raises:
        UserError: when none is named and none came with the package.
    """
    shipped = sorted(path.parent for path in SHIPPED.glob("*/model.yaml"))
    named = model or os.environ.get(VARIABLE)
    if named:
        by_name = next((path for path in shipped if path.name == str(named)), None)
        return Path(named) if by_name is None or Path(named).exists() else by_name
    if not shipped:
        raise UserError(
            "--model: wanted a model's folder: none came with this version; `wesep-mix models export` makes "
            "one of an experiment, for instance after `bash run.sh`"
        )
    return shipped[0]
