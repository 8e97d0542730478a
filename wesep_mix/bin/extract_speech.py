"""Stage 6: extract every talker of the test set to wav, each on its matched embedding."""

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
    options.add_argument("--embeddings", type=Path, required=True, help="EXP/Nmix/embeddings/test")
    options.add_argument("--extractor", type=Path, required=True, help="EXP/Nmix/NAME, wavs go to its test/matched/wav")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 computes on the CPU")
    args = options.parse_args(argv)
    return guarded(lambda: _extract(args), "stage 6 (extraction)")


def _extract(args) -> None:
    model, out = args.extractor / "matched" / "model.pt", args.extractor / "test" / "matched" / "wav"

    def work() -> None:
        from wesep_mix.analysis.extraction import extract_set
        from wesep_mix.analysis.settings import ScoreConfig
        from wesep_mix.config import load_config
        from wesep_mix.io.embeddings import read_embeddings
        from wesep_mix.mixing.plan import read_plans

        settings = load_config(ScoreConfig, args.config, args.set)
        matched = read_embeddings(args.embeddings / "matched.scp")
        plans = read_plans(args.data / "plan.jsonl")
        device = "cuda" if args.ngpu else "cpu"
        extract_set(model, plans, matched, out, device, settings.wav_subtype, settings.chunks)

    raw = extraction_settings(read_raw(args.config, args.set))
    needs = [Need(args.data, 1), Need(args.embeddings / "matched.scp", 4), Need(model, 5)]
    run_part(Part(6, "extraction", out, raw, needs), args.force, work)


if __name__ == "__main__":
    sys.exit(main())
