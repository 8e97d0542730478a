"""Tables and a plot of students on numbers of talkers that they were not trained on (evaluation.cardinalities)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot: no window, no display, whatever the backend

from wesep_mix.report.breakdown import in_order
from wesep_mix.report.plots import save_figure
from wesep_mix.report.tables import EMBEDDING_COLUMNS, Column, Table, rules

COLUMNS = {
    "coverage": Column(
        "Coverage",
        "%",
        100,
        1,
        "share of the talkers whom an active head stands for: it is assigned to them, and its cosine to the teacher's "
        "embedding of the clean source is above the student's threshold. This is the recall of the set; N heads cover "
        "at most N talkers of a mixture",
    ),
    "acc_all": EMBEDDING_COLUMNS["acc_all"],
    "f1": Column("F1", "%", 100, 1, "harmonic mean of Precision and Coverage"),
    "count": Column(
        "Count",
        "%",
        100,
        1,
        "share of the mixtures in which as many heads are active as there are talkers; students with presence alone",
        maybe=True,
    ),
    "precision": Column("Precision", "%", 100, 1, "share of the active heads that stand for a talker"),
    "duplicates": Column(
        "Duplicates", "%", 100, 1, "share of the active heads that are nearest to a talker whom another one stands for"
    ),
    "false": Column("False", "%", 100, 1, "share of the active heads that are neither"),
    "found": Column("Found", "%", 100, 1, "share of the talkers to whom an active head is assigned, however far"),
    "acc": Column(
        "Acc",
        "%",
        100,
        1,
        "share of the assigned heads that are in their speaker's cluster, as in the table of embeddings: of one "
        "clustering for each student and number of talkers",
    ),
    "acc_cov": Column("Acc of covered", "%", 100, 1, "the same share, of the heads that count for Coverage"),
    "cos": Column("Cos", "", 1, 3, "mean cosine of the assigned heads to their talker"),
}
PLOTTED = ("coverage", "acc_all", "f1", "count")
BY_OVERLAP = ("coverage", "acc_all", "f1")
BY_LOUDNESS = ("coverage", "cos")
INTERVALS = (
    "In brackets: 95 % intervals by bootstrap over mixtures (percentiles of 1000 draws), the same mixtures for all "
    "students in each draw. Threshold, clusters and models stay as they are: the intervals say nothing about other "
    "seeds or voices, and have no width where all mixtures give the same."
)
ACTIVE = (
    "All heads of a student without presence are active; of one with it those with a positive logit, at least one. "
    "Where talkers are more than heads, a head is assigned to the nearest of many, which flatters Precision, Acc and "
    "Cos: compare these within a column."
)
THRESHOLD = (
    "Threshold: the cosine at which, on the dev sets, as many assigned heads are refused to their own talker (EER) as "
    "are taken for another talker of the mixture. Each student has its own, and where heads come near to many talkers "
    "it is low: compare Coverage together with EER."
)
Measures = Mapping[str, Any]


def cardinality_sections(result: Mapping[str, Any]) -> list[str]:
    """The results as Markdown.

    Args:
        result: from evaluation.cardinalities.measure_cardinalities, also by way of JSON.

    Returns:
        Blocks, to be joined by empty lines.
    """
    students = result["students"]
    by_number = {name: student["talkers"] for name, student in students.items()}
    meanings = rules({metric: COLUMNS[metric] for metric in _there(by_number)})
    blocks = [
        "## Unseen numbers of talkers",
        student_table(students).markdown(),
        THRESHOLD,
        *(table.markdown() for table in number_tables(by_number)),
        INTERVALS,
        ACTIVE,
        meanings,
    ]
    if confusions := confusion_tables(students):
        blocks += [
            "### How many are counted",
            *(table.markdown() for table in confusions),
            "A line a number of talkers: share of its mixtures, in per cent, by the number of active heads.",
        ]
    if loudness := loudness_tables(by_number):
        blocks += [
            "### By loudness",
            *(table.markdown() for table in loudness),
            "Talkers of each mixture in the order of their loudness (LUFS). Cos: of those to whom a head is assigned.",
        ]
    by_overlap = {name: student["overlap"] for name, student in students.items()}
    if overlaps := overlap_tables(by_overlap):
        blocks += [
            "### By overlap",
            *(table.markdown() for table in overlaps),
            "Columns: what two talkers that follow each other share, as a fraction of the shorter one; the mean over "
            "the mixture.",
        ]
    return blocks


def student_table(students: Mapping[str, Measures]) -> Table:
    """What was measured: heads, presence and thresholds.

    Args:
        students: by name.

    Returns:
        A line a student.
    """
    eer = EMBEDDING_COLUMNS["eer"]
    lines = [
        (
            name,
            str(student["heads"]),
            "yes" if student["presence"] else "no",
            f"{student['tau']:.3f}",
            eer.number(student["eer"]),
            ", ".join(map(str, student["dev"])),
        )
        for name, student in students.items()
    ]
    return Table(("student", "heads", "presence", "threshold", eer.title, "talkers of the dev sets"), lines)


def number_tables(students: Mapping[str, Mapping[str, Measures]]) -> list[Table]:
    """A table a measure: a column a number of talkers, a line a student.

    Args:
        students: {name: {number: measures}}.

    Returns:
        The tables of the measures that some student has, the plotted ones first.
    """
    numbers = in_order(number for student in students.values() for number in student)
    tables = []
    for metric in _there(students):
        column = COLUMNS[metric]
        lines = [
            (name, *(_cell(column, student.get(number, {}).get(metric)) for number in numbers))
            for name, student in students.items()
            if any(metric in measures for measures in student.values())
        ]
        tables.append(Table((column.title, *map(_talkers, numbers)), lines))
    return [*tables, Table(("mixtures", *map(_talkers, numbers)), [("num", *_nums(students.values(), numbers))])]


def confusion_tables(students: Mapping[str, Measures]) -> list[Table]:
    """How many talkers are counted where there are how many, a table a student with presence.

    Args:
        students: by name.

    Returns:
        The tables, in per cent of the mixtures of a line.
    """
    return [
        Table(
            (f"{name} counts", *map(str, range(1, student["heads"] + 1))),
            [
                (_talkers(number), *(f"{100 * share:.1f}" for share in row))
                for number, row in _shares(student["counted"]).items()
            ],
        )
        for name, student in students.items()
        if student["counted"]
    ]


def loudness_tables(students: Mapping[str, Mapping[str, Measures]]) -> list[Table]:
    """Who is found, by loudness: a column a rank, a line a student and number of talkers.

    Args:
        students: {name: {number: measures}}.

    Returns:
        A table for Coverage, one for Cos.
    """
    rows = [
        (f"{name}, {_talkers(number)}", measures["by_loudness"])
        for name, student in students.items()
        for number, measures in student.items()
        if len(measures["by_loudness"]) > 1
    ]
    most = max((len(ranks) for _, ranks in rows), default=0)
    titles = ["loudest", *(f"rank {rank}" for rank in range(2, most + 1))]
    return [
        Table(
            (COLUMNS[metric].title, *titles),
            [
                (title, *(_cell(COLUMNS[metric], rank.get(metric)) for rank in [*ranks, *[{}] * (most - len(ranks))]))
                for title, ranks in rows
            ],
        )
        for metric in BY_LOUDNESS
        if rows
    ]


def overlap_tables(students: Mapping[str, Mapping[str, Mapping[str, Measures]]]) -> list[Table]:
    """A table a measure: a column a step of overlap, a line a student and number of talkers.

    Args:
        students: {name: {number: {step: measures}}}.

    Returns:
        The tables, and one of the numbers of mixtures; none where nobody has mixtures of two.
    """
    rows = {
        f"{name}, {_talkers(number)}": there for name, student in students.items() for number, there in student.items()
    }
    steps = in_order(step for there in rows.values() for step in there)
    numbers = in_order(number for student in students.values() for number in student)
    tables = [
        Table(
            (COLUMNS[metric].title, *steps),
            [
                (title, *(_cell(COLUMNS[metric], there.get(step, {}).get(metric)) for step in steps))
                for title, there in rows.items()
            ],
        )
        for metric in BY_OVERLAP
    ]
    nums = [
        (_talkers(number), *_nums([student.get(number, {}) for student in students.values()], steps))
        for number in numbers
    ]
    return [*tables, Table(("mixtures", *steps), nums)] if rows else []


def cardinality_plot(result: Mapping[str, Any], path: Path) -> None:
    """Write a PNG: a panel a measure with a line a student over the number of talkers, and what is counted below.

    Args:
        result: from evaluation.cardinalities.measure_cardinalities.
        path: of the PNG.
    """
    students = result["students"]
    by_number = {name: student["talkers"] for name, student in students.items()}
    lines = [partial(_lines, metric, by_number) for metric in PLOTTED if metric in _there(by_number)]
    confusions = [partial(_confusion, name, student) for name, student in students.items() if student["counted"]]
    rows = [row for row in (lines, confusions) if row]
    width = max(map(len, rows))
    figure = Figure(figsize=(3.6 * width, 3.5 * len(rows)))
    for panels, row in zip(figure.subplots(len(rows), width, squeeze=False), rows, strict=True):
        for panel, draw in zip_longest(panels, row):
            draw(panel) if draw else panel.set_axis_off()
    figure.axes[0].legend(fontsize="x-small")
    save_figure(figure, path)


def _lines(metric: str, students: Mapping[str, Mapping[str, Measures]], panel: Axes) -> None:
    """A line a student, set apart a little so that intervals do not cover each other."""
    column = COLUMNS[metric]
    for place, (name, student) in enumerate(students.items()):
        known = {int(number): one for number, measures in student.items() if (one := measures.get(metric))}
        values = column.factor * np.array([[one[key] for key in ("value", "low", "high")] for one in known.values()])
        middle, low, high = values.reshape(-1, 3).T
        shifted = np.array(list(known)) + 0.06 * (place - (len(students) - 1) / 2)
        errors = [(middle - low).clip(min=0), (high - middle).clip(min=0)]
        colour = f"C{place}"  # the same in every panel, also where a student before it has no line
        panel.errorbar(shifted, middle, errors, marker="o", markersize=3, capsize=2, color=colour, label=name)
    panel.set(title=column.title, xlabel="talkers", ylim=(-3, 103))
    panel.set_xticks(sorted({int(number) for student in students.values() for number in student}))
    panel.grid(axis="y", alpha=0.4)


def _confusion(name: str, student: Measures, panel: Axes) -> None:
    shares = _shares(student["counted"])
    table = 100 * np.array(list(shares.values()))
    panel.imshow(table, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (row, place), share in np.ndenumerate(table):
        colour = "white" if share > 60 else "black"
        panel.text(place, row, f"{share:.0f}", ha="center", va="center", fontsize="small", color=colour)
    panel.set_xticks(range(table.shape[1]), range(1, table.shape[1] + 1))
    panel.set_yticks(range(len(shares)), list(shares))
    panel.set(title=f"{name}: mixtures, %", xlabel="counted", ylabel="talkers")


def _shares(counted: Mapping[str, Sequence[int]]) -> dict[str, list[float]]:
    """By number of talkers the shares of mixtures that are counted as 1, 2, ...; none is counted as 0."""
    return {number: [count / sum(counted[number]) for count in counted[number][1:]] for number in in_order(counted)}


def _there(students: Mapping[str, Mapping[str, Measures]]) -> list[str]:
    """The measures that some student has, in the order of the columns."""
    known = {metric for student in students.values() for measures in student.values() for metric in measures}
    return [metric for metric in COLUMNS if metric in known]


def _talkers(number: str) -> str:
    return f"{number} talker{'' if number == '1' else 's'}"


def _nums(rows: Iterable[Mapping[str, Measures]], keys: Sequence[str]) -> list[str]:
    """Numbers of mixtures by key, which are the same for all students."""
    known = {key: measures["num"] for row in rows for key, measures in row.items()}
    return [str(known.get(key, 0)) for key in keys]


def _cell(column: Column, one: Measures | None) -> str:
    """`value [low, high]`; `-` where it could not be measured."""
    return f"{column.number(one['value'])} [{column.number(one['low'])}, {column.number(one['high'])}]" if one else "-"
