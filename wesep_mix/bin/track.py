"""Who speaks when in a recording of any length, window by window as if it came live, with a memory of its talkers.

    wesep-mix track meeting.wav --out tracked

Prints what happens as it happens: a talker is new, is back after a while, or was another one after all. OUT gets
meeting.rttm (who speaks when), events.jsonl, talker-N.npy and talkers.{ark,scp} (embeddings), timeline.png, and
track.json (a summary). A run that was stopped goes on with the same command. Without --out nothing is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from wesep_mix.base.locks import alone_in
from wesep_mix.base.stage import guarded
from wesep_mix.bin.options import recording_parser


def main(argv: list[str] | None = None) -> int:
    options = recording_parser(__doc__)
    options.add_argument("--out", type=Path, help="folder to write to")
    options.add_argument("--window_s", type=float, metavar="S", help="seconds of a window [the model's]")
    options.add_argument("--hop_s", type=float, metavar="S", help="seconds from window to window [the model's]")
    options.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the memory: max_slots=4"
    )
    args = options.parse_args(argv)
    return guarded(lambda: _track(args), "track")


def _track(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from wesep_mix.inference.tracked_recordings import Choices, describe_track, track_recording, write_track
    from wesep_mix.report.plots import timeline_plot

    def say(line: str) -> None:
        file = sys.stderr if args.json else sys.stdout
        tqdm.write(line, file=file)
        file.flush()

    choices = Choices(args.model, args.channel, args.device, args.window_s, args.hop_s, tuple(args.set))
    with nullcontext() if args.out is None else alone_in(args.out):
        tracked = track_recording(args.recording, args.out, choices, say)
        if args.out is not None:
            write_track(args.out, tracked, timeline_plot)
    described = describe_track(tracked) | {"real_time_factor": round(tracked.real_time_factor, 4)}
    print(json.dumps(described) if args.json else _text(described, args.out))


def _text(described: dict[str, Any], out: Path | None) -> str:
    """The talkers, for people."""
    from wesep_mix.inference.tracked_recordings import clock
    from wesep_mix.report.tables import Table

    head = f"{described['recording']}: {described['seconds']:.1f} s"
    talkers = described["talkers"]
    if not talkers:
        return f"{head}, nobody was heard"
    rows = [
        (
            str(talker["number"]),
            f"{talker['seconds']:.1f}",
            f"{talker['share']:.0%}",
            *("-" if talker[name] is None else clock(talker[name]) for name in ("first_s", "last_s")),
        )
        for talker in talkers
    ]
    lines = [
        Table(("talker", "seconds", "share", "first heard", "last heard"), rows).text(),
        f"{head}, {len(talkers)} talker{'s' * (len(talkers) > 1)}, computed in "
        f"{described['real_time_factor']:.2f} of its time",
    ]
    if out is not None:
        lines.append(f"see {out}/timeline.png and {out}/{described['recording']}.rttm")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
