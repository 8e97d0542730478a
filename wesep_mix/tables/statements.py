"""Plain statements about the rows of a table, each computed from its numbers, whether it holds or not.

Rows are compared over the seeds that all of them have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.report.tables import EMBEDDING_COLUMNS, Column
from wesep_mix.tables.table1 import CountConfig, ShareConfig, Table1Row

Rows = Mapping[str, Mapping[str, float]]
Runs = Mapping[int, Rows]  # {seed: {row: {metric: number}}}
ACC = EMBEDDING_COLUMNS["acc"]


@dataclass(frozen=True)
class Statement:
    """holds: None where the table has not what it takes to say."""

    text: str
    holds: bool | None


@dataclass(frozen=True)
class Compared:
    """A metric of some rows over the seeds that all of them have: [rows, seeds], empty where there are none.

    note: what is to be said of the seeds; of an empty one, why it is so.
    """

    values: np.ndarray
    note: str = ""


def share(config: ShareConfig, rows: Mapping[str, Table1Row], runs: Runs) -> Statement:
    """Acc of a row as a share of another's, beside the paper's."""
    row, of = rows[config.row], rows[config.of]
    text = f"Acc of '{row.title}' as a share of that of '{of.title}'"
    compared = compare((config.row, config.of), "acc", runs)
    if not compared.values.size:
        return _not_known(text, compared)
    means = compared.values.mean(axis=1)
    found = means[0] / means[1]
    holds = bool(found >= config.wanted)
    paper = f", in the paper {row.paper / of.paper:.2f}" if row.paper and of.paper else ""
    wanted = f"wanted {config.wanted:.2f} or more{paper}"
    return Statement(f"{text}{compared.note}: {found:.2f}; {wanted}: {_verdict(holds)}.", holds)


def ahead(pair: Sequence[str], rows: Mapping[str, Any], runs: Runs, metric: str, column: Column) -> Statement:
    """The first row is ahead of the second by more than two standard deviations, of the sample and pooled."""
    text = f"'{rows[pair[0]].title}' is ahead of '{rows[pair[1]].title}' in {column.name}"
    compared = compare(pair, metric, runs)
    if not compared.values.size:
        return _not_known(text, compared)
    first, second = compared.values.mean(axis=1)
    text = (
        f"{text} by more than two standard deviations{compared.note}: difference "
        f"{column.factor * (first - second):+.{column.digits}f} {column.unit.replace('%', 'points')}"
    )
    if compared.values.shape[1] == 1:
        return Statement(f"{text}; one seed has no standard deviation, not known.", None)
    pooled = math.sqrt(compared.values.var(axis=1, ddof=1).mean())
    holds = bool(first - second > 2 * pooled)
    return Statement(f"{text}, standard deviation {column.number(pooled)} (pooled): {_verdict(holds)}.", holds)


def counts(config: CountConfig, rows: Mapping[str, Table1Row], runs: Runs) -> Statement:
    """The number of talkers is right often enough, in the mean of some rows."""
    text = "Number of talkers right, mean of " + ", ".join(f"'{rows[name].title}'" for name in config.rows)
    compared = compare(config.rows, "count_acc", runs)
    if not compared.values.size:
        return _not_known(text, compared)
    found = compared.values.mean()
    holds = bool(found >= config.wanted)
    return Statement(
        f"{text}{compared.note}: {100 * found:.1f} %; wanted {100 * config.wanted:.0f} % or more: {_verdict(holds)}.",
        holds,
    )


def compare(names: Sequence[str], metric: str, runs: Runs) -> Compared:
    """A metric of the rows over the seeds that they have in common."""
    seeds = [[seed for seed in sorted(runs) if metric in runs[seed].get(name, {})] for name in names]
    if not all(seeds):
        return Compared(np.empty(0), "a row is not there")
    common = sorted(set.intersection(*map(set, seeds)))
    if not common:
        return Compared(np.empty(0), "seeds " + " against ".join(_listed(each) for each in seeds))
    note = "" if all(each == common for each in seeds) else f" (over seeds {_listed(common)}, which all of them have)"
    return Compared(np.array([[runs[seed][name][metric] for seed in common] for name in names]), note)


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _verdict(holds: bool) -> str:
    return "it is" if holds else "it is not"


def _not_known(text: str, compared: Compared) -> Statement:
    return Statement(f"{text}: not known, {compared.note}.", None)


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
        raise UserError(
            f"row {name}: {', '.join(odd)} in some of its {len(rows)} runs only; redo the stage that made "
            "them with --force true"
        )
    return {metric: _mean_std([row[metric] for row in rows]) for metric in rows[0]} | {"num_seeds": len(rows)}


def _mean_std(values: Sequence[float]) -> dict[str, float | None]:
    several = len(values) > 1
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if several else None}
