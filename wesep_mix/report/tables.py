"""Tables of results, as Markdown and as aligned text for a terminal, and what their columns mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wesep_mix.inference.controls import CONTROLS
from wesep_mix.metrics.extraction import EXTRACTED_DB
from wesep_mix.metrics.verification import P_TARGET
from wesep_mix.mixing.trials import MAX_TRIALS

Row = Mapping[str, float]


@dataclass(frozen=True)
class Table:
    """Column titles and rows of cells; the first column names the rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """As Markdown, names to the left, numbers to the right."""
        align = ["---"] + ["---:"] * (len(self.header) - 1)
        return "\n".join("| " + " | ".join(cells) + " |" for cells in (self.header, align, *self.rows))

    def text(self) -> str:
        """For a terminal: columns padded to their widest cell, names to the left, numbers to the right."""
        columns = list(zip(self.header, *self.rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        return "\n".join(_padded(cells, widths) for cells in (self.header, *self.rows))


@dataclass(frozen=True)
class Column:
    """How a metric is shown.

    Attributes:
        name: in the column's title.
        unit: behind the name; empty for none.
        factor: from the number to what is shown, such as 100 for per cent.
        digits: behind the decimal point.
        rule: what the metric is, for the reader of the table.
        maybe: not every kind of row has it.
        is_share: of things that are so or not, so that a standard deviation over them says nothing more.
    """

    name: str
    unit: str
    factor: float
    digits: int
    rule: str
    maybe: bool = False
    is_share: bool = False

    @property
    def title(self) -> str:
        """Name and unit."""
        return f"{self.name} {self.unit}".strip()

    def number(self, *values: float) -> str:
        """One number, or `mean ± std` for two."""
        return " ± ".join(f"{self.factor * value:.{self.digits}f}" for value in values)

    def cell(self, row: Row, metric: str) -> str:
        """The metric of a row.

        Args:
            row: {metric: number}.
            metric: the wanted one.

        Returns:
            The number; `-` for a row without the metric.
        """
        return self.number(row[metric]) if metric in row else "-"


EMBEDDING_COLUMNS = {
    "acc": Column(
        "Acc",
        "%",
        100,
        1,
        "share of the embeddings that k-means puts into their speaker's cluster. It forms as many clusters as there "
        "are speakers (the best of 100 starts); clusters are assigned to speakers one-to-one, so that as many "
        "embeddings as possible are right",
    ),
    "acc_all": Column(
        "Acc of all",
        "%",
        100,
        1,
        "of all talkers, the share whose embedding is in their speaker's cluster; a talker without a head counts as "
        "wrong",
        maybe=True,
    ),
    "sep": Column(
        "Sep", "", 1, 3, "mean cosine of pairs of the same speaker, minus that of pairs of different speakers"
    ),
    "nmi": Column("NMI", "", 1, 3, "normalised mutual information of these clusters and the speakers"),
    "sil": Column("Sil", "", 1, 3, "silhouette with the true speakers as clusters, by cosine distance"),
    "ari": Column("ARI", "", 1, 3, "adjusted Rand index of the k-means clusters and the speakers"),
    "eer": Column(
        "EER",
        "%",
        100,
        1,
        "equal error rate of verification by cosine, over a fixed list of trials (the file `trials` beside the "
        "embeddings): all pairs of embeddings but two of one mixture and, where speakers have several utterances, two "
        f"of one utterance; at most {MAX_TRIALS} pairs of the same speaker and {MAX_TRIALS} of different ones, drawn "
        "at random where there are more",
    ),
    "min_dcf": Column(
        "minDCF",
        "",
        1,
        3,
        "smallest detection cost of the same trials over all thresholds, with target probability "
        f"{P_TARGET} and both errors at cost 1; always giving the same answer costs 1",
        maybe=True,
    ),
    "cos": Column("Cos", "", 1, 3, "mean cosine to the teacher's embedding of the clean source", maybe=True),
    "count_acc": Column(
        "Count", "%", 100, 1, "share of the mixtures whose talkers the student counts right", maybe=True
    ),
}
SPEECH_COLUMNS = {
    "si_sdr": Column("SI-SDR", "dB", 1, 2, "scale-invariant signal-to-distortion ratio, the mean not removed"),
    "si_sdri": Column("SI-SDRi", "dB", 1, 2, "improvement of SI-SDR over the unprocessed mixture"),
    "sdr": Column(
        "SDR",
        "dB",
        1,
        2,
        "signal-to-distortion ratio of BSS-eval: what a filter of 512 taps can make of the source is no distortion",
        maybe=True,
    ),
    "sdri": Column("SDRi", "dB", 1, 2, "improvement of SDR over the unprocessed mixture", maybe=True),
    "extracted": Column(
        "Extracted",
        "%",
        100,
        1,
        f"extraction accuracy, the share of estimates with an SI-SDRi above {EXTRACTED_DB:g} dB",
        maybe=True,
        is_share=True,
    ),
    "wrong_talker": Column(
        "Wrong talker",
        "%",
        100,
        1,
        "wrong-talker rate, the share of estimates whose SI-SDR is higher against another talker of the mixture than "
        "against the wanted one; what extracts nobody has the share of talkers who are not the loudest",
        maybe=True,
        is_share=True,
    ),
    "pesq": Column("PESQ", "", 1, 2, "perceived quality, wideband, 1.0 to 4.64", maybe=True),
    "stoi": Column("STOI", "", 1, 3, "intelligibility, 0 to 1, not the extended form", maybe=True),
    "estoi": Column("ESTOI", "", 1, 3, "its extended form, made for interferers that come and go", maybe=True),
    "sig": Column(
        "SIG", "", 1, 2, "DNSMOS P.835 rating of the speech, 1 to 5, computed without a reference", maybe=True
    ),
    "bak": Column("BAK", "", 1, 2, "the same for the background", maybe=True),
    "ovrl": Column("OVRL", "", 1, 2, "the same for the whole", maybe=True),
    "p808": Column("P808", "", 1, 2, "DNSMOS P.808, one rating of the whole by an older network", maybe=True),
    "psig": Column(
        "pSIG", "", 1, 2, "personalised DNSMOS rating of the speech, where other talkers are background", maybe=True
    ),
    "pbak": Column("pBAK", "", 1, 2, "the same for the background", maybe=True),
    "povrl": Column("pOVRL", "", 1, 2, "the same for the whole", maybe=True),
    "voice_cos": Column(
        "Voice", "", 1, 3, "mean cosine of the teacher's embeddings of the estimate and of the clean source", maybe=True
    ),
}


TARGETS = {  # what means are of: in a sentence, and the meaning of `num`
    "all": ("all talkers of all test mixtures", "talkers of all mixtures"),
    "one": ("one target of each test mixture, drawn at random as in training", "mixtures, each with one target"),
}


def rules(columns: Mapping[str, Column], **others: str) -> str:
    """What the columns mean, as a Markdown list.

    Args:
        columns: of metrics.
        others: {title: meaning} of the columns that are no metrics.

    Returns:
        A line a column.
    """
    meanings = {column.name: column.rule for column in columns.values()} | others
    return "\n".join(f"- {name}: {rule}." for name, rule in meanings.items())


def embedding_table(rows: Mapping[str, Row]) -> Table:
    """Clustering and verification metrics, a line a kind of embedding; `-` for a metric that the row does not have."""
    columns = shown(EMBEDDING_COLUMNS, rows)
    header = ("embedding", *(column.title for column in columns.values()), "num", "trainable")
    return Table(header, [(name, *_embedding_cells(rows[name], columns)) for name in ordered_rows(rows)])


def extraction_table(rows: Mapping[str, Row]) -> Table:
    """Scores of extracted speech, mean ± standard deviation or share; `-` for a metric that the row does not have."""
    columns = shown(SPEECH_COLUMNS, rows)
    header = ("extraction", *(column.title for column in columns.values()), "num", "params")
    return Table(header, [(name, *_extraction_cells(rows[name], columns)) for name in ordered_rows(rows)])


def shown(columns: Mapping[str, Column], rows: Mapping[str, Row]) -> dict[str, Column]:
    """The columns that some row has.

    Args:
        columns: all, by metric.
        rows: {name: {metric: number}}.

    Returns:
        Those columns.
    """
    return {metric: column for metric, column in columns.items() if any(metric in row for row in rows.values())}


def ordered_rows(names: Mapping[str, Row]) -> list[str]:
    """Names of rows in the order of a table: references, results, controls; others by name."""
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
        column.cell(row, metric)
        if metric not in row or column.is_share
        else column.number(row[metric], row[f"{metric}_std"])
        for metric, column in columns.items()
    ]
    return [*means, str(int(row["num"])), millions(row["params"])]


def millions(count: float) -> str:
    """A number of parameters: `1.23 M`, `-` for none."""
    return f"{count / 1e6:.2f} M" if count else "-"


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers = cells
    return "  ".join([name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]).rstrip()
