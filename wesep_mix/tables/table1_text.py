"""TABLE1.md and table1.json: the embeddings of every row over seeds, beside the paper's Acc, and statements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wesep_mix.evaluation.breakdown import CONDITIONS
from wesep_mix.report.breakdown import TITLES, in_steps
from wesep_mix.report.tables import EMBEDDING_COLUMNS, Table, millions, rules
from wesep_mix.tables import document
from wesep_mix.tables.document import Run, TableContent, cell
from wesep_mix.tables.statements import ACC, ahead, counts, share
from wesep_mix.tables.table1 import Table1Config, Table1Row, row_overrides

BY_CONDITION = ("acc", "count_acc")


RULES = (
    f"A seed draws first weights, training mixtures, their order and the starts of k-means. {rules(EMBEDDING_COLUMNS)} "
    "A student trained on labels has no reason to be near the teacher's embedding. Which of a student's embeddings is "
    "whose: by cosine to the teacher's of the clean sources, as `matching` says in conf/embeddings.yaml, among all "
    "heads, also those that say that nobody speaks through them. num: embeddings; where talkers outnumber heads, of "
    "how many talkers: those without one are in no number. trainable: parameters that training changed. By condition: "
    "of the one clustering of all embeddings the share of those of such mixtures that are in their speaker's cluster; "
    "sexes of all talkers, SNR of the noise, mean overlap. The paper's Acc (arXiv 2604.03219, Table 1) is of its own "
    "data and models, and Acc depends on the numbers of speakers and embeddings: compare order and shares, not height."
)


def write_table(run: Run, table: Table1Config) -> str:
    """Write `exp/TABLE1.md` and `exp/table1.json`; return the table and the statements as text."""
    averages = run.averages(table.rows)
    told = [share(each, table.rows, run.found) for each in table.shares]
    told += [ahead(pair, table.rows, run.found, "acc", ACC) for pair in table.ahead]
    told += [counts(table.counts, table.rows, run.found)] if table.counts else []
    return document.write(
        run,
        TableContent(
            "Table 1",
            "table1",
            8,
            table.rows,
            row_table(table.rows, averages),
            {name: described(row) for name, row in table.rows.items()},
            {name: made(row) for name, row in table.rows.items()},
            told,
            RULES,
            condition_tables(table.rows, averages),
        ),
    )


def row_table(rows: Mapping[str, Table1Row], averages: Mapping[str, Mapping[str, Any]]) -> Table:
    """A line a row that is there; the paper's Acc beside ours."""
    titles = [column.title for column in EMBEDDING_COLUMNS.values()]
    header = ("row", titles[0], "paper", *titles[1:], "num", "trainable", "seeds")
    return Table(header, [_cells(rows[name], averages[name]) for name in averages])


def condition_tables(rows: Mapping[str, Table1Row], averages: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """One table a number of talkers, of the rows that were tested on mixtures: a column a value of a condition."""
    tables = []
    for num_spk in sorted({rows[name].num_spk for name in averages}):
        there = [name for name in averages if rows[name].num_spk == num_spk]
        keys = [key.split("/") for name in there for key in averages[name] if "/" in key]
        places = [
            (condition, value)
            for condition in CONDITIONS
            for value in in_steps(value for other, value, _ in keys if other == condition)
        ]
        lines = [
            (
                f"{rows[name].title}: {EMBEDDING_COLUMNS[measure].title}",
                *(
                    cell(EMBEDDING_COLUMNS[measure], averages[name], f"{condition}/{value}/{measure}")
                    for condition, value in places
                ),
            )
            for name in there
            for measure in BY_CONDITION
            if any(key.endswith(f"/{measure}") for key in averages[name])
        ]
        titles = [f"{TITLES[condition]} {value}" for condition, value in places]
        tables += [Table(("row", *titles), lines)] if lines else []
    return tables


def described(row: Table1Row) -> dict[str, Any]:
    """What a row is, for table1.json."""
    trained = row.num_trained if row.model == "student" else None
    return {"title": row.title, "model": row.model, "num_spk": row.num_spk, "trained_on": trained, "paper": row.paper}


def made(row: Table1Row) -> str:
    """How the row is made, in the words of the config."""
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
    counted = [_num(average), millions(average["trainable"]["mean"]), str(average["num_seeds"])]
    return [row.title, numbers[0], paper, *numbers[1:], *counted]


def _num(average: Mapping[str, Any]) -> str:
    """Embeddings; `200 of 300` where a student has fewer heads than there are talkers."""
    num, missing = (round(average.get(name, {"mean": 0})["mean"]) for name in ("num", "num_missing"))
    return f"{num} of {num + missing}" if missing else str(num)
