"""What DPCCN and SpEx+ cost beside WeSep's own modules with the same weights: a training step, and inference.

    git clone https://github.com/wenet-e2e/wesep
    python benchmarks/extractors.py wesep
    python benchmarks/extractors.py wesep --device cuda

Each way in each round is a process of its own (extractor_run.py), ours and WeSep's in turn. A step is on 2 mixtures of
3 s, inference on one of 5 s. What comes out is compared: the estimate, and the loss with all gradients of a step.
WeSep's SpEx+ takes 16 GB for a step: --run step:batch_size=1 halves that. Without a folder ours is measured alone.

Printed is a Markdown table. Of several rounds the median; CPU times are of all threads, with system time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.installed import revision
from wesep_mix.base.stage import guarded
from wesep_mix.report.tables import Table

RUN = Path(__file__).with_name("extractor_run.py")
TITLES = {"dpccn": "DPCCN", "spexplus": "SpEx+"}
WORKS = ("step", "inference")
OURS, THEIRS = "ours", "WeSep"
CPU_HEADER = (
    "work",
    "whose",
    "CPU s",
    "wall s",
    "peak GB",
    "CPU, WeSep = 1",
    "wall, WeSep = 1",
    "peak, WeSep = 1",
    "deviation",
)
GPU_HEADER = (
    "work",
    "whose",
    "ms",
    "peak GB",
    "time, WeSep = 1",
    "peak, WeSep = 1",
    "deviation",
    "TFLOP",
    "TFLOP/s",
    "a large product's TFLOP/s",
    "share of it",
)
Costs = dict[str, dict[str, float]]  # of each side, with `deviation`


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("wesep", type=Path, nargs="?", help="folder of a WeSep checkout; left out: ours alone")
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: in float32 and in bf16")
    options.add_argument("--models", nargs="+", choices=TITLES, default=list(TITLES))
    options.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    options.add_argument("--rounds", type=int, default=3, help="rounds, of which the median is taken")
    options.add_argument(
        "--run",
        nargs="*",
        default=[],
        metavar="[MODEL:|WORK:]NAME=VALUE",
        help="options of extractor_run.py, for one model or work where it is named",
    )
    args = options.parse_args(argv)
    return guarded(lambda: print(report(args)), "extractors")


def report(args: argparse.Namespace) -> str:
    """The table under a line that says what was measured. Raises: UserError when a process fails, or, before any
    measurement, when there is no checkout in the folder.
    """
    if args.wesep and not (args.wesep / "wesep" / "models").is_dir():
        raise UserError(f"{args.wesep}: wanted the folder of a WeSep checkout, found no wesep/models in it")
    precisions = ("float32", "bf16") if args.device == "cuda" else ("float32",)
    rows = []
    for model, work, precision in itertools.product(args.models, args.works, precisions):
        costs = measured(args, model, work, precision)
        title = f"{TITLES[model]}, {work}" + (f", {precision}" if args.device == "cuda" else "")
        rows += (_gpu_rows if args.device == "cuda" else _cpu_rows)(title, costs)
    table = Table(GPU_HEADER if args.device == "cuda" else CPU_HEADER, rows)
    return f"{_head(args)}\n{table.markdown()}"


def measured(args: argparse.Namespace, model: str, work: str, precision: str) -> Costs:
    """What each side costs, in the median of the rounds, and how far its results are from WeSep's."""
    sides = {OURS: []} | ({THEIRS: ["--wesep", str(args.wesep)]} if args.wesep else {})
    given = [
        "--model",
        model,
        "--work",
        work,
        "--device",
        args.device,
        "--precision",
        precision,
        *run_options(args.run, model, work),
    ]
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        results = {side: Path(folder, f"{side}.npz") for side in sides}
        for _, (side, more) in itertools.product(range(args.rounds), sides.items()):  # in turn: others' work is for all
            found[side].append(run([*given, *more, "--results", str(results[side])]))
        off = deviation(results[OURS], results[THEIRS]) if args.wesep else float("nan")
    costs = {
        side: {name: statistics.median(cost[name] for cost in each) for name in each[0]} for side, each in found.items()
    }
    costs[OURS]["deviation"] = off
    return costs


def run_options(given: Sequence[str], model: str, work: str) -> list[str]:
    """`NAME=VALUE` for all, `MODEL:` or `WORK:` in front for one -> options of extractor_run.py."""
    options = []
    for option in given:
        place, colon, named = option.partition(":")
        if not colon or place not in {*TITLES, *WORKS}:
            options.append(f"--{option}")
        elif place in (model, work):
            options.append(f"--{named}")
    return options


def run(options: Sequence[str]) -> dict[str, float]:
    """What extractor_run.py prints. Raises: UserError with its last line when it fails."""
    done = subprocess.run([sys.executable, str(RUN), *options], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{RUN}: ended with status {done.returncode} ({last})")
    return json.loads(done.stdout.splitlines()[-1])


def deviation(ours: Path, theirs: Path) -> float:
    """Root mean square difference of all values over that of WeSep's, of the array where that is largest.

    An array is the estimate, the loss, or the gradients of all weights together: those that are nothing but rounding
    (of a bias in front of a norm) count for nothing. Raises: UserError when one side has what the other has not.
    """
    with np.load(ours) as one, np.load(theirs) as other:
        if set(one.files) != set(other.files):
            raise UserError(
                f"{ours.name}: wanted the values of {theirs.name}, found others: "
                f"{', '.join(sorted(set(one.files) ^ set(other.files))[:3])}"
            )
        alone = [name for name in other.files if name in ("loss", "estimate")]
        groups = [[name] for name in alone] + [[name for name in other.files if name not in alone]]
        return max(_relative([(one[name], other[name]) for name in group]) for group in groups if group)


def _relative(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    error = sum(float(np.square(found.astype(np.float64) - wanted).sum()) for found, wanted in pairs)
    return float(np.sqrt(error / sum(float(np.square(wanted, dtype=np.float64).sum()) for _, wanted in pairs)))


def _cpu_rows(title: str, costs: Costs) -> list[tuple[str, ...]]:
    return [
        (
            title,
            side,
            f"{cost['cpu_s']:.2f}",
            f"{cost['wall_s']:.2f}",
            f"{cost['peak'] / 1e9:.2f}",
            *(_ratio(cost, costs, name) for name in ("cpu_s", "wall_s", "peak")),
            _deviation(cost),
        )
        for side, cost in costs.items()
    ]


def _gpu_rows(title: str, costs: Costs) -> list[tuple[str, ...]]:
    rows = []
    for side, cost in costs.items():
        speed = cost["flops"] / cost["wall_s"]
        rows.append(
            (
                title,
                side,
                f"{1000 * cost['wall_s']:.1f}",
                f"{cost['peak'] / 1e9:.2f}",
                _ratio(cost, costs, "wall_s"),
                _ratio(cost, costs, "peak"),
                _deviation(cost),
                f"{cost['flops'] / 1e12:.2f}",
                f"{speed / 1e12:.1f}",
                f"{cost['product'] / 1e12:.1f}",
                f"{100 * speed / cost['product']:.1f} %",
            )
        )
    return rows


def _ratio(cost: Mapping[str, float], costs: Costs, name: str) -> str:
    return f"{cost[name] / costs[THEIRS][name]:.2f}" if THEIRS in costs else ""


def _deviation(cost: Mapping[str, float]) -> str:
    off = cost.get("deviation", float("nan"))
    return "" if np.isnan(off) else f"{off:.0e}"


def _head(args: argparse.Namespace) -> str:
    machine = f"{os.cpu_count()} CPU cores, no GPU"
    if args.device == "cuda":
        import torch

        machine = f"{torch.cuda.get_device_name()}, {os.cpu_count()} CPU cores"
    given = " ".join(
        f"--{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in vars(args).items()
        if name != "wesep" and value
    )
    folder = " wesep" if args.wesep else ""
    return f"`python benchmarks/extractors.py{folder} {given}`, {machine}, revision {revision()}, {date.today()}:\n"


if __name__ == "__main__":
    sys.exit(main())
