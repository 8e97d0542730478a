"""The speech of one talker, or of each, out of a recording of one's own, at its rate and the talker's level.

    wesep-mix extract meeting.wav --pick 1 --out speech             # numbers as `wesep-mix candidates` gives them
    wesep-mix extract meeting.wav --all --out speech
    wesep-mix extract meeting.wav --like voice.wav --out speech     # whose voice another recording has
    wesep-mix extract meeting.wav --embedding heard/talker-1.npy --out speech

OUT gets talker-N.wav of each, or like.wav, embedding.wav; with --all also REC.rttm, which says who speaks when by what
was extracted. Inside all works at 16 kHz, so nothing above 8 kHz comes out.
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
    whom = options.add_mutually_exclusive_group(required=True)
    whom.add_argument("--pick", type=int, nargs="+", metavar="N", help="candidates by number")
    whom.add_argument("--all", action="store_true", help="every candidate")
    whom.add_argument("--like", type=Path, metavar="WAV", help="the talker whose voice this recording has, alone")
    whom.add_argument("--embedding", type=Path, metavar="NPY", help="an embedding, as `candidates` writes them")
    options.add_argument("--out", type=Path, required=True, help="folder to write wavs to")
    args = options.parse_args(argv)
    return guarded(lambda: _extract(args), "extract")


def _extract(args: argparse.Namespace) -> None:
    from wesep_mix.inference.own_recordings import extract_recording

    written = extract_recording(
        args.recording,
        args.out,
        model=args.model,
        channel=args.channel,
        device=args.device,
        pick=args.pick,
        like=args.like,
        embedding=args.embedding,
    )
    if args.json:
        print(json.dumps(written))
        return
    for each in written["written"]:
        print(f"{each['path']}: {each['what']}")
    if written["rttm"]:
        print(f"{written['rttm']}: who speaks when")
    print(
        f"at {written['sample_rate']} Hz, made at 16000 Hz inside" if written["sample_rate"] != 16000 else "at 16000 Hz"
    )


if __name__ == "__main__":
    sys.exit(main())
