"""Validate every config of a recipe and every --set before any work starts, and try the models of the stages to be run.

A model is built and run on a moment of noise. Those of stages that are not run are not: only their configs are read.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wesep_mix.base.stage import guarded
from wesep_mix.bin.options import boolean, parser
from wesep_mix.validation.configs import Run, check_recipe


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--egs", type=Path, required=True, help="recipe folder: egs/CORPUS")
    options.add_argument("--extractor", required=True, help="a file of egs/CORPUS/conf/extractor")
    options.add_argument("--separator", default="", help="a file of egs/CORPUS/conf/separator [none]")
    options.add_argument(
        "--tables", type=boolean, default=False, metavar="true|false", help="also table1.yaml and table2.yaml [false]"
    )
    options.add_argument(
        "--sessions", type=boolean, default=False, metavar="true|false", help="also sessions.yaml [false]"
    )
    options.add_argument("--stage", type=int, default=1, help="first stage to be run [1]")
    options.add_argument("--stop_stage", type=int, default=9, help="last stage to be run [9]")
    options.add_argument("--num_spk", type=int, default=2, help="talkers of the mixtures [2]")
    options.add_argument("--teacher", type=Path, help="stage 2's folder, for a run that begins after it")
    args = options.parse_args(argv)
    run = Run(args.stage, args.stop_stage, args.num_spk, args.teacher)
    beside = {"tables": args.tables, "sessions": args.sessions}
    chosen = {"extractor": args.extractor, "separator": args.separator}
    return guarded(lambda: check_recipe(args.egs / "conf", chosen, args.set, beside, run), "configuration")


if __name__ == "__main__":
    sys.exit(main())
