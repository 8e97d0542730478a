"""What each of the fast ways in models/layers/fast saves of a whole training step, by leaving one out.

    python benchmarks/kernels.py
    python benchmarks/kernels.py egs/mini/conf/extractor/*.yaml egs/mini/conf/teacher.yaml

A name stands for an extractor of its default size, on 2 mixtures of 3 s; a YAML is a recipe's stage 2 or 5, with its
batch size and chunks. In one process a step is taken in the fast ways and without one of them, in turn, so that other
work on the machine is for both.

Printed is a Markdown table: CPU time (all threads) and memory without a way, over those with all; 1.30 is a step that
takes 30 % more without it. Memory is what the process holds at most in the step, beyond what it held before (Linux).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import yaml
from student_step import memory
from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.base import config as configs
from wesep_mix.base import plugins
from wesep_mix.base.stage import guarded
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.losses.signal import extraction_loss
from wesep_mix.models.extractors import dpccn, spexplus
from wesep_mix.models.frontends import logmel
from wesep_mix.models.layers import embedding_head, fusion
from wesep_mix.models.layers.fast import conv_tasnet, dense, frames_last
from wesep_mix.models.layers.network import estimates
from wesep_mix.models.layers.norms import instance_norm
from wesep_mix.report.tables import Table

WEIGHTS = {1: (1.0,), 3: (0.8, 0.1, 0.1)}  # of the estimates in the loss
Replacement = tuple[Any, str, Callable]  # of a module's function


def written_beside(x: Tensor, beside: Tensor, weight: Tensor, bias: Tensor, dim: int = -1, product=functional.linear):
    """In place of `frames_last.side_by_side`: what stands beside every frame is written there."""
    sizes = list(x.shape)
    sizes[dim] = beside.shape[dim]
    return product(torch.cat([x, beside.expand(sizes)], dim), weight, bias)


STEPS_APART = [(conv_tasnet, "applies", lambda x, weight: False)]
KEPT = [(conv_tasnet, "recomputed", lambda step, x: step(x))]
SIDE_BY_SIDE = [(module, "side_by_side", written_beside) for module in (frames_last, fusion, embedding_head)]
LAYOUT = [
    *((module, "frames_last", lambda x: x) for module in (frames_last, dense, spexplus, logmel)),
    *((module, "is_frames_last", lambda x: False) for module in (frames_last, conv_tasnet)),
]
WAYS: dict[str, dict[str, list[Replacement]]] = {  # by the model: what is left out, and how
    "spexplus": {
        "PReLU, norm and convolution as one step": STEPS_APART,
        "these, and steps computed again": STEPS_APART + KEPT,
        "these, and frames last": STEPS_APART + KEPT + LAYOUT,
        "embedding not written beside frames": SIDE_BY_SIDE,
    },
    "dpccn": {
        "ELU and norm as one step": [(dense, "elu_instance_norm", lambda x: instance_norm(functional.elu(x)))],
        "concatenations not kept": [(dense, "conv_of_parts", lambda conv, parts: conv(torch.cat(parts, 1)))],
        "channels last": [(dpccn, "channels_last", lambda x: x)],
        "TCN: ELU turns the layout": [(dense, "elu_frames_last", lambda x: frames_last.frames_last(functional.elu(x)))],
        "TCN: frames last": [*LAYOUT, (dense, "elu_frames_last", functional.elu)],
    },
    "asp": {
        "positional convolution frames last": LAYOUT,
        "context not written beside frames": SIDE_BY_SIDE,
    },
}


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("models", nargs="*", default=["spexplus", "dpccn"], help="names, or YAMLs of stages 2 and 5")
    options.add_argument("--ways", nargs="*", default=[], help="only these, by parts of their names")
    options.add_argument("--rounds", type=int, default=3, help="of which the median is taken")
    options.add_argument("--batch_size", type=int, help="mixtures; left out: see above")
    options.add_argument("--seconds", type=float, help="length of a mixture; left out: see above")
    options.add_argument("--threads", type=int, default=1)
    args = options.parse_args(argv)
    return guarded(lambda: print(report(args)), "kernels")


def report(args: argparse.Namespace) -> str:
    """The table; a model without a fast way has one row that says so."""
    torch.set_num_threads(args.threads)
    rows = []
    for given in args.models:
        step, name = training_step(given, args)
        ways = {way: parts for way, parts in WAYS.get(name, {}).items() if wanted(way, args.ways)}
        for way, ratios in measured(step, ways, args.rounds).items():
            rows.append((given, way, *(f"{ratio:.2f}" for ratio in ratios)))
        rows += [] if ways else [(given, "takes none", "", "")]
    header = ("model", "left out", "CPU time, with all ways = 1", "memory of the step, with all ways = 1")
    return Table(header, rows).markdown()


def wanted(way: str, parts: Sequence[str]) -> bool:
    """Whether a way is to be measured: one of the parts is in its name, or there are no parts."""
    return not parts or any(part in way for part in parts)


def measured(step: Callable[[], None], ways: dict[str, list[Replacement]], rounds: int) -> dict[str, tuple[float, ...]]:
    """Of each way, CPU time and memory of a step without it over those with all: medians of the rounds.

    Args:
        step: Takes a training step.
        ways: What replaces each way.
        rounds: How often each is measured, every time between two steps in the fast ways.

    Returns:
        Both ratios by the way's name.
    """
    step()  # memory is laid out
    found: dict[str, list[tuple[float, ...]]] = {way: [] for way in ways}
    for _ in range(rounds):
        before = cost(step)
        for way, parts in ways.items():
            with left_out(parts):
                without = cost(step)
            after = cost(step)
            found[way].append(tuple(2 * one / (a + b) for one, a, b in zip(without, before, after, strict=True)))
            before = after
    return {way: tuple(map(statistics.median, zip(*each, strict=True))) for way, each in found.items()}


@contextlib.contextmanager
def left_out(parts: Sequence[Replacement]) -> Iterator[None]:
    """In it, functions are replaced by plain ones."""
    with contextlib.ExitStack() as stack:
        for module, name, plain in parts:
            stack.enter_context(mock.patch.object(module, name, plain))
        yield


def cost(step: Callable[[], None]) -> tuple[float, float]:
    """Seconds of CPU, and bytes that the process held at most beyond what it held before."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # path.sh has it keep what it once held
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    held, begin = memory("cpu", at_most=False), time.process_time()
    step()
    return time.process_time() - begin, max(1, memory("cpu", at_most=True) - held)


def training_step(given: str, args: argparse.Namespace) -> tuple[Callable[[], None], str]:
    """A function that takes a step on noise, and the model's name."""
    settings = yaml.safe_load(Path(given).read_text(encoding="utf-8")) if given.endswith(".yaml") else {}
    chosen = settings.get("model", {"name": given})
    kind = next(kind for kind in ("extractors", "separators", "teachers") if chosen["name"] in plugins.names(kind))
    torch.manual_seed(0)
    model = plugins.build(kind, configs.from_dict(plugins.load(kind, chosen["name"]).Config, chosen, given)).train()
    shape = (
        args.batch_size or settings.get("batch_size", 2),
        round((args.seconds or settings.get("chunk_s", 3.0)) * SAMPLE_RATE),
    )
    mix, target = 0.1 * torch.randn(shape), 0.1 * torch.randn(shape)
    emb = torch.randn(shape[0], getattr(model.config, "embedding_dim", 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)

    def step() -> None:
        loss_of(kind, model, mix, emb, target).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, chosen["name"]


def loss_of(kind: str, model: nn.Module, mix: Tensor, emb: Tensor, target: Tensor) -> Tensor:
    """SI-SNR of an extractor's or separator's estimates; of a teacher any loss will do."""
    if kind == "teachers":
        return (model(mix) * emb).sum()
    if kind == "separators":
        return extraction_loss(model(mix), target, "si_snr", (1.0,) * model.config.num_spk)
    ests = estimates(model, mix, None if model.config.fusion == "none" else emb)
    return extraction_loss(ests, target, "si_snr", WEIGHTS[ests.shape[1]])


if __name__ == "__main__":
    sys.exit(main())
