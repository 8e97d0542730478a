"""TABLE1.md and table1.json: mean and standard deviation of every row over seeds, the paper's Acc, statements."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wesep_mix.io.files import atomic_write, write_json
from wesep_mix.report.build import portable, tag_of
from wesep_mix.report.seeds import over_seeds
from wesep_mix.report.statements import Averages, Statement, statements
from wesep_mix.report.tables import EMBEDDING_COLUMNS, Table, millions
from wesep_mix.table1 import RowConfig, Table1Config, row_overrides

DIGITS = 6
RULES = (
    "Every number is the mean ± standard deviation (of the sample) over seeds of what the row has for one seed, on the "
    "test set as a whole. A seed draws first weights, training mixtures, their order and the starts of k-means; the "
    "test sets are the same for all. Acc: k-means with as many clusters as speakers (10 starts), best one-to-one "
    "assignment of clusters to speakers. Sep: mean cosine of same-speaker pairs minus that of different-speaker pairs. "
    "NMI, ARI: of the same clusters. Sil: silhouette of the true speakers, cosine distance. EER, minDCF: verification "
    "by cosine on a fixed list of pairs. Cos: mean cosine to the teacher's embedding of the clean source, to which a "
    "student trained on labels has no reason to be near. Count: mixtures whose number of talkers is right. num: "
    "embeddings; where talkers outnumber heads, of how many talkers: those without one are in no number. trainable: "
    "parameters that training changed. The paper's Acc (arXiv 2604.03219, Table 1) is of its own data and models, and "
    "Acc depends on the numbers of speakers and embeddings: compare order and shares, not height."
)


def write_table(
    exp: Path, corpus: str, table: Table1Config, found: Mapping[int, Mapping[str, Mapping[str, float]]],
    settings: Sequence[str], git: str,
) -> str:
    """Write `exp/TABLE1.md` and `exp/table1.json`; return the table and the statements as text.

    found: {seed: {row: metrics}} of all that is there; settings: the `--set` values of the run.
    """
    rows = over_seeds([found[seed] for seed in sorted(found) if found[seed]])
    rows = {name: rows[name] for name in table.rows if name in rows}  # in the order of the config
    told = statements(table, rows)
    shown = row_table(table.rows, rows)
    head = {"corpus": corpus, "seeds": [seed for seed in sorted(found) if found[seed]], "git": git}
    write_json(exp / "table1.json", rounded(head | {
        "rows": {name: described(table.rows[name]) | rows[name] for name in rows},
        "by_seed": {str(seed): dict(found[seed]) for seed in head["seeds"]},
        "left_out": [name for name in table.rows if name not in rows],
        "statements": [vars(statement) for statement in told],
    }))
    with atomic_write(exp / "TABLE1.md") as file:
        file.write(document(head, command(exp, corpus, settings), table.rows, shown, told))
    return "\n\n".join([shown.text(), *(["\n".join(each.text for each in told)] if told else [])])


def row_table(rows: Mapping[str, RowConfig], averages: Averages) -> Table:
    """A line a row that is there; the paper's Acc beside ours."""
    titles = [title for title, _, _ in EMBEDDING_COLUMNS.values()]
    header = ("row", titles[0], "paper", *titles[1:], "num", "trainable", "seeds")
    return Table(header, [_cells(rows[name], averages[name]) for name in averages])


def described(row: RowConfig) -> dict[str, Any]:
    """What a row is, for table1.json."""
    trained = row.num_trained if row.model == "student" else None
    return {"title": row.title, "model": row.model, "num_spk": row.num_spk, "trained_on": trained, "paper": row.paper}


def command(exp: Path, corpus: str, settings: Sequence[str]) -> str:
    tag = tag_of(exp, corpus)
    parts = [f"bash run.sh --corpus {corpus} --tables true", f"--tag {tag}" if tag else ""]
    return " ".join(filter(None, [*parts, *(f"--set {shlex.quote(portable(setting))}" for setting in settings)]))


def document(
    head: Mapping[str, Any], made_by: str, rows: Mapping[str, RowConfig], shown: Table, told: Sequence[Statement]
) -> str:
    """The whole of TABLE1.md."""
    seeds = ", ".join(map(str, head["seeds"])) or "none"
    there = [row[0] for row in shown.rows]
    left_out = [row.title for row in rows.values() if row.title not in there]
    origin = (f"Seeds {seeds}; git revision {head['git']}. Written by stage 8, like `table1.json` with the same "
              "numbers and those of each seed.")
    blocks = [f"# Table 1: {head['corpus']}", f"Made by\n\n```\n{made_by}\n```", origin, shown.markdown()]
    blocks += [f"Left out, because their data or results are not there: {', '.join(left_out)}."] if left_out else []
    blocks += ["\n".join(f"- {row.title}: {_settings(row)}" for row in rows.values() if row.title in there)]
    blocks += ["## Statements", "\n".join(f"- {each.text}" for each in told)] if told else []
    return "\n\n".join([*blocks, RULES]) + "\n"


def rounded(value: Any) -> Any:
    """Floats to `DIGITS` places, so that two runs of the same seeds give the same file."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def _cells(row: RowConfig, average: Mapping[str, Any]) -> list[str]:
    numbers = [_number(average, metric) for metric in EMBEDDING_COLUMNS]
    paper = "-" if row.paper is None else f"{row.paper:.1f}"
    counts = [_num(average), millions(average["trainable"]["mean"]), str(average["num_seeds"])]
    return [row.title, numbers[0], paper, *numbers[1:], *counts]


def _number(average: Mapping[str, Any], metric: str) -> str:
    """`mean ± std`; the mean alone where there is one seed, `-` where the row has no such metric."""
    if metric not in average:
        return "-"
    _, factor, digits = EMBEDDING_COLUMNS[metric]
    told = ("mean", "std") if average["num_seeds"] > 1 else ("mean",)
    return " ± ".join(f"{factor * average[metric][key]:.{digits}f}" for key in told)


def _num(average: Mapping[str, Any]) -> str:
    """Embeddings; `200 of 300` where a student has fewer heads than there are talkers."""
    num, missing = (round(average.get(name, {"mean": 0})["mean"]) for name in ("num", "num_missing"))
    return f"{num} of {num + missing}" if missing else str(num)


def _settings(row: RowConfig) -> str:
    """How the row is made, in the words of the config."""
    trained, tested = ("noisy single speech" if number == 1 else f"mixtures of {number}"
                       for number in (row.num_trained, row.num_spk))
    made = {"teacher": "the teacher", "kmeans": "no training, k-means over each mixture's frames",
            "student": f"a student trained on {trained}"}[row.model]
    given = [f"`{setting}`" for section in ("teacher", "student") for setting in row_overrides(row, section)]
    return "; ".join([made, f"tested on {tested}", *given])
