"""What speaker embeddings cost: a step of the student's training, and their extraction.

    python benchmarks/embeddings.py
    python benchmarks/embeddings.py --device cuda

Step: student_step.py, a process for each way in each round, in turn. The ways differ in which weights get a gradient.

Extraction, on the CPU only: made utterances of --lengths seconds through a teacher with random weights, in batches as
in stage 4 and one by one. Rendering is part of it, decoding is not.

Printed are Markdown tables. Of several rounds the median; CPU times are of all threads, with system time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.installed import revision
from wesep_mix.base.stage import guarded
from wesep_mix.io.audio import SAMPLE_RATE, Read
from wesep_mix.mixing.plan import Noise, Plan, Source
from wesep_mix.report.tables import Table

if TYPE_CHECKING:
    from torch import nn

STEP = Path(__file__).with_name("student_step.py")
MINI_TEACHER = Path(__file__).resolve().parents[1] / "egs" / "mini" / "conf" / "teacher.yaml"
GRADIENTS = {
    "everything": "all weights",
    "training": "what the paper fine-tunes",
    "layers": "the same without the positional convolution",
}
CPU_HEADER = (
    "weights with a gradient",
    "CPU s a step",
    "wall s a step",
    "CPU time, all = 1",
    "peak GB",
    "peak, all = 1",
    "GB before the first step",
    "GFLOP a step",
)
GPU_HEADER = (
    "weights with a gradient",
    "steps/s",
    "peak GB",
    "TFLOP a step",
    "TFLOP/s",
    "a large product's TFLOP/s",
    "share of it",
)
EXTRACTION_HEADER = (
    "extraction",
    "utterances a CPU second",
    "utterances/s",
    "CPU: one by one = 1",
    "padding",
    "largest deviation",
)


@dataclass(frozen=True)
class Cost:
    """Seconds for all utterances, of CPU and of the clock; share of padding; largest deviation from one by one."""

    cpu_s: float
    wall_s: float
    padding: float
    deviation: float


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: the step alone, in bf16")
    options.add_argument("--rounds", type=int, default=3, help="rounds, of which the median is taken")
    options.add_argument("--step", nargs="*", default=[], metavar="NAME=VALUE", help="options of student_step.py")
    options.add_argument("--num", type=int, default=64, help="utterances for the mini recipe's teacher")
    options.add_argument("--num_large", type=int, default=6, help="utterances for one of WavLM's size")
    options.add_argument("--lengths", type=float, nargs=2, default=(4.0, 15.0), help="shortest and longest, in seconds")
    options.add_argument("--batch_size", type=int, default=16, help="utterances of a batch")
    options.add_argument("--architecture", help="JSON of a model of `transformers` in WavLM Base's place")
    args = options.parse_args(argv)
    return guarded(lambda: _measure(args), "embeddings")


def _measure(args: argparse.Namespace) -> None:
    costs = step_costs(args)
    print(_head(args))
    print(_step_table(args.device, costs).markdown())
    if args.device == "cpu":
        print(f"\n{_extraction_table(args).markdown()}")


# the step


def step_costs(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """By --gradient of student_step.py: what it prints, each value the median of the rounds."""
    found: dict[str, list[dict[str, float]]] = {gradient: [] for gradient in GRADIENTS}
    given = [f"--{option}" for option in args.step]
    if args.architecture:
        given.append(f"--architecture={args.architecture}")
    for _, gradient in itertools.product(range(args.rounds), GRADIENTS):  # in turn: a busy machine is busy for all
        command = [sys.executable, str(STEP), "--device", args.device, "--gradient", gradient, *given]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"{STEP}: ended with status {done.returncode} ({last})")
        found[gradient].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        gradient: {name: statistics.median(cost[name] for cost in costs) for name in costs[0]}
        for gradient, costs in found.items()
    }


def _step_table(device: str, costs: Mapping[str, Mapping[str, float]]) -> Table:
    rows = _gpu_rows if device == "cuda" else _cpu_rows
    return Table(GPU_HEADER if device == "cuda" else CPU_HEADER, rows(costs))


def _cpu_rows(costs: Mapping[str, Mapping[str, float]]) -> list[tuple[str, ...]]:
    whole = costs["everything"]
    return [
        (
            GRADIENTS[gradient],
            f"{cost['cpu_s']:.2f}",
            f"{cost['wall_s']:.2f}",
            f"{cost['cpu_s'] / whole['cpu_s']:.2f}",
            f"{cost['peak'] / 1e9:.2f}",
            f"{cost['peak'] / whole['peak']:.2f}",
            f"{cost['before'] / 1e9:.2f}",
            f"{cost['flops'] / 1e9:.0f}",
        )
        for gradient, cost in costs.items()
    ]


def _gpu_rows(costs: Mapping[str, Mapping[str, float]]) -> list[tuple[str, ...]]:
    rows = []
    for gradient, cost in costs.items():
        speed = cost["flops"] / cost["wall_s"]
        rows.append(
            (
                GRADIENTS[gradient],
                f"{1 / cost['wall_s']:.2f}",
                f"{cost['peak'] / 1e9:.2f}",
                f"{cost['flops'] / 1e12:.2f}",
                f"{speed / 1e12:.1f}",
                f"{cost['product'] / 1e12:.1f}",
                f"{100 * speed / cost['product']:.1f} %",
            )
        )
    return rows


# extraction


def _extraction_table(args: argparse.Namespace) -> Table:
    rows = []
    for title, (teacher, num) in _teachers(args).items():
        costs = extraction_costs(teacher, made_plans(num, *args.lengths), args.batch_size, args.rounds)
        alone = next(iter(costs.values()))
        for way, cost in costs.items():
            rows.append(
                (
                    f"{title}, {way}",
                    f"{num / cost.cpu_s:.2f}",
                    f"{num / cost.wall_s:.2f}",
                    f"{alone.cpu_s / cost.cpu_s:.2f}",
                    f"{100 * cost.padding:.0f} %",
                    f"{cost.deviation:.0e}",
                )
            )
    return Table(EXTRACTION_HEADER, rows)


def _teachers(args: argparse.Namespace) -> dict[str, tuple[nn.Module, int]]:
    """Title -> a teacher with random weights, and how many utterances it gets."""
    import torch  # and what needs it, not for those who only ask for help

    from wesep_mix.base import plugins
    from wesep_mix.base.config import load_config
    from wesep_mix.models.frontends import ssl
    from wesep_mix.models.teachers import asp
    from wesep_mix.training.settings import TeacherConfig

    torch.manual_seed(0)
    base = json.dumps({"model_type": "wavlm", "do_normalize": False})
    large = asp.Config(frontend=ssl.Config(architecture=args.architecture or base))
    configs = {
        "log-mel teacher of the mini recipe": (load_config(TeacherConfig, MINI_TEACHER).model, args.num),
        "teacher of WavLM's size": (large, args.num_large),
    }
    return {title: (plugins.build("teachers", config).eval(), num) for title, (config, num) in configs.items()}


def made_plans(num: int, shortest_s: float, longest_s: float) -> list[Plan]:
    """Plans of one talker each, of files that `made_audio` stands for."""
    rng = np.random.default_rng(0)
    plans = []
    for number in range(num):
        size = round(rng.uniform(shortest_s, longest_s) * SAMPLE_RATE)
        source = Source(f"{number:04d}", "nobody", "f", "speech", number, size, 0, 1.0, -25.0)
        plans.append(Plan(source.utt, size, (source,), Noise("noise", "noise", number, size + number, 10.0), ()))
    return plans


def made_audio(plans: Sequence[Plan]) -> Read:
    """`read_audio` for the plans' files: noise, as long as any of them asks for."""
    longest = max(source.start + source.num_samples for plan in plans for source in plan.sources)
    rng = np.random.default_rng(1)
    files = {name: 0.1 * rng.standard_normal(longest, dtype=np.float32) for name in ("speech", "noise")}

    def read(path: str, start: int = 0, num_samples: int | None = None, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
        return files[path][start:][:num_samples].copy()

    return read


def extraction_costs(teacher: nn.Module, plans: Sequence[Plan], batch_size: int, rounds: int) -> dict[str, Cost]:
    """By way, one by one first; all in this process, in turn."""
    by_length = sorted(plans, key=lambda plan: plan.num_samples)
    ways = {
        "one by one": (plans, 1),
        f"{batch_size} at once as they come": (plans, batch_size),
        f"{batch_size} at once by length": (by_length, batch_size),
    }
    read, costs, alone = made_audio(plans), {name: [] for name in ways}, None
    _extract(teacher, plans[:1], 1, read)  # what the first one costs more
    for _ in range(rounds):
        for name, (ordered, count) in ways.items():
            begin = time.process_time(), time.perf_counter()
            found = _extract(teacher, ordered, count, read)
            cpu_s, wall_s = time.process_time() - begin[0], time.perf_counter() - begin[1]
            alone = alone or found
            deviation = max(float(np.abs(found[key] - alone[key]).max()) for key in alone)
            costs[name].append(Cost(cpu_s, wall_s, _padding(ordered, count), deviation))
    return {name: sorted(each, key=lambda cost: cost.cpu_s)[(rounds - 1) // 2] for name, each in costs.items()}


def _extract(teacher: nn.Module, plans: Sequence[Plan], batch_size: int, read: Read) -> dict[str, np.ndarray]:
    from wesep_mix.data.datasets import fixed_loader
    from wesep_mix.inference.embeddings import single_embeddings

    return single_embeddings(teacher, iter(fixed_loader(plans, batch_size, read=read)))


def _padding(plans: Sequence[Plan], batch_size: int) -> float:
    """Share of the batches' samples that is padding."""
    sizes = [plan.num_samples for plan in plans]
    batches = [sizes[first : first + batch_size] for first in range(0, len(sizes), batch_size)]
    return 1 - sum(sizes) / sum(len(batch) * max(batch) for batch in batches)


def _head(args: argparse.Namespace) -> str:
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    machine = f"{os.cpu_count()} cores of {names[0] if names else platform.processor()}"
    if args.device == "cuda":
        import torch

        machine = f"{torch.cuda.get_device_name()}, {machine}"
    given = " ".join(
        f"--{name} {' '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}"
        for name, value in vars(args).items()
        if value
    )
    return f"`python benchmarks/embeddings.py {given}`, {machine}, revision {revision()}, {date.today()}:\n"


if __name__ == "__main__":
    sys.exit(main())
