"""Stage 6: separate every mixture of the test set to wav, each estimate under the talker that it fits best."""

from __future__ import annotations

import sys
from pathlib import Path

from wesep_mix.bin.options import extraction_settings, parser
from wesep_mix.config import read_raw
from wesep_mix.stage import Need, Part, guarded, run_part


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/score.yaml")
    options.add_argument("--data", type=Path, required=True, help="prepared test set: data/CORPUS/Nmix/test")
    options.add_argument("--separator", type=Path, required=True,
                         help="EXP/Nmix/NAME, wavs go to its test/separated/wav")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 computes on the CPU")
    args = options.parse_args(argv)
    return guarded(lambda: _separate(args), "stage 6 (separation)")


def _separate(args) -> None:
    model, out = args.separator / "separated" / "model.pt", args.separator / "test" / "separated" / "wav"

    def work() -> None:
        from wesep_mix.analysis.separation import separate_set
        from wesep_mix.analysis.settings import ScoreConfig
        from wesep_mix.config import load_config
        from wesep_mix.mixing.plan import read_plans

        settings = load_config(ScoreConfig, args.config, args.set)
        plans = read_plans(args.data / "plan.jsonl")
        separate_set(model, plans, out, "cuda" if args.ngpu else "cpu", settings.wav_subtype, settings.chunks)

    raw = extraction_settings(read_raw(args.config, args.set))
    needs = [Need(args.data, 1), Need(model, 5)]
    run_part(Part(6, "separation", out, raw, needs), args.force, work)


if __name__ == "__main__":
    sys.exit(main())
