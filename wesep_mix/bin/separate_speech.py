"""Stage 6: separate every mixture of the test set to wav, each estimate under the talker that it fits best."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wesep_mix.base.config import load_config, to_dict
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin.options import parser
from wesep_mix.inference.settings import ExtractConfig


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return guarded(lambda: _separate(args), "stage 6 (separation)")


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return [_part(_parse(argv))]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/extract.yaml")
    options.add_argument("--data", type=Path, required=True, help="prepared test set: data/CORPUS/Nmix/test")
    options.add_argument(
        "--separator", type=Path, required=True, help="EXP/Nmix/NAME, wavs go to its test/separated/wav"
    )
    options.add_argument("--nj", type=int, default=1, help="processes; with run.sh --cmd, jobs [1]")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 computes on the CPU")
    return options.parse_args(argv)


def _part(args: argparse.Namespace) -> Part:
    settings = load_config(ExtractConfig, args.config, args.set)
    defining = {"wav_subtype": settings.wav_subtype, "chunks": to_dict(settings.chunks)}
    needs = [Need(args.data, 1), Need(_model(args), 5)]
    return Part(6, "separation", args.separator / "test" / "separated" / "wav", defining, needs)


def _model(args: argparse.Namespace) -> Path:
    return args.separator / "separated" / "model.pt"


def _separate(args: argparse.Namespace) -> None:
    part = _part(args)

    def work() -> None:
        from wesep_mix.inference.extraction import separate_set
        from wesep_mix.mixing.plan import read_plans

        settings = load_config(ExtractConfig, args.config, args.set)
        plans = read_plans(args.data / "plan.jsonl")
        device = "cuda" if args.ngpu else "cpu"
        separate_set(_model(args), plans, part.out, device, settings, args.nj)

    run_part(part, args.force, work)


if __name__ == "__main__":
    sys.exit(main())
