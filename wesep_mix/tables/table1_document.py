"""TABLE1.md and table1.json: the embeddings of every row over seeds, beside the paper's Acc, and statements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wesep_mix.evaluation.breakdown import PROPERTIES
from wesep_mix.report.breakdown import TITLES, in_order
from wesep_mix.report.tables import EMBEDDING_COLUMNS, Table, millions, rules
from wesep_mix.tables import document
from wesep_mix.tables.document import TableContent, TableResults, cell
from wesep_mix.tables.statements import ACC, AHEAD, ahead_statement, count_statement, share_statement
from wesep_mix.tables.table1 import Table1Config, Table1Row, row_overrides

BREAKDOWN_METRICS = ("acc", "count_acc")


RULES = "\n\n".join(
    [
        "A seed draws first weights, training mixtures, their order and the starts of k-means.",
        rules(
            EMBEDDING_COLUMNS,
            num="embeddings; `200 of 300` where 100 of 300 talkers have no head, and so no embedding",
            trainable="parameters that training changed",
        ),
        "Which of a student's embeddings is whose: by cosine to the teacher's of the clean sources, as `matching` says "
        "in conf/embeddings.yaml. All heads take part, also those that a student with presence calls empty. A student "
        "that was trained on labels has no reason to be near the teacher's embeddings.",
        "`embeddings.single` makes the test of a teacher harder: the same utterances in the same noises, of each the "
        "middle `length_s` seconds, at an SNR of `snr_db`. Where Acc says nothing, all voices being right, teachers "
        "are told apart by it, and by EER and minDCF.",
        "By sexes, SNR and overlap: of all embeddings of such mixtures, the share that is in their speaker's cluster; "
        "the clusters are those of the table above, of all embeddings together. sexes: of all talkers of the mixture; "
        "SNR: of speech over noise; overlap: the mean over talkers that follow each other.",
        "The paper's Acc (arXiv 2604.03219, Table 1) was measured with its own data and models. Acc depends on the "
        "numbers of speakers and embeddings: compare the order of rows and their quotients, not single numbers.",
        AHEAD,
    ]
)


def write_table(results: TableResults, table: Table1Config) -> str:
    """Write `exp/TABLE1.md` and `exp/table1.json`.

    Args:
        results: of the rows.
        table: conf/table1.yaml.

    Returns:
        The table and the statements as text.
    """
    averages = results.averages(table.rows)
    statements = [share_statement(each, table.rows, results.found) for each in table.shares]
    statements += [
        ahead_statement(pair, table.rows, results.found, results.outcomes, ("acc", ACC)) for pair in table.ahead
    ]
    statements += [count_statement(table.counts, table.rows, results.found)] if table.counts else []
    return document.write(
        results,
        TableContent(
            title="Table 1",
            name="table1",
            config="table1",
            stage=8,
            rows=table.rows,
            table=row_table(table.rows, averages),
            facts={name: row_facts(row) for name, row in table.rows.items()},
            notes={name: row_note(row) for name, row in table.rows.items()},
            statements=statements,
            rules=RULES,
            breakdown=breakdown_tables(table.rows, averages),
        ),
    )


def row_table(rows: Mapping[str, Table1Row], averages: Mapping[str, Mapping[str, Any]]) -> Table:
    """The table: a line a row that has results, the paper's Acc beside ours.

    Args:
        rows: of the config.
        averages: of the rows over seeds.

    Returns:
        The table.
    """
    titles = [column.title for column in EMBEDDING_COLUMNS.values()]
    header = ("row", titles[0], "paper", *titles[1:], "num", "trainable", "seeds")
    return Table(header, [_cells(rows[name], averages[name]) for name in averages])


def breakdown_tables(rows: Mapping[str, Table1Row], averages: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """One table a number of talkers: a column a value of a property of mixtures.

    Args:
        rows: of the config.
        averages: of the rows over seeds.

    Returns:
        The tables of the rows that were tested on mixtures.
    """
    tables = []
    for num_spk in sorted({rows[name].num_spk for name in averages}):
        there = [name for name in averages if rows[name].num_spk == num_spk]
        keys = [key.split("/") for name in there for key in averages[name] if "/" in key]
        places = [
            (kind, value)
            for kind in PROPERTIES
            for value in in_order(value for other, value, _ in keys if other == kind)
        ]
        lines = [
            (
                f"{rows[name].title}: {EMBEDDING_COLUMNS[measure].title}",
                *(
                    cell(EMBEDDING_COLUMNS[measure], averages[name], f"{kind}/{value}/{measure}")
                    for kind, value in places
                ),
            )
            for name in there
            for measure in BREAKDOWN_METRICS
            if any(key.endswith(f"/{measure}") for key in averages[name])
        ]
        titles = [f"{TITLES[kind]} {value}" for kind, value in places]
        tables += [Table(("row", *titles), lines)] if lines else []
    return tables


def row_facts(row: Table1Row) -> dict[str, Any]:
    """What a row is, for table1.json."""
    trained = row.num_trained if row.model == "student" else None
    return {"title": row.title, "model": row.model, "num_spk": row.num_spk, "trained_on": trained, "paper": row.paper}


def row_note(row: Table1Row) -> str:
    """How the row's numbers came about, for the reader: what was trained, what it was tested on, settings."""
    trained, tested = (
        "noisy single speech" if number == 1 else f"mixtures of {number}" for number in (row.num_trained, row.num_spk)
    )
    model = {
        "teacher": "the teacher",
        "kmeans": "no training, k-means over each mixture's frames",
        "student": f"a student trained on {trained}",
    }[row.model]
    return "; ".join([model, f"tested on {tested}", *(f"`{setting}`" for setting in row_overrides(row))])


def _cells(row: Table1Row, average: Mapping[str, Any]) -> list[str]:
    numbers = [cell(column, average, metric) for metric, column in EMBEDDING_COLUMNS.items()]
    paper = "-" if row.paper is None else ACC.number(row.paper / ACC.factor)
    sizes = [_num(average), millions(average["trainable"]["mean"]), str(average["num_seeds"])]
    return [row.title, numbers[0], paper, *numbers[1:], *sizes]


def _num(average: Mapping[str, Any]) -> str:
    """Embeddings; `200 of 300` where a student has fewer heads than there are talkers."""
    num, missing = (round(average.get(name, {"mean": 0})["mean"]) for name in ("num", "num_missing"))
    return f"{num} of {num + missing}" if missing else str(num)
