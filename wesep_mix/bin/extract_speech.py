"""Stage 6: extract every talker of the test set to wav, each on its matched embedding, or all without one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wesep_mix.analysis.settings import ScoreConfig
from wesep_mix.bin.options import parser
from wesep_mix.config import load_config, to_dict
from wesep_mix.stage import Need, Part, guarded, run_part


def main(argv: list[str] | None = None) -> int:
    args = _parsed(argv)
    return guarded(lambda: _extract(args), "stage 6 (extraction)")


def parts(argv: list[str]) -> list[Part]:
    """What these options make."""
    return [_part(_parsed(argv))]


def _parsed(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/score.yaml")
    options.add_argument("--data", type=Path, required=True, help="prepared test set: data/CORPUS/Nmix/test")
    options.add_argument("--embeddings", type=Path, required=True, help="EXP/Nmix/embeddings/test")
    options.add_argument("--extractor", type=Path, required=True, help="EXP/Nmix/NAME, wavs go to its test/matched/wav")
    options.add_argument("--embedding", choices=("matched", "none"), default="matched",
                         help="none for the network without embedding, wavs go to test/none/wav [matched]")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 computes on the CPU")
    return options.parse_args(argv)


def _part(args: argparse.Namespace) -> Part:
    settings = load_config(ScoreConfig, args.config, args.set)
    defining = {"wav_subtype": settings.wav_subtype, "chunks": to_dict(settings.chunks)}
    matched = [] if args.embedding == "none" else [Need(args.embeddings / "matched.scp", 4)]
    needs = [Need(args.data, 1), *matched, Need(_model(args), 5)]
    return Part(6, "extraction", args.extractor / "test" / args.embedding / "wav", defining, needs)


def _model(args: argparse.Namespace) -> Path:
    return args.extractor / args.embedding / "model.pt"


def _extract(args: argparse.Namespace) -> None:
    part = _part(args)

    def work() -> None:
        from wesep_mix.analysis.extraction import extract_set
        from wesep_mix.io.embeddings import read_embeddings
        from wesep_mix.mixing.plan import read_plans

        settings = load_config(ScoreConfig, args.config, args.set)
        matched = None if args.embedding == "none" else read_embeddings(args.embeddings / "matched.scp")
        plans = read_plans(args.data / "plan.jsonl")
        device = "cuda" if args.ngpu else "cpu"
        extract_set(_model(args), plans, matched, part.out, device, settings.wav_subtype, settings.chunks,
                    settings.batch_size)

    run_part(part, args.force, work)


if __name__ == "__main__":
    sys.exit(main())
