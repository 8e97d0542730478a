"""Models for `candidates` and `extract`: which are here, and how one is made of an experiment.

wesep-mix models                                             # those that came with the package, and --model DIR
wesep-mix models --model my_model
wesep-mix models export exp/mini --num_spk 2 --extractor stft_tcn --out my_model --name mini --trained_on "generated"
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from wesep_mix.base.stage import guarded


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("--model", type=Path, action="append", default=[], help="another model's folder to tell of")
    options.add_argument("--json", action="store_true", help="print as JSON")
    commands = options.add_subparsers(dest="command", metavar="export")
    export = commands.add_parser("export", help="make a model's folder of an experiment")
    export.add_argument("experiment", type=Path, help="exp/CORPUS, where stages 2 to 5 are done")
    export.add_argument("--num_spk", type=int, default=2, help="the student's mixtures: exp/CORPUS/Nmix [2]")
    export.add_argument("--extractor", required=True, help="its folder's name in exp/CORPUS/Nmix")
    export.add_argument("--teacher", type=Path, help="model.pt of stage 2 [EXPERIMENT/teacher/model.pt]")
    export.add_argument("--out", type=Path, required=True, help="folder to write")
    export.add_argument("--name", required=True, help="what the model is called")
    export.add_argument("--licence", default="not stated", help="of the weights")
    export.add_argument("--trained_on", default="not stated", help="the data, with their licences")
    export.add_argument("--figures", default="not measured", help="a line on how well it does, and on what")
    args = options.parse_args(argv)
    return guarded(lambda: _export(args) if args.command else _list(args), "models")


def _export(args: argparse.Namespace) -> None:
    from wesep_mix.models.folder import About, bundle_of, write_folder

    mixtures = args.experiment / f"{args.num_spk}mix"
    about = About(args.name, args.licence, args.trained_on, args.figures)
    bundle = bundle_of(
        args.teacher or args.experiment / "teacher" / "model.pt",
        mixtures / "student" / "model.pt",
        mixtures / args.extractor / "matched" / "model.pt",
        about,
    )
    write_folder(bundle, args.out)
    print(f"{args.out}: written; `wesep-mix candidates RECORDING --model {args.out}` uses it")


def _list(args: argparse.Namespace) -> None:
    from wesep_mix.models.folder import SETTINGS, read_settings
    from wesep_mix.models.shipped import SHIPPED

    folders = [*sorted(path.parent for path in SHIPPED.glob(f"*/{SETTINGS}")), *args.model]
    found = [{"folder": str(folder), **read_settings(folder)["about"]} for folder in folders]
    if args.json:
        print(json.dumps(found))
    elif not found:
        print("no model came with this version; `wesep-mix models export --help` tells how to make one")
    for each in found if not args.json else ():
        print("\n".join(f"{key}: {value}" for key, value in each.items()), end="\n\n")


if __name__ == "__main__":
    sys.exit(main())
