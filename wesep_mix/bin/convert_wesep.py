"""A network from WeSep to a recipe's experiment; DPCCN and SpEx+ also back.

    python -m wesep_mix.bin.convert_wesep import --config CONFIG.yaml --checkpoint avg_model.pt --out EXP/Nmix/NAME
    python -m wesep_mix.bin.convert_wesep export --model EXP/Nmix/NAME/matched/model.pt --out DIR

`import` reads WeSep's weights and config: its keys `model` and `model_args`, with `joint_training: false`, since our
models are given the embedding. It writes NAME/matched/model.pt, which stages 6 and 7 take like one of stage 5's
(extract_speech and score, --extractor EXP/Nmix/NAME). DPCCN and SpEx+ become our own networks; of another class, such
as BSRNN, WeSep's own is taken from --wesep, a checkout. `export` writes DIR/avg_model.pt and DIR/config.yaml, which
WeSep's infer.py and load_model_local run as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path

from wesep_mix.base.config import read_raw
from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import Part, guarded, run_part
from wesep_mix.bin.options import boolean


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    ways = options.add_subparsers(dest="way", required=True)
    taken, given = ways.add_parser("import"), ways.add_parser("export")
    taken.add_argument("--config", type=Path, required=True, help="WeSep's YAML")
    taken.add_argument("--checkpoint", type=Path, required=True, help="WeSep's weights, final_model.pt or avg_model.pt")
    taken.add_argument("--wesep", default="", help="a checkout of WeSep, for its own classes [WESEP_DIR, or installed]")
    given.add_argument("--model", type=Path, required=True, help="an extractor of ours, model.pt")
    for way in (taken, given):
        way.add_argument("--out", type=Path, required=True, help="folder to write into")
        way.add_argument("--force", type=boolean, default=False, metavar="true|false", help="redo what is done")
    args = options.parse_args(argv)
    return guarded(lambda: (_import if args.way == "import" else _export)(args), f"convert_wesep {args.way}")


def _import(args: argparse.Namespace) -> None:
    made_of = {"config": read_raw(args.config), "weights": _digest(args.checkpoint)}
    part = Part(5, "extractor of WeSep's", args.out / "matched", made_of)

    def work() -> None:
        from wesep_mix.base.installed import revision, shown, versions
        from wesep_mix.models import checkpoint
        from wesep_mix.wesep import weights

        if args.wesep:
            os.environ["WESEP_DIR"] = args.wesep  # which is looked at first
        settings, state = weights.read_settings(args.config), weights.read_checkpoint(args.checkpoint)
        model = weights.taken(*settings, state, str(args.checkpoint), args.wesep)
        checkpoint.save_model(
            part.out / "model.pt",
            "extractors",
            model,
            git=revision(),
            versions=shown(versions()),
            num_trainable=checkpoint.num_parameters(model),
        )

    run_part(part, args.force, work)


def _export(args: argparse.Namespace) -> None:
    part = Part(5, "extractor for WeSep", args.out, {"model": _digest(args.model)})

    def work() -> None:
        from wesep_mix.models import checkpoint
        from wesep_mix.wesep import recipe, weights

        model = checkpoint.load_model(args.model, "extractors")
        name, settings = weights.write_checkpoint(part.out / "avg_model.pt", model)
        recipe.write_config(part.out / "config.yaml", recipe.whole(name, settings))

    run_part(part, args.force, work)


def _digest(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path}: no such model file")
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
