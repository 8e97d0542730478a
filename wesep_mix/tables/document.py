"""TABLE<N>.md, TABLE<N>.tex and table<N>.json: a table of the paper over seeds, means with deviations and statements.

What the documents of Table 1 (table1_document) and of Tables 2 and 4 (table2_document) share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wesep_mix.base.files import atomic_write, write_json
from wesep_mix.base.installed import shown, versions
from wesep_mix.report.latex import latex_document
from wesep_mix.report.markdown import command
from wesep_mix.report.results import rounded
from wesep_mix.report.tables import Column, Table
from wesep_mix.tables.statements import Runs, Statement, over_seeds

OVER_SEEDS = (
    "Every number is the mean ± standard deviation (of the sample) over seeds; for each seed it is measured on the "
    "whole test set. The test sets are the same for all seeds."
)


@dataclass(frozen=True)
class TableResults:
    """The results of a table's rows, and where they are from.

    Attributes:
        exp: folder of the experiment.
        corpus: its name.
        settings: the `--set` values of the run.
        git: revision.
        found: {seed of the table's config: {row: metrics}}.
        others: seeds that have results and are not in the config.
        outcomes: {row: {seed: its number, mixture by mixture}} of the rows that statements compare; of Tables 2 and 4
            {table: that} as `found`.
    """

    exp: Path
    corpus: str
    settings: Sequence[str]
    git: str
    found: Runs
    others: Sequence[int] = ()
    outcomes: Mapping[str, Mapping[int, Any]] = field(default_factory=dict)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the config that have a row."""
        return [seed for seed in sorted(self.found) if self.found[seed]]

    def averages(self, rows: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Mean and standard deviation of every row that has results, in the order of the config."""
        means = over_seeds([self.found[seed] for seed in self.seeds])
        return {name: means[name] for name in rows if name in means}


@dataclass(frozen=True)
class TableContent:
    """A table's own part of the documents.

    Attributes:
        title: heading of the document.
        name: of the files, such as table4.
        config: of the YAML that plans it, such as table2.
        stage: that writes them.
        rows: of the config, by name.
        table: the numbers.
        facts: {row: what it is, for programs}.
        notes: {row: how its numbers came about, for readers}.
        statements: about the numbers.
        rules: what the numbers mean.
        cautions: what the numbers cannot tell, sentences below the table.
        breakdown: tables for the end of the document.
    """

    title: str
    name: str
    config: str
    stage: int
    rows: Mapping[str, Any]
    table: Table
    facts: Mapping[str, Mapping[str, Any]]
    notes: Mapping[str, str]
    statements: Sequence[Statement]
    rules: str
    cautions: Sequence[str] = ()
    breakdown: Sequence[Table] = ()


def write(results: TableResults, content: TableContent) -> str:
    """Write `exp/TABLE<N>.md` and `exp/table<N>.json`.

    Args:
        results: of the rows.
        content: the table's own part.

    Returns:
        The table and the statements as text.
    """
    averages = results.averages(content.rows)
    write_json(
        results.exp / f"{content.name}.json",
        rounded(
            {
                "title": content.title,
                "corpus": results.corpus,
                "seeds": results.seeds,
                "git": results.git,
                "versions": versions(),
                "rows": {name: {**content.facts[name], **averages[name]} for name in averages},
                "by_seed": {str(seed): dict(results.found[seed]) for seed in results.seeds},
                "left_out": [name for name in content.rows if name not in averages],
                "statements": [vars(statement) for statement in content.statements],
            }
        ),
    )
    with atomic_write(results.exp / f"{content.name.upper()}.md") as file:
        file.write(_document(results, content, averages))
    with atomic_write(results.exp / f"{content.name.upper()}.tex") as file:
        file.write(latex_document({(content.title, f"tab:{content.name}"): content.table}))
    notes = [note for note in (_fewer_seeds(results, content), _other_seeds(results, content)) if note]
    statements = ["\n".join(each.text for each in content.statements)] if content.statements else []
    return "\n\n".join([content.table.text(), *notes, *statements])


def cell(column: Column, average: Mapping[str, Any], metric: str) -> str:
    """A number of a row.

    Args:
        column: how the metric is shown.
        average: of the row over seeds.
        metric: the wanted one.

    Returns:
        `mean ± std`; the mean alone where there is one seed, `-` for a row without the metric.
    """
    if metric not in average:
        return "-"
    keys = ("mean", "std") if average["num_seeds"] > 1 else ("mean",)
    return column.number(*(average[metric][key] for key in keys))


def _document(results: TableResults, content: TableContent, averages: Mapping[str, Any]) -> str:
    seeds = ", ".join(map(str, results.seeds)) or "none"
    line = command(results.exp, results.corpus, ("--tables", "true"), results.settings)
    origin = (
        f"Seeds {seeds}; git revision {results.git}, {shown(versions())}. Stage {content.stage} writes this file, and "
        f"`{content.name}.json` with the same numbers and those of each seed."
    )
    left_out = [row.title for name, row in content.rows.items() if name not in averages]
    gone = (
        f"Left out, since their data or results are missing, or were made with other settings: {', '.join(left_out)}."
        if left_out
        else ""
    )
    statements = "\n".join(f"- {each.text}" for each in content.statements)
    blocks = [
        f"# {content.title}: {results.corpus}",
        f"Produced by\n\n```\n{line}\n```",
        origin,
        content.table.markdown(),
        *content.cautions,
        gone,
        _fewer_seeds(results, content),
        _other_seeds(results, content),
        "\n".join(f"- {content.rows[name].title}: {content.notes[name]}" for name in averages),
        f"## Statements\n\n{statements}" if statements else "",
        f"## What the numbers mean\n\n{OVER_SEEDS} {content.rules}",
        *(
            ["## By sexes, SNR and overlap", *(table.markdown() for table in content.breakdown)]
            if content.breakdown
            else []
        ),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _fewer_seeds(results: TableResults, content: TableContent) -> str:
    """The rows that not every seed of the config has."""
    there = {name: [seed for seed in sorted(results.found) if name in results.found[seed]] for name in content.rows}
    few = [
        f"{content.rows[name].title} ({', '.join(map(str, seeds))})"
        for name, seeds in there.items()
        if 0 < len(seeds) < len(results.found)
    ]
    wanted = ", ".join(map(str, sorted(results.found)))
    return f"With fewer seeds than {wanted}: {', '.join(few)}." if few else ""


def _other_seeds(results: TableResults, content: TableContent) -> str:
    seeds = ", ".join(map(str, results.others))
    return (
        f"Not in this table: seeds {seeds}, which have results but are not in {content.config}.seeds." if seeds else ""
    )
