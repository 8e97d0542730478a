"""TABLE2.md and table2.json: Tables 2 and 4, the speech of every row over seeds, beside the paper's, and statements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wesep_mix.report.tables import SPEECH_COLUMNS, Table, millions, rules, shown
from wesep_mix.tables import document
from wesep_mix.tables.document import TableContent, TableResults, cell
from wesep_mix.tables.statements import ahead_statement
from wesep_mix.tables.table2 import Table2Config, Table2Row, row_overrides

NUM = "talkers of all mixtures"
PARAMS = "all parameters of the extractor or separator, without the model that computes the embedding"
RULES = "\n\n".join(
    [
        "For one seed a row has the mean over all mixtures and speakers of its test set, each talker counting once. A "
        "seed draws first weights, training mixtures and their order, also those of teacher and student.",
        "{rules}",
        "Which of a student's embeddings is whose: as `matching` says in conf/embeddings.yaml, by the best assignment "
        "(no two talkers of a mixture share one) or, as in the paper, the nearest one for each talker.",
        "The paper's numbers (arXiv 2604.03219, Tables 2 and 4) were measured with its own data and models.",
    ]
)
CONDITIONS = {  # what an extractor is given in the test
    "none": "no embedding",
    "matched": "embeddings of {student}",
    "wrong": "embeddings of {student}, for each talker that of the next talker of the mixture",
    "random": "embeddings of {student}, for each talker that of a speaker of another mixture who is not in this one",
    "oracle": "embeddings of the clean sources, by the teacher of {student}",
    "enrolment": "embeddings of another clean utterance of each talker, by the teacher of {student}",
    "enrolment_noisy": "embeddings of the same other utterance in noise, by the teacher of {student}",
}


def write_table(results: TableResults, table: Table2Config) -> str:
    """Write `exp/TABLE2.md` and `exp/table2.json`.

    Args:
        results: of the rows.
        table: conf/table2.yaml.

    Returns:
        The table and the statements as text.
    """
    column = SPEECH_COLUMNS["si_sdri"]
    averages = results.averages(table.rows)
    return document.write(
        results,
        TableContent(
            title="Tables 2 and 4",
            name="table2",
            stage=9,
            rows=table.rows,
            table=row_table(table.rows, averages),
            facts={name: row_facts(row) for name, row in table.rows.items()},
            notes={name: row_note(row) + _unscored(averages.get(name)) for name, row in table.rows.items()},
            statements=[ahead_statement(pair, table.rows, results.found, "si_sdri", column) for pair in table.ahead],
            rules=RULES.format(rules=rules(shown(SPEECH_COLUMNS, averages), num=NUM, params=PARAMS)),
        ),
    )


def row_table(rows: Mapping[str, Table2Row], averages: Mapping[str, Mapping[str, Any]]) -> Table:
    """The table: a line a row that has results, the paper's numbers beside ours.

    Args:
        rows: of the config.
        averages: of the rows over seeds.

    Returns:
        The table.
    """
    columns = shown(SPEECH_COLUMNS, averages)
    beside = {metric for metric in columns if any(metric in row.paper for row in rows.values())}
    titles = [
        title
        for metric, column in columns.items()
        for title in (column.title, *(["paper"] if metric in beside else []))
    ]
    lines = []
    for name, measured in averages.items():
        # unprocessed mixtures are measured once, whatever the number of seeds
        average = {**measured, "num_seeds": 1} if rows[name].model == "mixture" else measured
        cells = [
            each
            for metric, column in columns.items()
            for each in (
                cell(column, average, metric),
                *([column.cell(rows[name].paper, metric)] if metric in beside else []),
            )
        ]
        sizes = [str(round(average["num"]["mean"])), millions(average["params"]["mean"]), str(average["num_seeds"])]
        lines.append([rows[name].title, *cells, *sizes])
    return Table(("row", *titles, "num", "params", "seeds"), lines)


def row_facts(row: Table2Row) -> dict[str, Any]:
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


def _unscored(average: Mapping[str, Any] | None) -> str:
    """How many utterances could not be scored, where there are any."""
    num_bad = average["num_bad"]["mean"] if average and "num_bad" in average else 0
    return f"; without {num_bad:g} utterances a seed, which could not be scored" if num_bad else ""


def row_note(row: Table2Row) -> str:
    """How the row's numbers came about, for the reader: what was trained, what it is given, settings."""
    if row.model == "mixture":
        return f"the mixtures of {row.num_spk} as they are"
    embeddings = CONDITIONS.get(row.condition, "").format(student=f"`{row.student}` of Table 1")
    return "; ".join(
        [
            f"`{row.model}/{row.config}.yaml` on mixtures of {row.num_spk}",
            *([f"given {embeddings}"] if row.student else []),
            *(f"`{setting}`" for setting in row_overrides(row)),
        ]
    )
