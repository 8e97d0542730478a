"""Stage 1: lists and mixture plans of a corpus."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from wesep_mix.bin.options import parser
from wesep_mix.config import load_config, to_dict
from wesep_mix.mixing.listing import prepare_lists
from wesep_mix.mixing.prepare import prepare_plans
from wesep_mix.mixing.settings import CorpusConfig
from wesep_mix.stage import Need, Part, guarded, run_part


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/corpus.yaml")
    options.add_argument("--data", type=Path, required=True, help="folder to write: data/CORPUS")
    options.add_argument("--num_spk", type=int, required=True, help="talkers in a mixture")
    options.add_argument("--nj", type=int, default=1, help="parallel processes")
    args = options.parse_args(argv)
    return guarded(lambda: _prepare(args), "stage 1 (data)")


def _prepare(args) -> None:
    settings = load_config(CorpusConfig, args.config, args.set)
    raw, corpus = to_dict(settings), args.data / "corpus"
    listing = {key: raw[key] for key in ("corpus", "max_bad")} | {"mixing": raw["mixing"]}
    run_part(Part(1, "lists", corpus, listing), args.force, partial(prepare_lists, settings, corpus, args.nj))
    for num_spk, folder in ((1, args.data / "single"), (args.num_spk, args.data / f"{args.num_spk}mix")):
        plans = Part(1, f"plans, {num_spk} talker{'s' * (num_spk > 1)}", folder, raw, [Need(corpus, 1)])
        run_part(plans, args.force, partial(prepare_plans, settings, corpus / "lists", folder, num_spk))


if __name__ == "__main__":
    sys.exit(main())
