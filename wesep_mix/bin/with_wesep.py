"""WeSep's own training, inference and scoring on an export of ours, as egs/wesep/run.sh calls them.

    with_wesep config --wesep DIR --model dpccn --data DATA --export FOLDER --out CONFIG.yaml
    with_wesep train --wesep DIR --shim SHIM --export FOLDER --config CONFIG.yaml --out OUT -- COMMAND...
    with_wesep infer --wesep DIR --shim SHIM --export FOLDER --trained TRAINED --out OUT -- COMMAND...
    with_wesep score --wesep DIR --shim SHIM --export FOLDER --inferred I --ours SCORES --data D --out OUT -- COMMAND...

`config` writes WeSep's config out of the YAML of its recipe and of what is known of the export. The others run COMMAND,
a program of WeSep's, in its environment, unless that was done already; a training that was stopped goes on from its
last epoch. Nothing is written into the checkout.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from wesep_mix.base.config import read_raw
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_json
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin.options import boolean
from wesep_mix.wesep.outputs import ESTIMATES, write_beside, write_estimates
from wesep_mix.wesep.programs import Installation, default_python
from wesep_mix.wesep.recipe import Data, embedding_dim, fitted, recipe_of, write_config

TRAIN, DEV, TEST = "train-100", "dev", "test"  # folders of the export, as WeSep's recipe calls them
LATEST, FINAL = Path("models", "latest_checkpoint.pt"), Path("models", "final_checkpoint.pt")
TITLES = {"train": "training", "infer": "inference", "score": "scoring"}
NUMBERS = {"train": 5, "infer": 6, "score": 7}


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    work = _config if args.way == "config" else _run
    return guarded(lambda: work(args), f"with_wesep {args.way}")


def parts(argv: list[str]) -> list[Part]:
    """The folder that these options make; `config` makes none."""
    args = _parse(argv)
    return [] if args.way == "config" else [_part(args)]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    ways = options.add_subparsers(dest="way", required=True)
    made = {name: ways.add_parser(name, allow_abbrev=False) for name in ("config", *TITLES)}
    for name, way in made.items():
        way.add_argument("--wesep", type=Path, required=True, help="a checkout of WeSep, legacy layout (2024-25)")
        way.add_argument("--export", type=Path, required=True, help="OUT/wesep/Nmix of export_data --format wesep")
        way.add_argument("--out", type=Path, required=True, help="folder to write into; config: file")
        way.add_argument("--force", type=boolean, default=False, metavar="true|false", help="redo what is done")
        if name != "config":
            _add_environment(way)
    _add_config(made["config"])
    made["train"].add_argument("--config", type=Path, required=True, help="what `config` wrote")
    made["infer"].add_argument("--trained", type=Path, required=True, help="what `train` made")
    made["score"].add_argument("--inferred", type=Path, required=True, help="what `infer` made")
    made["score"].add_argument("--ours", type=Path, required=True, help="stage 7's folder of the imported model")
    made["score"].add_argument("--data", type=Path, required=True, help="prepared test set: data/CORPUS/Nmix/test")
    return options.parse_args(argv)


def _add_environment(way: argparse.ArgumentParser) -> None:
    way.add_argument("--python", default=default_python(), help="the Python that has WeSep's packages [this one]")
    way.add_argument("--shim", type=Path, required=True, help="egs/wesep/shim")
    way.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 computes on the CPU")
    way.add_argument("--threads", type=int, default=1, help="of a process [1]")
    way.add_argument("command", nargs="+", help="behind --: WeSep's program and its options")


def _add_config(way: argparse.ArgumentParser) -> None:
    way.add_argument("--model", required=True, help="NAME.yaml of WeSep's recipe: spexplus, dpccn, bsrnn, tfgridnet")
    way.add_argument("--config", type=Path, help="a YAML of WeSep's to begin with [that of its recipe]")
    way.add_argument("--small", type=Path, help="a YAML whose values go over it")
    way.add_argument("--data", type=Path, required=True, help="prepared mixtures: data/CORPUS/Nmix")
    way.add_argument("--num_procs", type=int, default=1, help="processes of the training")
    way.add_argument("--wesep_set", action="append", default=[], metavar="KEY=VALUE", help="a value of WeSep's config")


def _config(args: argparse.Namespace) -> None:
    recipes = [args.config or recipe_of(args.wesep, args.model), *([args.small] if args.small else [])]
    write_config(args.out, fitted(recipes, _data(args), args.wesep_set))
    print(f"WeSep's config: {args.out}, from {' and '.join(map(str, recipes))}", flush=True)


def _data(args: argparse.Namespace) -> Data:
    from wesep_mix.exports.signals import longest_silence
    from wesep_mix.mixing.plan import read_plans

    plans = {name: read_plans(args.data / name / "plan.jsonl") for name in ("train", "dev")}
    silence = max(longest_silence(plan, "max") for group in plans.values() for plan in group)
    return Data(
        embedding_dim(args.export / DEV), silence, {name: len(group) for name, group in plans.items()}, args.num_procs
    )


def _part(args: argparse.Namespace) -> Part:
    made_of = {"wesep": _installation(args).version()}
    needs = [Need(args.export / name / "shard.list", 4) for name in ((TRAIN, DEV) if args.way == "train" else (TEST,))]
    if args.way == "train":
        made_of["config"] = read_raw(args.config) if args.config.is_file() else {}
    if args.way == "infer":
        needs.append(Need(args.trained / FINAL, 5))
    if args.way == "score":
        needs += [Need(args.inferred / ESTIMATES, 6), Need(args.ours / "scores.csv", 7)]
    return Part(NUMBERS[args.way], f"WeSep's {TITLES[args.way]}", args.out, made_of, needs)


def _installation(args: argparse.Namespace) -> Installation:
    return Installation(args.wesep.absolute(), args.python, args.shim, args.ngpu > 0, args.threads)


def _run(args: argparse.Namespace) -> None:
    works: dict[str, Callable[[argparse.Namespace, Installation], None]] = {
        "train": _train,
        "infer": _infer,
        "score": _score,
    }
    installation, part = _installation(args), _part(args)
    if args.force or not part.is_done():
        installation.check()
    run_part(part, args.force, lambda: works[args.way](args, installation))


def _train(args: argparse.Namespace, installation: Installation) -> None:
    latest, final = args.out / LATEST, args.out / FINAL
    goes_on = ["--checkpoint", str(latest)] if latest.exists() else []
    final.unlink(missing_ok=True)  # WeSep does not write over it
    installation.run([*args.command, *goes_on], TITLES["train"])
    if not final.exists():
        raise UserError(f"{final}: no such file; WeSep's training ended without it")


def _infer(args: argparse.Namespace, installation: Installation) -> None:
    shutil.rmtree(args.out / "audio", ignore_errors=True)  # of one that was stopped
    installation.run(args.command, TITLES["infer"])
    write_estimates(args.out / "audio", args.export / TEST)


def _score(args: argparse.Namespace, installation: Installation) -> None:
    from wesep_mix.mixing.plan import read_plans

    installation.run(args.command, TITLES["score"])
    plans = read_plans(args.data / "plan.jsonl")
    speakers = {plan.id: [source.spk for source in plan.sources] for plan in plans}
    means = write_beside(args.out, args.ours / "scores.csv", speakers, args.out / "beside.csv")
    print("mean over the test set: metric, scored here, WeSep's of its own wavs", flush=True)
    for metric, (ours, theirs) in means.items():
        print(f"  {metric:8} {ours:8.3f} {theirs:8.3f}", flush=True)
    write_json(args.out / "beside.json", means)


if __name__ == "__main__":
    sys.exit(main())
