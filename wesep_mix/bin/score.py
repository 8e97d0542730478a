"""Stage 7: score the extracted test set, SI-SDR, SI-SDRi, PESQ and STOI of every mixture and speaker."""

from __future__ import annotations

import sys
from pathlib import Path

from wesep_mix.analysis.settings import ScoreConfig
from wesep_mix.bin.options import parser
from wesep_mix.config import load_config, to_dict
from wesep_mix.stage import Need, Part, guarded, run_part


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/score.yaml")
    options.add_argument("--data", type=Path, required=True, help="the test set: data/CORPUS/Nmix/test")
    options.add_argument("--extractor", type=Path, required=True, help="trained extractor or separator: EXP/Nmix/NAME")
    options.add_argument("--condition", choices=("matched", "separated"), default="matched",
                         help="separated for a separator [matched]")
    options.add_argument("--nj", type=int, default=1, help="parallel processes")
    args = options.parse_args(argv)
    return guarded(lambda: _score(args), "stage 7 (score)")


def _score(args) -> None:
    settings = load_config(ScoreConfig, args.config, args.set)
    extracted = args.extractor / "test" / args.condition

    def work() -> None:
        from wesep_mix.analysis.conditions import score_extracted

        score_extracted(args.condition, args.data, args.extractor, settings, args.nj)

    needs = [Need(args.data / "plan.jsonl", 1), Need(args.extractor / args.condition / "model.pt", 5),
             Need(extracted / "wav" / "wav.scp", 6)]
    run_part(Part(7, "score", extracted / "scores", to_dict(settings), needs), args.force, work)


if __name__ == "__main__":
    sys.exit(main())
