"""How bad the unprocessed mixtures of a plan file are: mean PESQ, STOI and SI-SDR against each source, by SNR.

    python benchmarks/input_quality.py data/CORPUS/2mix/test/plan.jsonl --num 200 --nj 2

A Markdown table. Every source of a mixture counts once; PESQ wideband; STOI not extended; SI-SDR without mean removal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.parallel import map_items
from wesep_mix.base.stage import guarded
from wesep_mix.evaluation.trials import Trial, score_trial
from wesep_mix.mixing.plan import Plan, read_plans
from wesep_mix.report.tables import Table

COLUMNS = {"pesq": 2, "stoi": 2, "si_sdr": 2}
HEADER = ("SNR", "mixtures", "sources", "PESQ", "STOI", "SI-SDR dB")
STEP_DB = 5  # SNRs that are not one of a few modes are taken together around multiples of this
MAX_MODES = 8


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("plans", type=Path, help="a plan.jsonl")
    options.add_argument("--num", type=int, default=200, help="mixtures, the first of the file")
    options.add_argument("--nj", type=int, default=1, help="parallel processes; never changes a number")
    args = options.parse_args(argv)
    return guarded(lambda: _measure(args), "input_quality")


def _measure(args) -> None:
    plans = read_plans(args.plans)[: args.num]
    if len(plans) < args.num:
        raise UserError(f"{args.plans}: wanted {args.num} mixtures, found {len(plans)}; lower --num")
    print(quality_table(plans, args.nj).markdown(), flush=True)


def quality_table(plans: Sequence[Plan], nj: int) -> Table:
    """Mean scores by SNR mode, and over all. Raises: UserError for a mixture that cannot be scored."""
    trials = [Trial(plan, index, None) for plan in plans for index in range(len(plan.sources))]
    found = map_items(score_trial, trials, nj, "scoring the mixtures")
    if odd := next((f"{trial.key}: {why}" for trial, one in found for why in one["why"].values()), None):
        raise UserError(odd)
    scored = [(trial.plan, one["values"]) for trial, one in found]
    modes = snr_modes([plan.noise.snr_db for plan in plans])
    groups = {
        f"{mode:g} dB": [pair for pair in scored if modes[pair[0].noise.snr_db] == mode]
        for mode in sorted(set(modes.values()))
    }
    return Table(HEADER, [_cells(name, pairs) for name, pairs in (groups | {"all": scored}).items()])


def snr_modes(snrs: Sequence[float]) -> dict[float, float]:
    """The mode that each SNR is of: itself where there are few, else the nearest multiple of STEP_DB."""
    few = len(set(snrs)) <= MAX_MODES
    return {snr: snr if few else STEP_DB * round(snr / STEP_DB) for snr in snrs}


def _cells(name: str, pairs: Sequence[tuple[Plan, dict[str, float]]]) -> list[str]:
    means = [f"{np.mean([scores[metric] for _, scores in pairs]):.{digits}f}" for metric, digits in COLUMNS.items()]
    return [name, str(len({plan.id for plan, _ in pairs})), str(len(pairs)), *means]


if __name__ == "__main__":
    sys.exit(main())
