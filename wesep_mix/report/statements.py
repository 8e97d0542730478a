"""Plain statements about the rows of Table 1, each computed from its numbers, whether it holds or not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wesep_mix.table1 import CountConfig, RowConfig, ShareConfig, Table1Config

Averages = Mapping[str, Mapping[str, Any]]  # {row: {metric: {"mean", "std"}, "num_seeds"}}


@dataclass(frozen=True)
class Statement:
    """holds: None where the table has not what it takes to say."""

    text: str
    holds: bool | None


def statements(table: Table1Config, averages: Averages) -> list[Statement]:
    """All that the config asks for, in its order."""
    made = [_share(share, table.rows, averages) for share in table.shares]
    made += [_ahead(first, second, table.rows, averages) for first, second in table.ahead]
    return made + ([_counts(table.counts, table.rows, averages)] if table.counts else [])


def _share(share: ShareConfig, rows: Mapping[str, RowConfig], averages: Averages) -> Statement:
    row, of = rows[share.row], rows[share.of]
    text = f"Acc of '{row.title}' as a share of that of '{of.title}'"
    if not {share.row, share.of} <= set(averages):
        return _not_there(text)
    found = averages[share.row]["acc"]["mean"] / averages[share.of]["acc"]["mean"]
    holds = found >= share.wanted
    paper = f", in the paper {row.paper / of.paper:.2f}" if row.paper and of.paper else ""
    return Statement(f"{text}: {found:.2f}; wanted {share.wanted:.2f} or more{paper}: {_verdict(holds)}.", holds)


def _ahead(first: str, second: str, rows: Mapping[str, RowConfig], averages: Averages) -> Statement:
    text = f"'{rows[first].title}' is ahead of '{rows[second].title}' in Acc"
    if not {first, second} <= set(averages):
        return _not_there(text)
    found = [averages[name]["acc"] for name in (first, second)]
    points = 100 * (found[0]["mean"] - found[1]["mean"])
    text = f"{text} by more than two standard deviations: difference {points:+.1f} points"
    if any(each["std"] is None for each in found):
        return Statement(f"{text}; one seed has no standard deviation, not known.", None)
    pooled = 100 * math.sqrt(sum(each["std"] ** 2 for each in found) / 2)
    holds = points > 2 * pooled
    return Statement(f"{text}, standard deviation {pooled:.1f} (pooled): {_verdict(holds)}.", holds)


def _counts(counts: CountConfig, rows: Mapping[str, RowConfig], averages: Averages) -> Statement:
    text = "Number of talkers right, mean of " + ", ".join(f"'{rows[name].title}'" for name in counts.rows)
    if not all("count_acc" in averages.get(name, {}) for name in counts.rows):
        return _not_there(text)
    found = sum(averages[name]["count_acc"]["mean"] for name in counts.rows) / len(counts.rows)
    holds = found >= counts.wanted
    return Statement(f"{text}: {100 * found:.1f} %; wanted {100 * counts.wanted:.0f} % or more: {_verdict(holds)}.",
                     holds)


def _verdict(holds: bool) -> str:
    return "it is" if holds else "it is not"


def _not_there(text: str) -> Statement:
    return Statement(f"{text}: not known, a row is not there.", None)
