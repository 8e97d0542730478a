"""Recordings whose talkers are known, tracked and scored: LibriCSS, AMI, VoxConverse, or any with an RTTM.

Each recording goes through `wesep-mix track` into a folder of its own, unless it is there already; a run that was
stopped goes on. OUT/scores.json has the scores of each and of all together.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from wesep_mix.base.files import read_table, write_json
from wesep_mix.base.stage import guarded
from wesep_mix.bin import track
from wesep_mix.bin.options import add_model_options

SUMMARY, SCORES = "track.json", "scores.json"


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("--wavs", type=Path, required=True, help="Kaldi's wav.scp: NAME FILE a line")
    options.add_argument("--rttm", type=Path, required=True, help="who speaks when, by NAME")
    options.add_argument("--uem", type=Path, help="what is scored [all of each recording]")
    options.add_argument("--out", type=Path, required=True, help="folder to write to")
    options.add_argument("--channel", default="mix", metavar="mix|N", help="mean of all channels, or one, from 1 [mix]")
    options.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the memory: max_slots=4"
    )
    add_model_options(options)
    args = options.parse_args(argv)
    return guarded(lambda: _score(args), "track_set")


def _score(args: argparse.Namespace) -> int:
    from wesep_mix.evaluation.tracked_sets import pooled, read_references, score_tracked

    wavs, rows = read_table(args.wavs), []
    references = read_references(args.rttm, args.uem, wavs)
    for name, file in wavs.items():
        if status := _track(args, name, Path(file)):
            return status
        rows.append(score_tracked(name, args.out / name, *references[name]))
    together = pooled(rows)
    write_json(args.out / SCORES, {"recordings": rows, "all": together})
    print(_text(rows, together))
    return 0


def _track(args: argparse.Namespace, name: str, file: Path) -> int:
    """Track a recording; returns the status, 0 also where it was done before."""
    out = args.out / name
    if (out / SUMMARY).is_file():
        print(f"{name}: done already in {out}")
        return 0
    model = ["--model", args.model] if args.model else []
    own = ["--out", str(out), "--channel", args.channel, "--device", args.device, *model]
    return track.main([str(file), *own, *(word for one in args.set for word in ("--set", one))])


def _text(rows: list[dict[str, Any]], together: dict[str, Any]) -> str:
    from wesep_mix.report.tables import Table

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f}"

    lines = [
        [
            row["recording"],
            str(row["talkers"]),
            str(row["found"]),
            percent(row["der"]["der"]),
            percent(row["der_collar"]["der"]),
        ]
        for row in rows
    ]
    total = [f"all {together['recordings']}", "", "", percent(together["der"]), percent(together["der_collar"])]
    shares = ", ".join(
        f"{kind.replace('_', ' ')} {percent(together[kind])} %" for kind in ("miss", "false_alarm", "confusion")
    )
    return (
        Table(["recording", "talkers", "found", "DER %", "DER .25 %"], [*lines, total]).text()
        + f"\n{shares}; number of talkers right in {percent(together['count'])} %, off by {together['count_error']:.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
