"""Official LibriMix lists: `libri2mix_train-clean-360.csv` says which utterances are mixed, and how loud.

Columns: mixture_ID, source_K_path, source_K_gain for each talker K, noise_path, noise_gain; paths are relative to
LibriSpeech and WHAM! (LibriMix, arXiv 2005.11262). A list that a spreadsheet has written again, with a mark of UTF-8
before it, blanks around its values, or semicolons or tabs between them, is read like the original.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wesep_mix.errors import UserError


@dataclass(frozen=True, slots=True)
class Row:
    """A mixture of a list. `where` names file and line; utterances are called by their files' names."""

    where: str
    id: str
    utts: tuple[str, ...]
    gains: tuple[float, ...]
    noise_path: str


def read_lists(folder: str | Path, num_spk: int, subsets: Sequence[str]) -> list[Row]:
    """The rows of the lists of some subsets of LibriSpeech, in their order.

    folder: LibriMix's `metadata`, its checkout, or where the lists themselves are.
    Raises: UserError naming what is missing, or file and line of what is damaged.
    """
    return [row for subset in subsets for row in _read(_find(Path(folder).expanduser(), num_spk, subset), num_spk)]


def check_lists(folder: str | Path, num_spk: int, subsets: Sequence[str]) -> None:
    """Raises: UserError naming the first list that is not there; none is read."""
    for subset in subsets:
        _find(Path(folder).expanduser(), num_spk, subset)


def _find(folder: Path, num_spk: int, subset: str) -> Path:
    name, inner = f"libri{num_spk}mix_{subset}.csv", f"Libri{num_spk}Mix"
    places = [folder / part / name for part in ("", inner, "metadata", f"metadata/{inner}")]
    for place in places:
        if place.is_file():
            return place
    hint = "" if num_spk in (2, 3) else "; LibriMix has lists for 2 and 3 talkers, metadata_dir \"\" draws by its rules"
    raise UserError(f"{folder}: wanted LibriMix's {inner}/{name}, found no such file there{hint}")


def _read(path: Path, num_spk: int) -> list[Row]:
    columns = ["mixture_ID", *(f"source_{k + 1}_{what}" for k in range(num_spk) for what in ("path", "gain"))]
    rows: dict[str, Row] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=_delimiter(file.readline()), skipinitialspace=True, strict=True)
            file.seek(0)
            places = _places(next(reader, []), [*columns, "noise_path"], path)
            for fields in filter(None, reader):
                row = _row(fields, places, f"{path}, line {reader.line_num}")
                if rows.setdefault(row.id, row) is not row:
                    raise UserError(f"{row.where}: mixture {row.id} is there twice; take the list from LibriMix again")
    except (csv.Error, UnicodeDecodeError) as err:
        raise UserError(f"{path}, line {len(rows) + 2} or later: not a CSV file ({err})") from err
    if not rows:
        raise UserError(f"{path}: wanted a line for each mixture, found none; take the list from LibriMix again")
    return list(rows.values())


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _places(header: Sequence[str], columns: Sequence[str], path: Path) -> list[int]:
    """Where the columns are. The number of all columns comes last."""
    header = [name.strip() for name in header]
    missing = [column for column in columns if column not in header]
    if missing:
        found = ", ".join(header) or "an empty file"
        hint = "" if len(header) != 1 else "; separate columns by commas"
        raise UserError(f"{path}, line 1: wanted the column {missing[0]}, found {found}{hint}")
    return [*map(header.index, columns), len(header)]


def _row(fields: Sequence[str], places: Sequence[int], where: str) -> Row:
    *places, num_columns = places
    if len(fields) != num_columns:
        raise UserError(f"{where}: wanted {num_columns} values, found {len(fields)}; take the list from LibriMix again")
    name, *sources, noise = [fields[place].strip() for place in places]
    if not all((name, noise, *sources)):
        raise UserError(f"{where}: a value is empty; take the list from LibriMix again")
    utts = tuple(path.rsplit("/", 1)[-1].rsplit(".", 1)[0] for path in sources[::2])
    return Row(where, name, utts, tuple(_gain(text, where) for text in sources[1::2]), noise)


def _gain(text: str, where: str) -> float:
    try:
        gain = float(text)
    except ValueError:
        gain = math.nan
    if not 0 < gain < math.inf:
        raise UserError(f"{where}: wanted a positive gain, found {text!r}; take the list from LibriMix again")
    return gain
