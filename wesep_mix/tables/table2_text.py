"""TABLE2.md and table2.json: Tables 2 and 4, the speech of every row over seeds, beside the paper's, and statements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wesep_mix.report.tables import SPEECH_COLUMNS, Table, millions, rules, shown
from wesep_mix.tables import document
from wesep_mix.tables.document import Run, TableContent, cell
from wesep_mix.tables.statements import ahead
from wesep_mix.tables.table2 import Table2Config, Table2Row, row_overrides

RULES = (
    "What a row has for one seed is the mean over all mixtures and speakers of its test set, each counting once. A "
    "seed draws first weights, training mixtures and their order, of teacher and student too. "
    "{rules} num: mixtures times talkers. params: all parameters of the extractor or separator alone, "
    "without the model that gives it the embedding. Which embedding is whose: as `matching` says in "
    "conf/embeddings.yaml, by the best assignment (no two talkers of a mixture share one) or, as in the paper, the "
    "nearest for each. The paper's numbers (arXiv 2604.03219, Tables 2 and 4) are of its own data and models."
)


GIVEN = {
    "none": "no embedding",
    "matched": "embeddings of {student}",
    "wrong": "embeddings of {student}, of each talker that of the mixture's next",
    "random": "embeddings of {student}, of each talker one of another mixture who is not in this one",
    "oracle": "embeddings of the clean sources, by the teacher of {student}",
}


def write_table(run: Run, table: Table2Config) -> str:
    """Write `exp/TABLE2.md` and `exp/table2.json`; return the table and the statements as text."""
    told = [ahead(pair, table.rows, run.found, "si_sdri", SPEECH_COLUMNS["si_sdri"]) for pair in table.ahead]
    averages = run.averages(table.rows)
    return document.write(
        run,
        TableContent(
            "Tables 2 and 4",
            "table2",
            9,
            table.rows,
            row_table(table.rows, averages),
            {name: described(row) for name, row in table.rows.items()},
            {name: made(row) + _without(averages.get(name)) for name, row in table.rows.items()},
            told,
            RULES.format(rules=rules(shown(SPEECH_COLUMNS, averages))),
        ),
    )


def row_table(rows: Mapping[str, Table2Row], averages: Mapping[str, Mapping[str, Any]]) -> Table:
    """A line a row that is there; the paper's number beside ours where it has one."""
    columns = shown(SPEECH_COLUMNS, averages)
    beside = {metric for metric in columns if any(metric in row.paper for row in rows.values())}
    titles = [
        title
        for metric, column in columns.items()
        for title in (column.title, *(["paper"] if metric in beside else []))
    ]
    lines = []
    for name, measured in averages.items():
        # unprocessed mixtures were measured once, whatever the number of seeds
        average = {**measured, "num_seeds": 1} if rows[name].model == "mixture" else measured
        cells = [
            each
            for metric, column in columns.items()
            for each in (
                cell(column, average, metric),
                *([column.cell(rows[name].paper, metric)] if metric in beside else []),
            )
        ]
        counted = [str(round(average["num"]["mean"])), millions(average["params"]["mean"]), str(average["num_seeds"])]
        lines.append([rows[name].title, *cells, *counted])
    return Table(("row", *titles, "num", "params", "seeds"), lines)


def described(row: Table2Row) -> dict[str, Any]:
    """What a row is, for table2.json."""
    return {
        "title": row.title,
        "model": row.model,
        "num_spk": row.num_spk,
        "config": row.config,
        "student": row.student,
        "embedding": row.embedding,
        "paper": dict(row.paper),
    }


def _without(average: Mapping[str, Any] | None) -> str:
    """How many utterances are in none of the row's numbers, where there are any."""
    num_bad = average["num_bad"]["mean"] if average and "num_bad" in average else 0
    return f"; without {num_bad:g} utterances a seed, which could not be scored" if num_bad else ""


def made(row: Table2Row) -> str:
    """How the row is made, in the words of the config."""
    if row.model == "mixture":
        return f"the mixtures of {row.num_spk} as they are"
    given = [f"given {GIVEN[row.condition].format(student=f'`{row.student}` of Table 1')}"] if row.student else []
    return "; ".join(
        [
            f"`{row.model}/{row.config}.yaml` on mixtures of {row.num_spk}",
            *given,
            *(f"`{setting}`" for setting in row_overrides(row)),
        ]
    )
