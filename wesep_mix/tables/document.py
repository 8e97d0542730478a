"""Several runs of the same rows, of which only the seed differs, as mean and standard deviation.

A table of the paper over seeds, as TABLE<N>.md and table<N>.json: what its documents share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wesep_mix.base.files import atomic_write, write_json
from wesep_mix.base.installed import shown, versions
from wesep_mix.report.markdown import command
from wesep_mix.report.results import rounded
from wesep_mix.report.tables import Column, Table
from wesep_mix.tables.statements import Runs, Statement, over_seeds

OVER_SEEDS = (
    "Every number is the mean ± standard deviation (of the sample) over seeds of what the row has for one seed, on the "
    "test set as a whole. The test sets are the same for all seeds."
)


@dataclass(frozen=True)
class Run:
    """What is there, and where it is from. exp: the experiment's folder; settings: its `--set` values; found: {seed of
    the config: {row: metrics}}; others: seeds that are there and not in the config.
    """

    exp: Path
    corpus: str
    settings: Sequence[str]
    git: str
    found: Runs
    others: Sequence[int] = ()

    @property
    def seeds(self) -> list[int]:
        """Those of the config that have a row."""
        return [seed for seed in sorted(self.found) if self.found[seed]]

    def averages(self, rows: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Mean and standard deviation of every row that is there, in the order of the config."""
        means = over_seeds([self.found[seed] for seed in self.seeds])
        return {name: means[name] for name in rows if name in means}


@dataclass(frozen=True)
class TableContent:
    """A table's own part of the documents. rows: of the config; described: {row: what it is, for programs}; made:
    {row: how it is made, for readers}; more: tables for the end of the document.
    """

    title: str
    name: str
    stage: int
    rows: Mapping[str, Any]
    shown: Table
    described: Mapping[str, Mapping[str, Any]]
    made: Mapping[str, str]
    told: Sequence[Statement]
    rules: str
    more: Sequence[Table] = ()


def write(run: Run, content: TableContent) -> str:
    """Write `exp/TABLE<N>.md` and `exp/table<N>.json`; return the table and the statements as text."""
    averages = run.averages(content.rows)
    write_json(
        run.exp / f"{content.name}.json",
        rounded(
            {
                "corpus": run.corpus,
                "seeds": run.seeds,
                "git": run.git,
                "versions": versions(),
                "rows": {name: {**content.described[name], **averages[name]} for name in averages},
                "by_seed": {str(seed): dict(run.found[seed]) for seed in run.seeds},
                "left_out": [name for name in content.rows if name not in averages],
                "statements": [vars(statement) for statement in content.told],
            }
        ),
    )
    with atomic_write(run.exp / f"{content.name.upper()}.md") as file:
        file.write(_document(run, content, averages))
    notes = [note for note in (_fewer(run, content), _others(run, content)) if note]
    told = ["\n".join(each.text for each in content.told)] if content.told else []
    return "\n\n".join([content.shown.text(), *notes, *told])


def cell(column: Column, average: Mapping[str, Any], metric: str) -> str:
    """`mean ± std`; the mean alone where there is one seed, `-` where the row has no such metric."""
    if metric not in average:
        return "-"
    told = ("mean", "std") if average["num_seeds"] > 1 else ("mean",)
    return column.number(*(average[metric][key] for key in told))


def _document(run: Run, content: TableContent, averages: Mapping[str, Any]) -> str:
    seeds = ", ".join(map(str, run.seeds)) or "none"
    made_by = command(run.exp, run.corpus, ("--tables", "true"), run.settings)
    origin = (
        f"Seeds {seeds}; git revision {run.git}, {shown(versions())}. Written by stage {content.stage}, like `{content.name}.json` "
        "with the same numbers and those of each seed."
    )
    left_out = [row.title for name, row in content.rows.items() if name not in averages]
    gone = (
        (
            "Left out, because their data or results are not there, or were made with other settings: "
            f"{', '.join(left_out)}."
        )
        if left_out
        else ""
    )
    statements = "## Statements\n\n" + "\n".join(f"- {each.text}" for each in content.told) if content.told else ""
    blocks = [
        f"# {content.title}: {run.corpus}",
        f"Made by\n\n```\n{made_by}\n```",
        origin,
        content.shown.markdown(),
        gone,
        _fewer(run, content),
        _others(run, content),
        "\n".join(f"- {content.rows[name].title}: {content.made[name]}" for name in averages),
        statements,
        f"{OVER_SEEDS} {content.rules}",
        *(["## By condition", *(table.markdown() for table in content.more)] if content.more else []),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _fewer(run: Run, content: TableContent) -> str:
    """The rows that not every seed of the config has."""
    there = {name: [seed for seed in sorted(run.found) if name in run.found[seed]] for name in content.rows}
    few = [
        f"{content.rows[name].title} ({', '.join(map(str, seeds))})"
        for name, seeds in there.items()
        if 0 < len(seeds) < len(run.found)
    ]
    wanted = ", ".join(map(str, sorted(run.found)))
    return f"With fewer seeds than {wanted}: {', '.join(few)}." if few else ""


def _others(run: Run, content: TableContent) -> str:
    seeds = ", ".join(map(str, run.others))
    return f"Also there, not in this table: seeds {seeds}, which {content.name}.seeds does not name." if seeds else ""
