"""Stage 3: train the student, mixture -> set of speaker embeddings."""

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
    return guarded(lambda: _train(args, argv), "stage 3 (student)", processes_here(args))


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return [_part(_parse(argv))]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/student.yaml")
    options.add_argument("--data", type=Path, required=True, help="prepared mixtures: data/CORPUS/Nmix")
    options.add_argument("--teacher", type=Path, required=True, help="EXP/teacher/model.pt")
    options.add_argument("--out", type=Path, required=True, help="folder to write: EXP/Nmix/student")
    options.add_argument("--num_spk", type=int, required=True, help="talkers in a mixture, one head each")
    add_process_options(options)
    return options.parse_args(argv)


def _part(args: argparse.Namespace) -> Part:
    needs = [Need(args.data, 1), Need(args.teacher, 2)]
    return Part(3, "student", args.out, read_raw(args.config, args.set), needs)


def _train(args: argparse.Namespace, argv: list[str]) -> None:
    def work() -> None:
        from wesep_mix.base.config import load_config
        from wesep_mix.training.settings import StudentConfig
        from wesep_mix.training.student import train_student

        settings = load_config(StudentConfig, args.config, args.set)
        train_student(settings, args.data, args.teacher, args.out, args.num_spk, processes_of(args))

    part = _part(args)
    run_part(part, args.force, work, training_job("train_student", argv, part, processes_of(args)))


if __name__ == "__main__":
    sys.exit(main())
