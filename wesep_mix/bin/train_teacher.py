"""Stage 2: train the teacher, noisy single speech -> speaker embedding."""

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
    return guarded(lambda: _train(args, argv), "stage 2 (teacher)", processes_here(args))


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return [_part(_parse(argv))]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/teacher.yaml")
    options.add_argument("--data", type=Path, required=True, help="prepared single-speaker sets: data/CORPUS/single")
    options.add_argument("--out", type=Path, required=True, help="folder to write: EXP/teacher")
    add_process_options(options)
    return options.parse_args(argv)


def _part(args: argparse.Namespace) -> Part:
    return Part(2, "teacher", args.out, read_raw(args.config, args.set), [Need(args.data, 1)])


def _train(args: argparse.Namespace, argv: list[str]) -> None:
    def work() -> None:
        from wesep_mix.base.config import load_config
        from wesep_mix.training.settings import TeacherConfig
        from wesep_mix.training.teacher import train_teacher

        train_teacher(load_config(TeacherConfig, args.config, args.set), args.data, args.out, processes_of(args))

    part = _part(args)
    run_part(part, args.force, work, training_job("train_teacher", argv, part, processes_of(args)))


if __name__ == "__main__":
    sys.exit(main())
