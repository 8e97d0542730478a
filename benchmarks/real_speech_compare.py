"""Runs of real_speech.py side by side: several models on the same mixtures, each beside the first, as tables.

    python benchmarks/real_speech_compare.py NAME=DIR NAME=DIR ... --rows predicted clean

DIR is what a run wrote with --out. A table for each row, a column for each condition: SI-SDRi in dB, and of all but the
first model what it is more than the first one's, with the 95 % interval over draws of the talkers. A row is one way to
say whom to extract, so what differs is the model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from real_speech import AVERAGES, outcomes

from wesep_mix.base.errors import UserError
from wesep_mix.base.installed import shown
from wesep_mix.base.stage import guarded
from wesep_mix.evaluation.outcomes import compare_rows
from wesep_mix.report.tables import Table

METRIC = "si_sdri"
DIFFERENCE = (
    "In brackets how much more that is than the first model's, with the 95 % interval over the same draws: above 0 "
    "where it holds for other talkers too."
)


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("runs", nargs="+", metavar="NAME=DIR", help="what is compared, with the first one first")
    options.add_argument("--rows", nargs="+", default=["predicted"], help="of each run [predicted]")
    args = options.parse_args(argv)
    return guarded(lambda: print(document(args.runs, args.rows)), "benchmark")


def document(given: Sequence[str], rows: Sequence[str]) -> str:
    """All tables with what is to be known of them.

    Args:
        given: NAME=DIR of each run.
        rows: which rows.

    Returns:
        Markdown.

    Raises:
        UserError: a run is not there, lacks a row, or has other mixtures than the first.
    """
    runs = {name: read_run(name, folder) for name, _, folder in (one.partition("=") for one in given)}
    first = next(iter(runs.values()))
    for name, run in runs.items():
        if talkers_of(run) != talkers_of(first):
            raise UserError(
                f"{name}: wanted the mixtures of {next(iter(runs))}, found others; give both the same options"
            )
    parts = []
    for row in rows:
        cells = [(name, *_cells(run, None if run is first else first, row)) for name, run in runs.items()]
        parts += [f"## {row}", Table(("model", *(one["title"] for one in first["conditions"])), cells).markdown()]
    about = [
        f"- {name}: `{run['command']}`, seed {run['seed']}, revision {run['revision']}" for name, run in runs.items()
    ]
    about += [f"- {shown(first['versions'])}", f"- {AVERAGES}.", f"- {DIFFERENCE}"]
    return "\n\n".join([*parts, "\n".join(about)])


def read_run(name: str, folder: str) -> dict[str, Any]:
    """What a run of real_speech.py wrote. Raises: UserError where it is not there or not done."""
    path = Path(folder, "real_speech.json")
    if not path.is_file():
        raise UserError(f"{name}: {path}: no such file; wanted NAME=DIR, DIR as real_speech.py --out wrote it")
    return json.loads(path.read_text(encoding="utf-8"))


def talkers_of(run: Mapping[str, Any]) -> dict[str, dict[str, set[str]]]:
    """Whom the mixtures of a run have: {condition: {mixture: speakers}}."""
    found: dict[str, dict[str, set[str]]] = {}
    for condition in run["conditions"]:
        own = found.setdefault(condition["title"], {})
        for record in condition["talkers"]:
            own.setdefault(record["mix"], set()).add(record["speaker"])
    return found


def _cells(run: Mapping[str, Any], first: Mapping[str, Any] | None, row: str) -> list[str]:
    speakers, cells = talkers_of(run), []
    for place, condition in enumerate(run["conditions"]):
        own = _row(condition, row)
        told = {mix: sorted(names) for mix, names in speakers[condition["title"]].items()}
        found = outcomes(told, own, METRIC)
        text = f"{sum(found.over.values()) / sum(found.under.values()):.2f}"
        if first is not None:
            other = outcomes(told, _row(first["conditions"][place], row), METRIC)
            ahead = compare_rows([found], [other])
            ends = ahead and [f"{ahead.difference[end]:+.2f}" for end in ("value", "low", "high")]
            text += f" ({ends[0]}, {ends[1]} to {ends[2]})" if ends else ""
        cells.append(text)
    return cells


def _row(condition: Mapping[str, Any], row: str) -> list[Mapping[str, Any]]:
    found = [record for record in condition["talkers"] if record["row"] == row]
    if not found:
        raise UserError(f"--rows {row}: no such row in {condition['title']}")
    return found


if __name__ == "__main__":
    sys.exit(main())
