"""Stage 4: embeddings of the dev and test sets as Kaldi ark and scp.

With --student, for each SET of dev and test: OUT/SET/{teacher,student,matched}.{ark,scp}. Keys of teacher and matched
are <mix>-<speaker>, of student <mix>-<head>; matched lacks speakers without a head, where a student has fewer heads
than talkers. For a student that was trained without the teacher also OUT/SET/reference.{ark,scp}, its own embeddings
of the clean sources; for one with presence OUT/SET/reco2num_spk, <mix> and its number of talkers.

With --single: OUT/single_test/teacher.{ark,scp}, of the test set's noisy single speech, keyed by plan id.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wesep_mix.base.config import read_raw
from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin.options import parser


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return guarded(lambda: _extract(args), "stage 4 (embeddings)")


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return [_part(_parse(argv))]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/embeddings.yaml")
    options.add_argument("--data", type=Path, required=True, help="prepared mixtures: data/CORPUS/Nmix")
    options.add_argument(
        "--single", type=Path, help="prepared single-speaker sets: data/CORPUS/single; without it no single_test"
    )
    options.add_argument("--teacher", type=Path, required=True, help="EXP/teacher/model.pt")
    options.add_argument("--student", type=Path, help="EXP/Nmix/student/model.pt; without it only single_test")
    options.add_argument("--out", type=Path, required=True, help="folder to write: EXP/Nmix/embeddings")
    options.add_argument("--nj", type=int, default=1, help="1 renders mixtures in this process, more in a worker")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 computes on the CPU")
    return options.parse_args(argv)


def _part(args: argparse.Namespace) -> Part:
    if not args.single and not args.student:
        raise UserError("stage 4 (embeddings): wanted --student, --single or both, found none of them")
    needs = [Need(args.data, 1), *([Need(args.single, 1)] if args.single else []), Need(args.teacher, 2)]
    needs += [Need(args.student, 3)] if args.student else []
    return Part(4, "embeddings", args.out, read_raw(args.config, args.set), needs)


def _extract(args: argparse.Namespace) -> None:
    def work() -> None:
        from wesep_mix.base.config import load_config
        from wesep_mix.inference.embeddings import extract_embeddings
        from wesep_mix.inference.settings import EmbeddingsConfig

        settings = load_config(EmbeddingsConfig, args.config, args.set)
        extract_embeddings(settings, args.data, args.single, args.teacher, args.student, args.out, args.nj, args.ngpu)

    run_part(_part(args), args.force, work)


if __name__ == "__main__":
    sys.exit(main())
