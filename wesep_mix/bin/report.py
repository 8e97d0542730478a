"""Stage 9: gather all scores of an experiment into results.json, RESULTS.md, report.html, tables.tex and a table on the
terminal.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wesep_mix.base.files import remove_leftovers
from wesep_mix.base.locks import alone_in
from wesep_mix.base.stage import guarded
from wesep_mix.bin.options import parser


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--corpus", required=True, help="its name")
    options.add_argument("--num_spk", type=int, required=True, help="talkers in a mixture")
    options.add_argument("--exp", type=Path, required=True, help="experiment: exp/CORPUS or exp/CORPUS_TAG")
    options.add_argument("--data", type=Path, help="the test set, to listen to: data/CORPUS/Nmix/test [no audio]")
    options.add_argument("--seed", type=int, help="seed of the run [the one in EXP/teacher/config.yaml]")
    args = options.parse_args(argv)
    return guarded(lambda: _report(args), "stage 9 (report)")


def _report(args: argparse.Namespace) -> None:
    """Write the report, even where there is one: it takes seconds, and there may be more to report."""
    from wesep_mix.base.installed import revision
    from wesep_mix.report.build import write_report
    from wesep_mix.report.results import gather, training_seed

    seed = training_seed(args.exp) if args.seed is None else args.seed
    results = gather(args.exp, args.corpus, args.num_spk, seed, revision())
    with alone_in(args.exp, wait=True):  # a report of another number of talkers writes the same files
        remove_leftovers(args.exp)
        print(f"\n{write_report(args.exp, results, args.set, args.data)}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
