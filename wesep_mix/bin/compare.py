"""Two or more runs side by side: the rows that all have, and their differences from the first, with intervals.

    python -m wesep_mix.bin.compare exp/mini exp/mini_wide --out COMPARED.md

The runs must have been tested on the same mixtures.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import guarded


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("exp", type=Path, nargs="+", help="two or more experiments: exp/CORPUS or exp/CORPUS_TAG")
    options.add_argument("--num_spk", type=int, help="talkers in a mixture [all numbers that all runs have]")
    options.add_argument("--out", type=Path, help="Markdown file to write the tables to as well")
    args = options.parse_args(argv)
    if len(args.exp) < 2:
        options.error(f"wanted two or more experiments, found {len(args.exp)}")
    return guarded(lambda: _compare(args), "compare")


def _compare(args: argparse.Namespace) -> None:
    from wesep_mix.base.files import atomic_write
    from wesep_mix.report.compare import compare_runs

    numbers = [args.num_spk] if args.num_spk else _shared_numbers(args.exp)
    text = "\n".join(compare_runs(args.exp, number) for number in numbers)
    if args.out:
        with atomic_write(args.out) as file:
            file.write(text)
    print(text, end="")


def _shared_numbers(exps: list[Path]) -> list[int]:
    found = {
        exp: {int(path.name[:-3]) for path in exp.glob("*mix") if re.fullmatch(r"\d+mix", path.name)} for exp in exps
    }
    shared = set.intersection(*found.values())
    if not shared:
        told = "; ".join(
            f"{exp}: {', '.join(f'{one}mix' for one in sorted(has)) or 'none'}" for exp, has in found.items()
        )
        raise UserError(f"compare: wanted a folder Nmix that all runs have, found {told}")
    return sorted(shared)


if __name__ == "__main__":
    sys.exit(main())
