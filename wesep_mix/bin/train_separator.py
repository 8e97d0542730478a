"""Stage 5: train the separator that stands beside the extractor, mixture -> all of its talkers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wesep_mix.base.config import read_raw
from wesep_mix.base.jobs import training_job
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin.options import add_process_options, parser, processes_here, processes_of


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = _parse(argv)
    return guarded(lambda: _train(args, argv), "stage 5 (separator)", processes_here(args))


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return [_part(_parse(argv))]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/separator/NAME.yaml")
    options.add_argument("--data", type=Path, required=True, help="prepared mixtures: data/CORPUS/Nmix")
    options.add_argument("--num_spk", type=int, required=True, help="talkers in a mixture")
    options.add_argument("--out", type=Path, required=True, help="folder to write: EXP/Nmix/NAME/separated")
    add_process_options(options)
    return options.parse_args(argv)


def _part(args: argparse.Namespace) -> Part:
    raw = read_raw(args.config, args.set) | {"num_spk": args.num_spk}
    return Part(5, "separator", args.out, raw, [Need(args.data, 1)])


def _train(args: argparse.Namespace, argv: list[str]) -> None:
    def work() -> None:
        from wesep_mix.base.config import load_config
        from wesep_mix.training.separator import train_separator
        from wesep_mix.training.settings import SeparatorConfig

        settings = load_config(SeparatorConfig, args.config, args.set)
        train_separator(settings, args.data, args.out, args.num_spk, processes_of(args))

    part = _part(args)
    run_part(part, args.force, work, training_job("train_separator", argv, part, processes_of(args)))


if __name__ == "__main__":
    sys.exit(main())
