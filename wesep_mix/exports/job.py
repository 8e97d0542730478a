"""What a format gets: the plans of a set, where to write, and what else it may read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wesep_mix.base.errors import UserError
from wesep_mix.mixing.plan import Plan, read_plans


@dataclass(frozen=True)
class Export:
    """One set in one format.

    plans: sorted by id, all with the same number of talkers. out: the set's folder in the export, absolute. data: its
    prepared folder. embeddings: stage 4's folder of the set, None if the user gave none.
    """

    config: Any
    plans: Sequence[Plan]
    data: Path
    out: Path
    embeddings: Path | None
    nj: int = 1

    @property
    def num_spk(self) -> int:
        """Talkers in a mixture."""
        return len(self.plans[0].sources)


def num_spk(path: Path) -> int:
    """Number of talkers in a set's mixtures, from the first line of its plan.

    Args:
        path: the set's plan.jsonl.

    Returns:
        The number.

    Raises:
        UserError: there is no plan.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return len(json.loads(file.readline())["sources"])
    except FileNotFoundError as err:
        raise UserError(f"{path}: no such file; stage 1 makes it for the sets train, dev and test") from err
    except (KeyError, TypeError, ValueError) as err:
        raise UserError(f"{path}, line 1: not a mixture plan; redo stage 1") from err


def plans_to_export(path: Path) -> list[Plan]:
    """Read the plans of a set.

    Args:
        path: the set's plan.jsonl.

    Returns:
        The plans, sorted by id.

    Raises:
        UserError: there is none, an id is there twice or cannot name a file, or the numbers of talkers differ.
    """
    plans = sorted(read_plans(path), key=lambda plan: plan.id.encode())
    if not plans:
        raise UserError(f"{path}: no mixture in it; redo stage 1")
    for place, plan in enumerate(plans):
        if place and plans[place - 1].id == plan.id:
            raise UserError(f"{path}: mixture {plan.id} is there twice; redo stage 1")
        if len(plan.sources) != len(plans[0].sources):
            raise UserError(
                f"{path}: mixture {plan.id} has {len(plan.sources)} talkers, {plans[0].id} has "
                f"{len(plans[0].sources)}; one export takes one number of talkers"
            )
        for name in (plan.id, *(source.spk for source in plan.sources)):
            if re.search(r"[\s/,]", name) or not name:
                raise UserError(
                    f"{path}: {name!r} cannot name a file and a table's row; rename it in the corpus, "
                    "without blanks, slashes and commas"
                )
    return plans
