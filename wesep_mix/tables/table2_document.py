"""TABLE2.md and TABLE4.md, with a .json beside each: the speech of every row over seeds, of one target a mixture and of
all talkers, beside that table of the paper; statements; what PESQ and STOI cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wesep_mix.report.cautions import FOREIGN, Kin, cautions
from wesep_mix.report.tables import SPEECH_COLUMNS, Table, millions, rules, shown
from wesep_mix.report.tables import TARGETS as OVER
from wesep_mix.tables import document
from wesep_mix.tables.document import TableContent, TableResults, cell
from wesep_mix.tables.statements import AHEAD, ahead_statement
from wesep_mix.tables.table2 import TARGETS, Paper, Table2Config, Table2Row, row_overrides, same_network

PARAMS = "all parameters of the extractor or separator, without the model that computes the embedding"
RULES = "\n\n".join(
    [
        "For one seed a row has the mean over {over}; {more}. A seed draws first weights, training mixtures and their "
        "order, also those of teacher and student.",
        "{rules}",
        "Which of a student's embeddings is whose: as `matching` says in conf/embeddings.yaml, by the best assignment "
        "(no two talkers of a mixture share one) or, as in the paper, the nearest one for each talker.",
        "The paper's numbers (arXiv 2604.03219, {name}) were measured with its own data and models. It prints other "
        "numbers of the same extractors in its Tables 2 and 4 and does not say why; that one is of one target a "
        "mixture and the other of all talkers is our reading.",
        AHEAD,
    ]
)


@dataclass(frozen=True)
class Printed:
    """A table of the paper: its name, what ours beside it is of, and more about that."""

    name: str
    of: str
    more: str


PRINTED: dict[Paper, Printed] = {
    "table2": Printed(
        "Table 2",
        "one target a mixture",
        "the targets, drawn by `seed` of conf/score.yaml, are the same for all rows and seeds. Separators give all "
        "talkers at once: `TABLE4.md`",
    ),
    "table4": Printed("Table 4", "all talkers of each mixture", "each talker counts once"),
}
CONDITIONS = {  # what an extractor is given in the test
    "none": "no embedding",
    "matched": "embeddings of {student}",
    "wrong": "embeddings of {student}, for each talker that of the next talker of the mixture",
    "random": "embeddings of {student}, for each talker that of a speaker of another mixture who is not in this one",
    "oracle": "embeddings of the clean sources, by the teacher of {student}",
    "enrolment": "embeddings of another clean utterance of each talker, by the teacher of {student}",
    "enrolment_noisy": "embeddings of the same other utterance in noise, by the teacher of {student}",
}


def write_tables(results: TableResults, table: Table2Config) -> str:
    """Write `exp/TABLE2.md` and `exp/TABLE4.md`, and the .json beside each.

    Args:
        results: of the rows, each {table: its numbers} (Table2Layout.measured).
        table: conf/table2.yaml.

    Returns:
        The tables and the statements as text.
    """
    return "\n\n".join(f"{_title(paper)}\n{_write(results, table, paper)}" for paper in PRINTED)


def _title(paper: Paper) -> str:
    return f"{PRINTED[paper].name}, {PRINTED[paper].of}"


def _write(results: TableResults, table: Table2Config, paper: Paper) -> str:
    found = {
        seed: {name: row[paper] for name, row in rows.items() if paper in row} for seed, rows in results.found.items()
    }
    outcomes = {
        name: {seed: each[paper] for seed, each in seeds.items() if paper in each}
        for name, seeds in results.outcomes.items()
    }
    results, column = replace(results, found=found), SPEECH_COLUMNS["si_sdri"]
    rows = {name: row for name, row in table.rows.items() if paper in row.tables}
    averages = results.averages(rows)
    ahead = [pair for pair in table.ahead if set(pair) <= set(rows)]
    over, num = OVER[TARGETS[paper]]
    return document.write(
        results,
        TableContent(
            title=_title(paper),
            name=paper,
            config="table2",
            stage=9,
            rows=rows,
            table=row_table(rows, averages, paper),
            facts={name: row_facts(row, paper) for name, row in rows.items()},
            notes={name: row_note(row) + _unscored(averages.get(name)) for name, row in rows.items()},
            statements=[ahead_statement(pair, rows, found, outcomes, ("si_sdri", column)) for pair in ahead],
            cautions=cautions(_means(averages), _kin(rows)),
            rules=RULES.format(
                over=over,
                more=PRINTED[paper].more,
                name=PRINTED[paper].name,
                rules=rules(shown(SPEECH_COLUMNS, averages), num=num, params=PARAMS),
            ),
        ),
    )


def _means(averages: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    return {
        name: {metric: average[metric]["mean"] for metric in SPEECH_COLUMNS if metric in average}
        for name, average in averages.items()
    }


def _kin(rows: Mapping[str, Table2Row]) -> Kin:
    """Each row's unprocessed mixtures, and for somebody else's embedding the row on the right one."""
    unprocessed = {row.num_spk: name for name, row in rows.items() if row.model == "mixture"}
    mixture = {
        name: unprocessed[row.num_spk]
        for name, row in rows.items()
        if row.model != "mixture" and row.num_spk in unprocessed
    }
    right = {
        name: other
        for name, row in rows.items()
        if row.embedding in FOREIGN
        for other in same_network(rows, name)
        if rows[other].embedding == "matched"
    }
    return Kin(mixture, right, {name: f"'{row.title}'" for name, row in rows.items()})


def row_table(rows: Mapping[str, Table2Row], averages: Mapping[str, Mapping[str, Any]], paper: Paper) -> Table:
    """The table: a line a row that has results, the paper's numbers beside ours.

    Args:
        rows: of the config.
        averages: of the rows over seeds.
        paper: which of the paper's tables.

    Returns:
        The table.
    """
    columns = shown(SPEECH_COLUMNS, averages)
    beside = {metric for metric in columns if any(metric in row.paper.get(paper, {}) for row in rows.values())}
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
                *([column.cell(rows[name].paper.get(paper, {}), metric)] if metric in beside else []),
            )
        ]
        sizes = [str(round(average["num"]["mean"])), millions(average["params"]["mean"]), str(average["num_seeds"])]
        lines.append([rows[name].title, *cells, *sizes])
    return Table(("row", *titles, "num", "params", "seeds"), lines)


def row_facts(row: Table2Row, paper: Paper) -> dict[str, Any]:
    """What a row is, for table2.json and table4.json."""
    return {
        "title": row.title,
        "model": row.model,
        "num_spk": row.num_spk,
        "config": row.config,
        "student": row.student,
        "embedding": row.embedding,
        "paper": dict(row.paper.get(paper, {})),
    }


def _unscored(average: Mapping[str, Any] | None) -> str:
    """How many utterances could not be scored, or not by some metric, where there are any."""
    num_bad, num_empty = (average[key]["mean"] if average and key in average else 0 for key in ("num_bad", "num_empty"))
    bad = f"; without {num_bad:g} utterances a seed, which could not be scored" if num_bad else ""
    empty = f"; {num_empty:g} scores a seed have no value, and their means are over the others" if num_empty else ""
    return bad + empty


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
