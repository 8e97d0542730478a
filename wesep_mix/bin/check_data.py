"""Check a prepared folder: files, lists and plans are as they say, and plans render; then say what it holds.

DIR is data/CORPUS, data/CORPUS/Nmix, one set's folder, or an exported LibriMix tree. The exit status is 0 if nothing is
wrong; otherwise it is 1, and every problem is named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from wesep_mix.base.stage import guarded
from wesep_mix.bin.options import boolean
from wesep_mix.report.data_summary import FolderContent, summary_text
from wesep_mix.validation.check import Checked, check_folder
from wesep_mix.validation.problems import listing

PICTURE = "check_data.png"


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("folder", type=Path, metavar="DIR", help="what to check")
    options.add_argument("--nj", type=int, default=1, help="parallel processes; never changes the result")
    options.add_argument(
        "--quick",
        type=boolean,
        default=False,
        metavar="true|false",
        help="true: read the headers of audio files only, and render nothing",
    )
    options.add_argument("--show", type=int, default=20, help="problems of a kind to print, 0: all")
    options.add_argument("--out", type=Path, help=f"picture of the summary to write [DIR/{PICTURE}]")
    args = options.parse_args(argv)
    return guarded(lambda: _check(args), "check_data")


def _check(args) -> int:
    checked = check_folder(args.folder, args.nj, args.quick)
    contents = [FolderContent(each.group, each.name, each.speech, each.noises, each.plans) for each in checked.sets]
    print(summary_text(contents, checked.lengths), flush=True)
    for line in _offset_notes(contents):
        print(line, flush=True)
    _draw(contents, args.out or args.folder / PICTURE)
    if checked.problems:
        print(f"\n{listing(checked.problems, args.show)}\n", flush=True)
    print(_verdict(args.folder, checked, args.quick), flush=True)
    return 1 if checked.problems else 0


def _offset_notes(contents: Sequence[FolderContent]) -> Iterator[str]:
    """How many recordings have a constant offset, which is removed from them."""
    speech = {entry.utt for content in contents for entry in content.speech if any(crop.dc for crop in entry.crops)}
    noises = {entry.path for content in contents for entry in content.noises if entry.dc}
    if speech or noises:
        yield (
            f"\nnote: {len(speech)} utterances and {len(noises)} noises have a constant offset (DC), removed in "
            "mixtures"
        )


def _draw(contents: Sequence[FolderContent], path: Path) -> None:
    if not any(content.plans for content in contents):
        return
    from wesep_mix.report.plots import data_plot

    data_plot(contents, path)
    print(f"\npicture: {path}", flush=True)


def _verdict(folder: Path, checked: Checked, quick: bool) -> str:
    plans = sum(len(each.plans) for each in checked.sets)
    how = "headers only, nothing rendered" if quick else "audio decoded, plans rendered"
    found = f"{len(checked.problems)} problems" if checked.problems else "no problem"
    return (
        f"{folder}: {found} in {len(checked.sets)} sets, {len(checked.lengths)} readable audio files and "
        f"{plans} plans ({how})"
    )


if __name__ == "__main__":
    sys.exit(main())
