"""Stage 7: score each talker of the extracted test set: SI-SDR, PESQ, STOI, whether it came out at all; with `dnsmos:
true` DNSMOS too, and with --teacher and --embeddings the cosine of the teacher's embeddings of estimate and target.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wesep_mix.base.config import load_config
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin.options import parser
from wesep_mix.evaluation.settings import PERCEPTUAL, RATIOS, SHARES, ScoreConfig
from wesep_mix.inference.controls import CONTROLS, MIXTURE, SEPARATED, model_of

CLEAN = "teacher.scp"  # embeddings of clean sources


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return guarded(lambda: _score(args), "stage 7 (score)")


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    args = _parse(argv)
    return [_part(args, load_config(ScoreConfig, args.config, args.set))]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/score.yaml")
    options.add_argument("--data", type=Path, required=True, help="the test set: data/CORPUS/Nmix/test")
    options.add_argument("--extractor", type=Path, required=True, help="trained extractor or separator: EXP/Nmix/NAME")
    options.add_argument(
        "--condition",
        choices=("matched", *CONTROLS, SEPARATED, MIXTURE),
        default="matched",
        help="as --condition of stage 6; separated for a separator; mixture scores the unprocessed "
        "mixtures and needs no model [matched]",
    )
    options.add_argument("--teacher", type=Path, help="EXP/teacher/model.pt, for its cosine [none]")
    options.add_argument(
        "--embeddings", type=Path, help="EXP/Nmix/embeddings/test, with the teacher's of clean sources"
    )
    options.add_argument("--nj", type=int, default=1, help="parallel processes")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs, for the teacher; 0 computes on the CPU")
    args = options.parse_args(argv)
    if (args.teacher is None) != (args.embeddings is None):
        options.error("--teacher and --embeddings belong together: wanted both or none")
    return args


def _part(args: argparse.Namespace, settings: ScoreConfig) -> Part:
    needs, extracted = [Need(args.data / "plan.jsonl", 1)], args.extractor / "test" / args.condition
    if args.condition != MIXTURE:
        needs += [Need(model_of(args.extractor, args.condition), 5), Need(extracted / "wav" / "wav.scp", 6)]
    if args.teacher:
        needs += [Need(args.teacher, 2), Need(args.embeddings / CLEAN, 4)]
    defining = {
        "max_bad": settings.max_bad,
        "metrics": [*RATIOS, *SHARES, *PERCEPTUAL],
        "dnsmos": settings.dnsmos,
        "targets": settings.targets,
        "seed": settings.seed,
    }
    if not settings.is_perceptual(args.condition):
        defining["perceptual"] = False
    return Part(7, f"score, {args.condition}", extracted / "scores", defining, needs)


def _score(args: argparse.Namespace) -> None:
    settings = load_config(ScoreConfig, args.config, args.set)

    def work() -> None:
        from wesep_mix.evaluation.scoring import Voices, score_extracted

        device = "cuda" if args.ngpu else "cpu"
        voices = Voices(args.teacher, args.embeddings / CLEAN, device) if args.teacher else None
        score_extracted(args.condition, args.data, args.extractor, settings, args.nj, voices)

    run_part(_part(args, settings), args.force, work)


if __name__ == "__main__":
    sys.exit(main())
