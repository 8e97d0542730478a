"""Stage 8's further analyses of a trained extractor or separator, into the folder `analysis` beside it.

Each is a table NAME.csv and what it says, NAME.json, which is written last: one that is there is not made again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, write_json
from wesep_mix.evaluation import interpolation, margins, separated, worst
from wesep_mix.evaluation.scoring import read_scored
from wesep_mix.evaluation.separated import Outputs
from wesep_mix.evaluation.settings import AnalysisConfig
from wesep_mix.inference.controls import model_of
from wesep_mix.inference.settings import Chunks
from wesep_mix.io.embeddings import MATCHED, clean_scp, read_embeddings
from wesep_mix.mixing.plan import PLANS, Plan, read_plans

FOLDER = "analysis"
INTERPOLATION, MARGINS, WORST, SEPARATED = "interpolation", "margins", "worst", "separated"
Found = tuple[Sequence[Mapping[str, Any]], Mapping[str, Any]]  # rows, and what they say


@dataclass(frozen=True)
class Extracted:
    """An extractor and the test set that it was tested on.

    Attributes:
        data: the test set's folder.
        embeddings: its folder of stage 4.
        extractor: folder of the trained extractor, with `test/matched`.
        chunks: how long mixtures are cut.
    """

    data: Path
    embeddings: Path
    extractor: Path
    chunks: Chunks


def analyse_extractor(
    extracted: Extracted, settings: AnalysisConfig, seed: int, out: Path, device: str = "cpu", nj: int = 1
) -> None:
    """Write interpolation, margins and worst, .csv and .json each, and the audio of the worst mixtures.

    Args:
        extracted: the extractor.
        settings: how much is asked for.
        seed: draws the mixtures to interpolate in.
        out: folder to write.
        device: `cpu` or `cuda`.
        nj: processes or jobs.
    """
    plans, scores = _read(extracted)
    works: dict[str, Callable[[], Found]] = {}
    if settings.interpolation:
        chosen = interpolation.drawn_mixtures(plans, settings.interpolation, seed)
        works[INTERPOLATION] = partial(_interpolation, extracted, chosen, device, nj)
    works[MARGINS] = partial(_margins, extracted, plans, scores)
    if settings.worst:
        works[WORST] = partial(_worst, extracted, plans, scores, settings.worst, out)
    for name, work in works.items():
        if not (out / f"{name}.json").is_file():
            _write(out / name, *work())


def analyse_separator(outputs: Outputs, data: Path, seed: int, out: Path, device: str = "cpu", nj: int = 1) -> None:
    """Write separated.csv and separated.json.

    Args:
        outputs: of the separator.
        data: the test set's folder.
        seed: of k-means.
        out: folder to write.
        device: `cpu` or `cuda`.
        nj: processes or jobs.
    """
    _write(out / SEPARATED, *separated.separated_rows(outputs, read_plans(data / PLANS), seed, device, nj))


def _read(extracted: Extracted) -> tuple[list[Plan], list[dict[str, Any]]]:
    scores = read_scored(extracted.extractor / "test" / "matched" / "scores", "all")[0]
    return read_plans(extracted.data / PLANS), scores


def _interpolation(extracted: Extracted, plans: Sequence[Plan], device: str, nj: int) -> Found:
    model, matched = model_of(extracted.extractor, "matched"), read_embeddings(extracted.embeddings / MATCHED)
    rows = interpolation.interpolate(model, plans, matched, extracted.chunks, device, nj)
    return rows, interpolation.summarise_curves(rows, plans)


def _margins(extracted: Extracted, plans: Sequence[Plan], scores: Sequence[Mapping[str, Any]]) -> Found:
    folder = extracted.embeddings
    tables = [read_embeddings(path) for path in (folder / MATCHED, folder / "student.scp", clean_scp(folder))]
    rows = margins.margin_rows(plans, *tables, scores)
    return rows, margins.summarise_margins(rows, plans)


def _worst(
    extracted: Extracted, plans: Sequence[Plan], scores: Sequence[Mapping[str, Any]], num: int, out: Path
) -> Found:
    rows = worst.worst_rows(scores, num)
    chosen = {row["mix"] for row in rows}
    worst.write_worst_wavs([plan for plan in plans if plan.id in chosen], out / WORST)
    clean = read_embeddings(extracted.embeddings / "teacher.scp")
    return rows, worst.summarise_worst(rows, scores, plans, clean)


def _write(stem: Path, rows: Sequence[Mapping[str, Any]], says: Mapping[str, Any]) -> None:
    with atomic_write(stem.with_suffix(".csv")) as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["mix"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_json(stem.with_suffix(".json"), says)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of an analysis.

    Args:
        path: its CSV file.

    Returns:
        {column: number, or text where it is none} of each.

    Raises:
        UserError: it is no table.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [{name: _number(name, cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, csv.Error) as err:
        raise UserError(f"{path}: not a table of stage 8 ({err}); redo it with --stage 8 --force true") from err


NAMES = ("mix", "speaker", "speaker_a", "speaker_b")


def _number(name: str, cell: str) -> str | float:
    return cell if name in NAMES or cell == SEPARATED else float(cell)
