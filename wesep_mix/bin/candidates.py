"""The talkers of a recording of one's own: how many, when, how sure, and a few seconds of each to listen to.

    wesep-mix candidates meeting.wav --out heard

OUT gets talker-N.wav (at most 3 s, where talker N is clearest), talker-N.npy and talkers.{ark,scp} (embeddings) and
candidates.json (all that is printed). Without --out nothing is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from wesep_mix.base.stage import guarded
from wesep_mix.bin.options import recording_parser


def main(argv: list[str] | None = None) -> int:
    options = recording_parser(__doc__)
    options.add_argument("--out", type=Path, help="folder for auditions and embeddings")
    args = options.parse_args(argv)
    return guarded(lambda: _candidates(args), "candidates")


def _candidates(args: argparse.Namespace) -> None:
    from wesep_mix.inference.own_recordings import describe, hear, write_candidates

    model, recording, talkers = hear(args.recording, args.model, args.channel, args.device)
    described = describe(recording, talkers, model.use.trust)
    if args.out is not None:
        write_candidates(args.out, model, recording, talkers, described)
    print(json.dumps(described) if args.json else _text(described, args.recording, args.out))


def _text(described: dict[str, Any], recording: Path, out: Path | None) -> str:
    """What was heard, for people."""
    talkers = described["talkers"]
    head = f"{described['recording']}: {described['seconds']:.1f} s, "
    if not talkers:
        return head + "nobody was heard"
    lines = [head + f"{len(talkers)} talker{'s' * (len(talkers) > 1)}"]
    for talker in talkers:
        spans = ", ".join(f"{begin:.0f}-{end:.0f} s" for begin, end in talker["spans"][:4])
        more = f" and {len(talker['spans']) - 4} more" if len(talker["spans"]) > 4 else ""
        sure = "" if talker["confidence"] is None else f", sure {talker['confidence']:.0%}"
        sure += ", too little for nine right in ten" if talker["trusted"] is False else ""
        near = max(((value, other) for other, value in talker["similarity"].items()), default=None)
        like = "" if near is None else f"; most like talker {near[1]} (cosine {near[0]:.2f})"
        lines.append(
            f"  talker {talker['number']}: {talker['share']:.0%} of the windows with speech ({spans}{more}){sure}{like}"
        )
    if out is not None:
        lines.append(f"listen: {out}/talker-N.wav; then `wesep-mix extract {recording} --pick N --out DIR`")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
