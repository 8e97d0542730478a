"""The two tables of results, as Markdown and as aligned text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Row = Mapping[str, float]


@dataclass(frozen=True)
class Table:
    """Column titles and rows of cells; the first column is the rows' names."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        align = ["---"] + ["---:"] * (len(self.header) - 1)
        return "\n".join("| " + " | ".join(cells) + " |" for cells in (self.header, align, *self.rows))

    def text(self) -> str:
        """Columns padded to their widest cell, names to the left, numbers to the right."""
        columns = list(zip(self.header, *self.rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        return "\n".join(_padded(cells, widths) for cells in (self.header, *self.rows))


EMBEDDING_COLUMNS = {  # metric: title, factor, digits; the last three where any row has them
    "acc": ("Acc %", 100, 1), "sep": ("Sep", 1, 3), "nmi": ("NMI", 1, 3), "sil": ("Sil", 1, 3), "ari": ("ARI", 1, 3),
    "eer": ("EER %", 100, 1), "min_dcf": ("minDCF", 1, 3), "cos": ("Cos", 1, 3), "count_acc": ("Count %", 100, 1),
}


def embedding_table(rows: Mapping[str, Row]) -> Table:
    """Clustering and verification metrics, one row a kind of embedding; `-` where a row has not the metric."""
    metrics = [metric for metric in EMBEDDING_COLUMNS if any(metric in row for row in rows.values())]
    header = ("embedding", *(EMBEDDING_COLUMNS[metric][0] for metric in metrics), "num", "trainable")
    return Table(header, [(name, *_embedding_cells(rows[name], metrics)) for name in in_order(rows)])


def extraction_table(rows: Mapping[str, Row]) -> Table:
    """Scores of extracted speech, mean ± standard deviation."""
    header = ("extraction", "SI-SDR dB", "SI-SDRi dB", "PESQ", "STOI", "num", "params")
    return Table(header, [(name, *_extraction_cells(rows[name])) for name in in_order(rows)])


def in_order(names: Mapping[str, Row]) -> list[str]:
    """Rows from reference to result to controls, whatever order they were found in; unknown ones by name."""
    known = ("teacher", "teacher/clean", "kmeans", "kmeans/teacher", "student", "mixture")
    controls = ("", "none", "wrong", "random", "oracle")

    def place(name: str) -> tuple:
        if name in known:
            return (known.index(name), "", 0, "")
        model, _, control = name.partition("/")
        return (len(known), model, controls.index(control) if control in controls else len(controls), control)

    return sorted(names, key=place)


def _embedding_cells(row: Row, metrics: Sequence[str]) -> list[str]:
    numbers = []
    for metric in metrics:
        _, factor, digits = EMBEDDING_COLUMNS[metric]
        numbers.append(f"{factor * row[metric]:.{digits}f}" if metric in row else "-")
    return [*numbers, str(int(row["num"])), millions(row["trainable"])]


def _extraction_cells(row: Row) -> list[str]:
    digits = {"si_sdr": 2, "si_sdri": 2, "pesq": 2, "stoi": 3}
    means = [f"{row[name]:.{places}f} ± {row[name + '_std']:.{places}f}" for name, places in digits.items()]
    return [*means, str(int(row["num"])), millions(row["params"])]


def millions(count: float) -> str:
    """A number of parameters: `1.23 M`, `-` for none."""
    return f"{count / 1e6:.2f} M" if count else "-"


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers = cells
    return "  ".join([name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]).rstrip()
