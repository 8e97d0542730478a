"""Models for `candidates` and `extract`: which are here, how one is made of an experiment, how well it does.

wesep-mix models                                             # those that came with the package, and --model DIR
wesep-mix models --model my_model
wesep-mix models export exp/mini --num_spk 2 --extractor stft_tcn --out my_model --name mini --trained_on "generated"
wesep-mix models measure my_model --data data/mini/2mix      # thresholds of the dev set, figures of the test set
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
    commands = options.add_subparsers(dest="command", metavar="export|measure")
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
    export.add_argument("--limits", default="not stated", help="what it cannot do")
    export.add_argument("--use", action="append", default=[], metavar="KEY=VALUE", help="how it is used: window_s=4")
    export.add_argument("--bits", type=int, choices=(8, 16, 32), default=32, help="of a weight in the files [32]")
    measure = commands.add_parser("measure", help="choose a model's thresholds, measure it, and write both into it")
    measure.add_argument("folder", type=Path, help="of the model")
    measure.add_argument("--data", type=Path, required=True, help="data/CORPUS/Nmix, whose dev and test speakers serve")
    measure.add_argument("--talkers", type=int, nargs="+", default=[1, 2, 3], help="numbers of talkers [1 2 3]")
    measure.add_argument("--num", type=int, default=60, help="conversations of each number of talkers [60]")
    measure.add_argument("--nj", type=int, default=1, help="processes [1]")
    args = options.parse_args(argv)
    command = {None: _list, "export": _export, "measure": _measure}[args.command]
    return guarded(lambda: command(args), "models")


def _export(args: argparse.Namespace) -> None:
    from wesep_mix.base import config
    from wesep_mix.models.folder import About, UseConfig, bundle_of, write_folder

    mixtures = args.experiment / f"{args.num_spk}mix"
    about = About(args.name, args.licence, args.trained_on, args.figures, args.limits)
    extractor = mixtures / args.extractor / "matched"
    given = {".".join(key): value for key, value in map(config.parse_override, args.use)}
    bundle = bundle_of(
        args.teacher or args.experiment / "teacher" / "model.pt",
        mixtures / "student" / "model.pt",
        extractor / "model.pt",
        about,
        config.from_dict(UseConfig, _level(extractor / "config.yaml") | given, "--use"),
    )
    write_folder(bundle, args.out, args.bits)
    print(f"{args.out}: written; `wesep-mix candidates RECORDING --model {args.out}` uses it")


def _level(settings: Path) -> dict[str, str]:
    """`use.level` of an extractor by the settings of its training; none where these are not there."""
    from wesep_mix.base.config import read_raw

    loss = read_raw(settings).get("loss", {}) if settings.is_file() else {}
    return {"level": "own"} if loss.get("name") == "snr" else {}


def _measure(args: argparse.Namespace) -> None:
    from wesep_mix.evaluation.bundles import measure

    rows = measure(args.folder, args.data, args.talkers, args.num, args.nj)
    for row in rows:
        print(json.dumps(row))
    print(f"{args.folder}: thresholds and figures written to model.yaml and README.md")


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
        print("\n".join(f"{key}: {value}" for key, value in each.items() if key != "measured"), end="\n\n")


if __name__ == "__main__":
    sys.exit(main())
