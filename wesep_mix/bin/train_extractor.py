"""Stage 5: train the extractor, mixture and embedding -> one talker; and the same network without embedding."""

from __future__ import annotations

import sys
from pathlib import Path

from wesep_mix.bin.options import parser
from wesep_mix.config import read_raw
from wesep_mix.stage import Need, Part, guarded, run_part

EMBEDDINGS = ("matched", "none")


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/extractor/NAME.yaml")
    options.add_argument("--data", type=Path, required=True, help="prepared mixtures: data/CORPUS/Nmix")
    options.add_argument("--teacher", type=Path, required=True, help="EXP/teacher/model.pt")
    options.add_argument("--student", type=Path, required=True, help="EXP/Nmix/student/model.pt")
    options.add_argument("--num_spk", type=int, required=True, help="talkers in a mixture")
    options.add_argument("--out", type=Path, required=True, help="folder to write: EXP/Nmix/NAME")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 trains on the CPU")
    args = options.parse_args(argv)
    return guarded(lambda: _train(args), "stage 5 (extractor)")


def _train(args) -> None:
    needs = [Need(args.data, 1), Need(args.teacher, 2), Need(args.student, 3)]
    raw = read_raw(args.config, args.set)
    for embedding in EMBEDDINGS:
        part = Part(5, f"extractor, {embedding} embedding", args.out / embedding, raw | {"embedding": embedding}, needs)
        run_part(part, args.force, lambda out=part.out, embedding=embedding: _work(args, out, embedding))


def _work(args, out: Path, embedding: str) -> None:
    from wesep_mix.config import load_config
    from wesep_mix.training.extractor import train_extractor
    from wesep_mix.training.settings import ExtractorConfig

    settings = load_config(ExtractorConfig, args.config, args.set)
    train_extractor(settings, args.data, args.teacher, args.student, out, args.num_spk, embedding, args.ngpu)


if __name__ == "__main__":
    sys.exit(main())
