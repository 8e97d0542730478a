"""Stage 6: extract every talker of the test set to wav, given its matched embedding, a control's, or none.

The embeddings are those of stage 4, for enrolments those of embed_enrolments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wesep_mix.base.config import load_config, to_dict
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin.options import parser
from wesep_mix.evaluation.settings import ScoreConfig
from wesep_mix.inference.controls import CONTROLS, ENROLMENTS, model_of
from wesep_mix.inference.settings import ExtractConfig


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return guarded(lambda: _extract(args), "stage 6 (extraction)")


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return [_part(_parse(argv))]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/extract.yaml")
    options.add_argument("--data", type=Path, required=True, help="prepared test set: data/CORPUS/Nmix/test")
    options.add_argument(
        "--embeddings", type=Path, required=True, help="EXP/Nmix/embeddings/test; for enrolments EXP/Nmix/enrolments"
    )
    options.add_argument("--extractor", type=Path, required=True, help="EXP/Nmix/NAME, wavs go to its test/matched/wav")
    options.add_argument(
        "--condition",
        choices=("matched", *CONTROLS),
        default="matched",
        help="matched; controls: none (the network without embedding), wrong, random, oracle, enrolment or "
        "enrolment_noisy; wavs go to test/NAME/wav [matched]",
    )
    options.add_argument(
        "--score_config", type=Path, help="egs/CORPUS/conf/score.yaml, whose seed draws the embeddings of random"
    )
    options.add_argument("--nj", type=int, default=1, help="processes; with run.sh --cmd, jobs [1]")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 computes on the CPU")
    args = options.parse_args(argv)
    if args.condition == "random" and args.score_config is None:
        options.error("--condition random needs --score_config, whose seed draws the embeddings")
    return args


def _part(args: argparse.Namespace) -> Part:
    settings = load_config(ExtractConfig, args.config, args.set)
    defining = {"wav_subtype": settings.wav_subtype, "chunks": to_dict(settings.chunks)}
    if args.condition == "random":
        defining["seed"] = _seed(args)
    needs = [Need(args.data, 1), *_embeddings(args), Need(model_of(args.extractor, args.condition), 5)]
    return Part(6, f"extraction, {args.condition}", args.extractor / "test" / args.condition / "wav", defining, needs)


def _embeddings(args: argparse.Namespace) -> list[Need]:
    if args.condition in ENROLMENTS:
        return [Need(args.embeddings / f"{args.condition}.scp", 6)]
    return [] if args.condition == "none" else [Need(args.embeddings / "matched.scp", 4)]


def _seed(args: argparse.Namespace) -> int:
    """Of the random embeddings; others need none."""
    return load_config(ScoreConfig, args.score_config, args.set).seed if args.condition == "random" else 0


def _extract(args: argparse.Namespace) -> None:
    def work() -> None:
        from wesep_mix.inference.extraction import extract_condition

        settings, device = load_config(ExtractConfig, args.config, args.set), "cuda" if args.ngpu else "cpu"
        extract_condition(
            args.condition, args.data, args.embeddings, args.extractor, settings, device, _seed(args), args.nj
        )

    run_part(_part(args), args.force, work)


if __name__ == "__main__":
    sys.exit(main())
