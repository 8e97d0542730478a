"""What `run.sh --status true` prints: how each folder of the stages stands, and the jobs of a cluster.

It reads the calls of the entry points that run.sh would make: for each the number of its words, then the words, all
ended by NUL. Nothing is run or written. A stage that was killed, or whose machine died, counts as stopped.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from wesep_mix.base.jobs import NUMBER, array_of, folder_of_jobs, log_of
from wesep_mix.base.stage import Part, guarded

FAILED = "failed"
ENDED = re.compile(r"^# .*(?:code|status) (\d+)\b", re.MULTILINE)  # in logs of these wrappers and Kaldi's
COLUMNS = ("stage", "what", "state", "folder")
MANY = 6  # folders of one call from which on those that are done or not begun are counted, not listed


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.parse_args(argv)
    return guarded(lambda: _print(sys.stdin.read()), "status")


def _print(calls: str) -> None:
    rows, told = [], []
    for entry, argv in _calls(calls.split("\0")[:-1]):
        parts = entry.parts(argv)
        standings = [_standing(part) for part in parts]
        rows += _rows(parts, standings)
        told += [_failure(part, what) for part, what in zip(parts, standings, strict=True) if what.startswith(FAILED)]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, *rows):
        print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())
    print(*told, *_jobs(folder_of_jobs()), sep="\n")


def _calls(words: Sequence[str]) -> Iterator[tuple[ModuleType, list[str]]]:
    """The entry points that are called and make folders of stages, each with its options."""
    place = 0
    while place < len(words):
        first, place = place + 1, place + 1 + int(words[place])
        python, option, module, *argv = [*words[first:place], "", "", ""][: max(3, place - first)]
        if (python, option) == ("python", "-m") and hasattr(entry := importlib.import_module(module), "parts"):
            yield entry, argv


def _standing(part: Part) -> str:
    """How a folder stands; of a training that is a job, also whether that was submitted, or failed without a word."""
    standing, log = part.standing(), log_of(part)
    if standing not in ("not begun", "stopped"):
        return standing
    if array_of(log).is_file():
        return "submitted"
    ended = ENDED.findall(log.read_text(encoding="utf-8", errors="replace")[-200:]) if log.is_file() else []
    return f"{FAILED}: its job ended with status {ended[-1]}" if ended and int(ended[-1]) else standing


def _rows(parts: Sequence[Part], standings: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A row for each folder; where a call makes many, those that are done or not begun are counted."""
    words = [standing.partition(":")[0] for standing in standings]
    quiet = ("done", "not begun") if len(parts) >= MANY else ()
    for word in quiet:
        if count := words.count(word):
            yield str(parts[0].number), f"{count} folder{'s' * (count > 1)}", word, ""
    for part, word in zip(parts, words, strict=True):
        if word not in quiet:
            yield str(part.number), part.title, word, str(part.out)


def _failure(part: Part, standing: str) -> str:
    log = log_of(part)
    return f"\nstage {part.number} ({part.title}) {standing}" + (f"\nlog: {log}" if log.is_file() else "")


def _jobs(folder: Path) -> Iterator[str]:
    """The arrays that tools/slurm.py waits for, with their logs."""
    for array in sorted(folder.glob("**/q/*/array")):
        if not (number := _text(array)):  # its wrapper has just ended
            continue
        statuses = [_text(path) for path in array.parent.glob("status.*") if path.suffix != ".new"]
        failed = sum(status != "0" for status in statuses)
        log = array.parents[2] / f"{array.parent.name.replace(NUMBER, '*')}.log"
        yield f"job {number}: {len(statuses)} ended{f', {failed} failed' * bool(failed)}; log: {log}"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
