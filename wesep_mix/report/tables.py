"""Tables of results, as Markdown and as aligned text for a terminal, and what their columns mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wesep_mix.inference.controls import CONTROLS
from wesep_mix.metrics.verification import P_TARGET
from wesep_mix.mixing.trials import MAX_TRIALS

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


@dataclass(frozen=True)
class Column:
    """A metric as it is shown: `factor` times the number to `digits` places, in `unit`; rule: what it is.

    maybe: not every kind of row has it.
    """

    name: str
    unit: str
    factor: float
    digits: int
    rule: str
    maybe: bool = False

    @property
    def title(self) -> str:
        return f"{self.name} {self.unit}".strip()

    def number(self, *values: float) -> str:
        """One number, or `mean ± std`."""
        return " ± ".join(f"{self.factor * value:.{self.digits}f}" for value in values)

    def cell(self, row: Row, metric: str) -> str:
        """`-` where the row has not the metric."""
        return self.number(row[metric]) if metric in row else "-"


EMBEDDING_COLUMNS = {
    "acc": Column(
        "Acc",
        "%",
        100,
        1,
        "k-means with as many clusters as speakers (100 starts), best one-to-one assignment of clusters to speakers",
    ),
    "sep": Column("Sep", "", 1, 3, "mean cosine of same-speaker pairs minus that of different-speaker pairs"),
    "nmi": Column("NMI", "", 1, 3, "normalised mutual information of the same clusters and the speakers"),
    "sil": Column("Sil", "", 1, 3, "silhouette of the true speakers, cosine distance"),
    "ari": Column("ARI", "", 1, 3, "adjusted Rand index of the same clusters"),
    "eer": Column(
        "EER",
        "%",
        100,
        1,
        "verification by cosine over a fixed list of trials, `trials` beside the embeddings: all pairs but "
        "those inside one mixture or, where speakers have several utterances, of one source utterance; at "
        f"most {MAX_TRIALS} of the same speaker and {MAX_TRIALS} of different ones, drawn where there are "
        "more",
    ),
    "min_dcf": Column(
        "minDCF",
        "",
        1,
        3,
        "over the same trials the smallest detection cost over all thresholds, target probability "
        f"{P_TARGET}, misses and false alarms at cost 1, 1 for a system that decides nothing",
        maybe=True,
    ),
    "cos": Column("Cos", "", 1, 3, "mean cosine to the teacher's embedding of the clean source", maybe=True),
    "count_acc": Column("Count", "%", 100, 1, "mixtures whose number of talkers the student has right", maybe=True),
}
SPEECH_COLUMNS = {
    "si_sdr": Column("SI-SDR", "dB", 1, 2, "without mean removal"),
    "si_sdri": Column("SI-SDRi", "dB", 1, 2, "SI-SDR less that of the mixture"),
    "pesq": Column("PESQ", "", 1, 2, "wideband", maybe=True),
    "stoi": Column("STOI", "", 1, 3, "not extended", maybe=True),
    "sig": Column("SIG", "", 1, 2, "DNSMOS P.835 of the speech, 1 to 5, without a reference", maybe=True),
    "bak": Column("BAK", "", 1, 2, "the same of the background", maybe=True),
    "ovrl": Column("OVRL", "", 1, 2, "the same of the whole", maybe=True),
}


def rules(columns: Mapping[str, Column]) -> str:
    """A sentence a column."""
    return " ".join(f"{column.name}: {column.rule}." for column in columns.values())


def embedding_table(rows: Mapping[str, Row]) -> Table:
    """Clustering and verification metrics, one row a kind of embedding; `-` where a row has not the metric."""
    columns = shown(EMBEDDING_COLUMNS, rows)
    header = ("embedding", *(column.title for column in columns.values()), "num", "trainable")
    return Table(header, [(name, *_embedding_cells(rows[name], columns)) for name in ordered_rows(rows)])


def extraction_table(rows: Mapping[str, Row]) -> Table:
    """Scores of extracted speech, mean ± standard deviation; `-` where a row has not the metric."""
    columns = shown(SPEECH_COLUMNS, rows)
    header = ("extraction", *(column.title for column in columns.values()), "num", "params")
    return Table(header, [(name, *_extraction_cells(rows[name], columns)) for name in ordered_rows(rows)])


def shown(columns: Mapping[str, Column], rows: Mapping[str, Row]) -> dict[str, Column]:
    """The columns that some row has."""
    return {metric: column for metric, column in columns.items() if any(metric in row for row in rows.values())}


def ordered_rows(names: Mapping[str, Row]) -> list[str]:
    """Rows from reference to result to controls, whatever order they were found in; unknown ones by name."""
    known = ("teacher", "teacher/clean", "kmeans", "kmeans/teacher", "student", "mixture")
    controls = ("", *CONTROLS)

    def place(name: str) -> tuple:
        if name in known:
            return (known.index(name), "", 0, "")
        model, _, control = name.partition("/")
        return (len(known), model, controls.index(control) if control in controls else len(controls), control)

    return sorted(names, key=place)


def _embedding_cells(row: Row, columns: Mapping[str, Column]) -> list[str]:
    numbers = (column.cell(row, metric) for metric, column in columns.items())
    return [*numbers, str(int(row["num"])), millions(row["trainable"])]


def _extraction_cells(row: Row, columns: Mapping[str, Column]) -> list[str]:
    means = [
        column.number(row[metric], row[f"{metric}_std"]) if metric in row else "-" for metric, column in columns.items()
    ]
    return [*means, str(int(row["num"])), millions(row["params"])]


def millions(count: float) -> str:
    """A number of parameters: `1.23 M`, `-` for none."""
    return f"{count / 1e6:.2f} M" if count else "-"


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers = cells
    return "  ".join([name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]).rstrip()
