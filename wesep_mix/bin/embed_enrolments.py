"""Enrolments of the test set: for each talker of each mixture the embedding of another utterance, clean and noisy.

OUT/enrolment.{ark,scp} and OUT/enrolment_noisy.{ark,scp}, keyed by <mix>-<speaker>, are of the same speech, without and
with noise drawn as a mixture's; OUT/plan.jsonl says of which. Stage 6 extracts with them (--condition enrolment,
--embeddings OUT); stage 8 and the paper's tables call both.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wesep_mix.base.config import load_config
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin.options import parser
from wesep_mix.evaluation.settings import ScoreConfig


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return guarded(lambda: _embed(args), "stage 6 (enrolments)")


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return [_part(_parse(argv))]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument(
        "--config", type=Path, required=True, help="egs/CORPUS/conf/score.yaml, whose seed draws the enrolments"
    )
    options.add_argument("--data", type=Path, required=True, help="prepared test set: data/CORPUS/Nmix/test")
    options.add_argument("--teacher", type=Path, required=True, help="EXP/teacher/model.pt")
    options.add_argument("--student", type=Path, required=True, help="EXP/Nmix/student/model.pt")
    options.add_argument("--out", type=Path, required=True, help="folder to write: EXP/Nmix/enrolments")
    options.add_argument("--nj", type=int, default=1, help="1 renders speech in this process, more in a worker")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 computes on the CPU")
    return options.parse_args(argv)


def _part(args: argparse.Namespace) -> Part:
    needs = [Need(args.data, 1), Need(args.teacher, 2), Need(args.student, 3)]
    return Part(6, "enrolments", args.out, {"seed": load_config(ScoreConfig, args.config, args.set).seed}, needs)


def _embed(args: argparse.Namespace) -> None:
    part = _part(args)

    def work() -> None:
        from wesep_mix.inference.embeddings import extract_enrolments

        seed = part.settings["seed"]
        extract_enrolments(args.data, seed, args.teacher, args.student, args.out, args.nj, args.ngpu)

    run_part(part, args.force, work)


if __name__ == "__main__":
    sys.exit(main())
