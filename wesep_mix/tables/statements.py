"""Statements about the rows of a table, each with a verdict computed from the numbers: it holds, or it does not.

Rows are compared over the seeds that all of them have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.outcomes import Outcomes, compare_rows
from wesep_mix.report.statements import DRAWS, SAME_SPEAKERS, Statement, said_ahead, verdict
from wesep_mix.report.tables import EMBEDDING_COLUMNS, Column
from wesep_mix.tables.table1 import CountConfig, ShareConfig, Table1Row

Rows = Mapping[str, Mapping[str, float]]
Runs = Mapping[int, Rows]  # {seed: {row: {metric: number}}}
ACC = EMBEDDING_COLUMNS["acc"]
AHEAD = (
    f"{DRAWS} Draws are the same for both rows and all seeds, and the mean over seeds is taken in each. Rows that were "
    "tested on other mixtures are not paired: only their speakers are drawn together. Models and clusters stay as they "
    "are, so the interval is one of speakers and mixtures. How much trainings differ, the deviations over seeds tell."
)


@dataclass(frozen=True)
class Compared:
    """A metric of some rows over the seeds that all of them have.

    Attributes:
        values: [rows, seeds]; empty where no seed has them all.
        note: what has to be said of the seeds, or why there are no values.
        seeds: those seeds.
    """

    values: np.ndarray
    note: str = ""
    seeds: Sequence[int] = ()


def share_statement(config: ShareConfig, rows: Mapping[str, Table1Row], runs: Runs) -> Statement:
    """Acc of a row, divided by another row's, is high enough; beside the paper's quotient.

    Args:
        config: rows and the wanted quotient.
        rows: of the table.
        runs: results of every seed.

    Returns:
        The statement.
    """
    row, of = rows[config.row], rows[config.of]
    text = f"Acc of '{row.title}' divided by Acc of '{of.title}'"
    compared = compare((config.row, config.of), "acc", runs)
    if not compared.values.size:
        return _unknown(text, compared.note)
    means = compared.values.mean(axis=1)
    found = means[0] / means[1]
    holds = bool(found >= config.wanted)
    paper = f" ({row.paper / of.paper:.2f} in the paper)" if row.paper and of.paper else ""
    return Statement(
        f"{text} is {config.wanted:.2f} or more{compared.note}: it is {found:.2f}{paper}; {verdict(holds)}.", holds
    )


def ahead_statement(
    pair: Sequence[str],
    rows: Mapping[str, Any],
    runs: Runs,
    outcomes: Mapping[str, Mapping[int, Outcomes]],
    shown: tuple[str, Column],
) -> Statement:
    """The first row is ahead of the second: the interval of the difference lies above 0.

    Args:
        pair: names of the rows.
        rows: of the table.
        runs: results of every seed.
        outcomes: {row: {seed: its number, mixture by mixture}}.
        shown: metric that the rows are compared by, of which more is better, and how it is shown.

    Returns:
        The statement.
    """
    metric, column = shown
    text = f"'{rows[pair[0]].title}' is ahead of '{rows[pair[1]].title}' in {column.name}"
    compared = compare(pair, metric, runs)
    if not compared.values.size:
        return _unknown(text, compared.note)
    ahead = compare_rows(*([outcomes[name][seed] for seed in compared.seeds] for name in pair))
    if ahead is None:
        return _unknown(text, SAME_SPEAKERS)
    return said_ahead(f"{text}{compared.note}", ahead, column)


def count_statement(config: CountConfig, rows: Mapping[str, Table1Row], runs: Runs) -> Statement:
    """Students count the talkers right often enough, in the mean of some rows.

    Args:
        config: rows and the wanted fraction.
        rows: of the table.
        runs: results of every seed.

    Returns:
        The statement.
    """
    titles = ", ".join(f"'{rows[name].title}'" for name in config.rows)
    wanted = f"{100 * config.wanted:.0f} % or more"
    text = f"The number of talkers is right in {wanted} of the mixtures, in the mean of {titles}"
    compared = compare(config.rows, "count_acc", runs)
    if not compared.values.size:
        return _unknown(text, compared.note)
    found = compared.values.mean()
    holds = bool(found >= config.wanted)
    return Statement(f"{text}{compared.note}: it is in {100 * found:.1f} %; {verdict(holds)}.", holds)


def compare(names: Sequence[str], metric: str, runs: Runs) -> Compared:
    """A metric of some rows over the seeds that they have in common.

    Args:
        names: of the rows.
        metric: the wanted one.
        runs: results of every seed.

    Returns:
        The numbers, or why there are none.
    """
    seeds = [[seed for seed in sorted(runs) if metric in runs[seed].get(name, {})] for name in names]
    if not all(seeds):
        return Compared(np.empty(0), "since a row has no results")
    common = sorted(set.intersection(*map(set, seeds)))
    if not common:
        return Compared(np.empty(0), "since the rows have different seeds: " + " and ".join(map(_join, seeds)))
    note = "" if all(each == common for each in seeds) else f" (over seeds {_join(common)}, which all of them have)"
    return Compared(np.array([[runs[seed][name][metric] for seed in common] for name in names]), note, common)


def _join(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _unknown(text: str, why: str) -> Statement:
    return Statement(f"{text}: unknown, {why}.", None)


def over_seeds(runs: Sequence[Rows]) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation of every row over the runs that have it.

    Args:
        runs: {row: {metric: number}}, one a seed.

    Returns:
        {row: {metric: {"mean", "std"}, ..., "num_seeds"}}, in the order in which the runs first have a row. std is that
        of the sample, divided by num_seeds - 1; None for a row that one run has.

    Raises:
        UserError: a row has other metrics in one run than in another.
    """
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: _average(name, [run[name] for run in runs if name in run]) for name in names}


def _average(name: str, rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
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
