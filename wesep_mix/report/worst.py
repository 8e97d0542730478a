"""WORST.md: the mixtures that each extractor does worst in, with links to their audio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wesep_mix.evaluation.analysis import FOLDER, WORST, read_rows
from wesep_mix.evaluation.breakdown import PROPERTIES
from wesep_mix.evaluation.worst import MIXTURES, TARGETS
from wesep_mix.report.breakdown import TITLES
from wesep_mix.report.tables import SPEECH_COLUMNS, Table

SI_SDRI = SPEECH_COLUMNS["si_sdri"]
ABOUT = (
    "The mixtures with the lowest mean SI-SDRi over their talkers, the worst first. A talker's number is the SI-SDRi; "
    "`target` is the clean speech at its level in the mixture, `extracted` what the extractor made of it."
)


@dataclass(frozen=True)
class Worst:
    """Of one extractor.

    Attributes:
        name: of the extractor.
        rows: worst.csv.
        scores: rows of its scores.csv.
        properties: {mixture: {property: value}}; empty where they are not known.
    """

    name: str
    rows: Sequence[Mapping[str, Any]]
    scores: Sequence[Mapping[str, Any]]
    properties: Mapping[str, Mapping[str, str]]


def read_worst(mixtures: Path, name: str) -> list[dict[str, Any]]:
    """Rows of an extractor's worst.csv.

    Args:
        mixtures: folder of the experiment, `exp/<N>mix`.
        name: of the extractor.

    Returns:
        {mix, si_sdri} each.
    """
    return read_rows(mixtures / name / FOLDER / f"{WORST}.csv")


def worst_page(found: Sequence[Worst], title: str) -> str:
    """The text of WORST.md, which lies in `exp/<N>mix`.

    Args:
        found: of every extractor.
        title: of the experiment.

    Returns:
        Markdown.
    """
    blocks = [f"# Worst mixtures: {title}", ABOUT]
    for worst in found:
        blocks += [f"## {worst.name}", _table(worst).markdown()]
    return "\n\n".join(blocks) + "\n"


def _table(worst: Worst) -> Table:
    kinds = [kind for kind in PROPERTIES if any(kind in known for known in worst.properties.values())]
    header = ("mixture", SI_SDRI.title, *(TITLES[kind] for kind in kinds), "talkers")
    lines = []
    for row in worst.rows:
        known = worst.properties.get(row["mix"], {})
        link = _link(row["mix"], f"{worst.name}/{FOLDER}/{WORST}/{MIXTURES}/{row['mix']}.wav")
        cells = (SI_SDRI.cell(row, "si_sdri"), *(known.get(kind, "-") for kind in kinds), _talkers(worst, row))
        lines.append((link, *cells))
    return Table(header, lines)


def _talkers(worst: Worst, row: Mapping[str, Any]) -> str:
    told = []
    for score in worst.scores:
        if score["mix"] == row["mix"]:
            key = f"{score['mix']}-{score['speaker']}"
            target = _link("target", f"{worst.name}/{FOLDER}/{WORST}/{TARGETS}/{key}.wav")
            extracted = _link("extracted", f"{worst.name}/test/matched/wav/{key}.wav")
            told.append(f"{score['speaker']} {SI_SDRI.cell(score, 'si_sdri')} dB: {target}, {extracted}")
    return "<br>".join(told)


def _link(text: str, path: str) -> str:
    return f"[{text}]({quote(path)})"
