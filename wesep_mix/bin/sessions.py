"""Sessions, conversations of minutes: their part of stages 1, 3, 8 and 9, set by egs/CORPUS/conf/sessions.yaml.

Stage 1 draws sessions for dev and test, and mixtures of 1 to 5 talkers. Stage 3 trains the students that hear them, for
each seed. Stage 8 hears every session window by window, tracks its talkers with each memory and baseline, extracts
them, and tries the students on numbers of talkers that they were not trained on. Stage 9 writes EXP/TRACKING.md,
tracking.json and plots.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wesep_mix.base.stage import Part, guarded
from wesep_mix.bin import prepare_data, train_student
from wesep_mix.bin.options import parser
from wesep_mix.models.shipped import find_model
from wesep_mix.tables.sessions import NAME, SessionsLayout, load_sessions
from wesep_mix.tables.sessions_stage import STAGES, Request, SessionsStage, title

ENTRIES = {"prepare_data": prepare_data, "train_student": train_student}


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return guarded(lambda: _stage(args).run(), title(args.stage_number))


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return _stage(_parse(argv)).all_parts()


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--stage_number", type=int, required=True, choices=STAGES)
    options.add_argument("--egs", type=Path, required=True, help="recipe folder: egs/CORPUS")
    options.add_argument("--data", type=Path, required=True, help="prepared sets: data/CORPUS")
    options.add_argument("--exp", type=Path, required=True, help="experiment: exp/CORPUS")
    options.add_argument("--teacher", type=Path, help="EXP/teacher/model.pt")
    options.add_argument("--student", type=Path, help="EXP/Nmix/student/model.pt, for a config without students")
    options.add_argument("--extractor", type=Path, help="EXP/Nmix/NAME/matched/model.pt")
    options.add_argument("--separator", type=Path, help="EXP/Nmix/NAME/separated/model.pt [none, and no rows of it]")
    options.add_argument("--nj", type=int, default=1, help="parallel jobs")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 works on the CPU")
    options.add_argument("--model", help="a model's folder or name, instead of teacher, student and extractor")
    args = options.parse_args(argv)
    if not args.model and not (args.teacher and args.student and args.extractor):
        options.error("wanted --teacher, --student and --extractor, or --model")
    return args


def _networks(args: argparse.Namespace) -> dict[str, Path]:
    if args.model:
        folder = find_model(args.model)
        return {part: folder / f"{part}.safetensors" for part in ("teacher", "student", "extractor")}
    named = {part: getattr(args, part) for part in ("teacher", "student", "extractor", "separator")}
    return {part: path for part, path in named.items() if path}


def _stage(args: argparse.Namespace) -> SessionsStage:
    conf = args.egs / "conf"
    layout = SessionsLayout(
        config=load_sessions(conf, args.set),
        conf=conf,
        data=args.data,
        exp=args.exp / NAME,
        networks=_networks(args),
        settings=args.set,
    )
    request = Request(args.stage_number, args.egs.name, args.nj, args.ngpu, args.force)
    return SessionsStage(request, layout, ENTRIES)


if __name__ == "__main__":
    sys.exit(main())
