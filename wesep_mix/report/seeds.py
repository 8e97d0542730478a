"""Several runs of the same rows, of which only the seed differs, as mean and standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wesep_mix.errors import UserError

Rows = Mapping[str, Mapping[str, float]]


def over_seeds(runs: Sequence[Rows]) -> dict[str, dict[str, Any]]:
    """{row: {metric: {"mean", "std"}, ..., "num_seeds"}} of runs {row: {metric: number}}, one a seed.

    std: of the sample, divided by num_seeds - 1; None for a row that only one run has. A row counts where it is; rows
    come in the order in which the runs first have them.
    Raises: UserError when a row has other metrics in one run than in another.
    """
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: _over(name, [run[name] for run in runs if name in run]) for name in names}


def _over(name: str, rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    odd = sorted({metric for row in rows for metric in set(row) ^ set(rows[0])})
    if odd:
        raise UserError(f"row {name}: {', '.join(odd)} in some of its {len(rows)} runs only; redo the stage that made "
                        "them with --force true")
    return {metric: _mean_std([row[metric] for row in rows]) for metric in rows[0]} | {"num_seeds": len(rows)}


def _mean_std(values: Sequence[float]) -> dict[str, float | None]:
    several = len(values) > 1
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if several else None}
