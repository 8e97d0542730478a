"""What a GPU makes of the trainings: steps at the paper's sizes, the loader, the mini recipe's trainings in bf16.

    bash benchmarks/gpu.sh [--minutes 12] [--only student DPCCN] [--out FILE]

On a machine with a GPU the tables go to benchmarks/GPU.md, without one the same is done at toy size on the CPU and
printed; such figures say that the script runs, nothing else. Each case is a process of its own (gpu_work.py) with a
time limit. 'failed: REASON' stands where one failed, 'not run: out of time' where one no longer fitted; then the status
is 1. The tables are written anew after every case.

A step is forward, loss, backward, clipping (extractors) and optimiser on noise, in the recipe's batches. The student
has WavLM Base's sizes with random weights, and the teacher's embeddings are given. bf16 is autocast. The share is of
what this chip does in a large bf16 product of matrices, measured in the same run; operations are those that PyTorch
counts of an uncompiled step.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import gpu_work
import torch
from mixing import BATCH_SIZE, cores

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write
from wesep_mix.base.installed import revision, shown, versions
from wesep_mix.base.stage import guarded
from wesep_mix.report.tables import Table

GPU_PAGE = Path(__file__).with_name("GPU.md")
CLOSING_S = 5.0  # kept for the end of the script
LEAST_S = {"cuda": 10.0, "cpu": 3.0}  # no case is begun with less time left
LONGEST_REASON = 160
PRELOADED = ["torch._dynamo", "wesep_mix.bin.prepare_data", "wesep_mix.training.extractor"]  # once for all cases
NOT_RUN = "not run: out of time"
EXTRACTORS = {"dpccn": "DPCCN", "spexplus": "SpEx+", "pdccrn": "pDCCRN"}
WAYS = {"fp32": ("fp32", False), "bf16": ("bf16", False), "bf16, torch.compile": ("bf16", True)}  # compiled or not
HEADERS = {
    "Products of matrices": ("product", "TFLOP/s"),
    "Training steps": (
        "step",
        "mixtures",
        "ms a step",
        "mixtures/s",
        "peak GB",
        "GFLOP a step",
        "TFLOP/s",
        "share of the bf16 product",
        "first step s",
    ),
    "Loader": ("data workers", "mixtures/s", "audio s a second", "CPU ms a mixture"),
    "The mini recipe": ("work", "whole s", "steps", "steps/s", "peak GB", "loss, first logged", "loss, last logged"),
}
PRODUCTS, STEPS, LOADER, RECIPE = HEADERS
TINY_WAVLM = {
    "model_type": "wavlm",
    "do_normalize": False,
    "layerdrop": 0.0,
    "apply_spec_augment": False,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


@dataclass(frozen=True)
class Size:
    """How large the cases are: on a GPU as below, on the CPU `TOY`."""

    product: int = 8192
    steps: int = 20  # that are timed
    student: Sequence[str] = ("--batch_size", "16", "--seconds", "7")  # the batch of conf/student.yaml
    extractors: str = "conf/extractor"
    extractor: Sequence[str] = ()  # settings that are others
    corpus: Sequence[str] = ()
    loader_steps: int = 30  # batches for each worker
    most_workers: int = 16
    mini: Sequence[str] = ("trainer.max_steps=300", "trainer.steps_per_epoch=100")
    workers: int = 8  # of a mini training
    backend: str = "inductor"  # of torch.compile


TOY = Size(
    product=512,
    steps=3,
    student=("--batch_size=2", "--seconds=0.5", f"--architecture={json.dumps(TINY_WAVLM)}", "--finetuned_layers=1"),
    extractors="conf/small/extractor",
    extractor=("batch_size=1", "chunk_s=0.25"),
    corpus=(
        "corpus.corpus={name: mini, num_voices: {train: 4, dev: 3, test: 3}, utterances_per_voice: {train: 2, dev: 2, "
        "test: 2}, min_s: 3.0, max_s: 4.0, noise: {files_per_kind: 1, seconds: 8}}",
        "corpus.mixing.segment_s=2.0",
        "corpus.mixtures={train: 4, dev: 2, test: 2}",
        "corpus.single={train: 4, dev: 6, test: 4}",
    ),
    loader_steps=4,
    most_workers=1,
    mini=("trainer.max_steps=12", "trainer.steps_per_epoch=6", "batch_size=4", "chunk_s=1.0"),
    workers=0,
    backend="aot_eager",  # traces all, but generates no code, which takes a minute a network
)


@dataclass(frozen=True, eq=False)  # one is a key
class Case:
    """A row of a table: what is done for it, with which options, and in how many seconds at most."""

    table: str
    title: str
    work: Callable[..., gpu_work.Cost]
    options: Mapping[str, Any] = field(default_factory=dict)
    limit_s: float = 60.0


Outcome = gpu_work.Cost | str  # what a case cost, or why there is no cost


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        prog="gpu.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--minutes", type=float, default=12.0, help="of the whole, the start included")
    options.add_argument("--only", nargs="+", default=[], metavar="PART", help="cases with one of these in their names")
    options.add_argument("--out", type=Path, help="file to write; on a GPU benchmarks/GPU.md, on the CPU none")
    options.add_argument("--start", type=float, default=time.time(), help=argparse.SUPPRESS)  # of gpu.sh
    args = options.parse_args(argv)
    return guarded(lambda: _measure(args, sys.argv[1:] if argv is None else argv), "gpu")


def _measure(args: argparse.Namespace, given: Sequence[str]) -> int:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    end = args.start + 60 * args.minutes - CLOSING_S
    out = args.out or (GPU_PAGE if device == "cuda" else None)
    if device == "cpu" and out and out.resolve() == GPU_PAGE:
        raise UserError(f"{out}: is for figures of a GPU, found none that torch can use; give --out another name")
    head = _head(device, given, end - time.time())
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        chosen = [case for case in cases(device, Path(folder)) if _wanted(case, args.only)]
        if not chosen:
            raise UserError(f"--only {' '.join(args.only)}: wanted a part of a case's name, found none that has it")
        found: dict[Case, Outcome] = {}
        for case in in_order(chosen):
            left_s = end - time.time()
            found[case] = NOT_RUN if left_s < LEAST_S[device] else outcome(case, device, left_s)
            print(f"[{len(found)}/{len(chosen)}] {case.table}, {case.title}: {_said(found[case])}", file=sys.stderr)
            if out:
                _write(out, head, chosen, found)
    print(f"{head}\n{tables(chosen, found)}")
    lacking = [f"{case.title}: {text}" for case, text in found.items() if isinstance(text, str)]
    for line in lacking:
        print(f"error: {line}", file=sys.stderr)
    return 1 if lacking else 0


def cases(device: str, folder: Path) -> list[Case]:
    """All cases, in the order of the tables.

    Args:
        device: `cuda` or `cpu`, which also says how large they are.
        folder: for the mini recipe's data and models.
    """
    size, at_once = (Size() if device == "cuda" else TOY), os.cpu_count() or 1
    steps = {"device": device, "steps": size.steps}
    student = {**steps, "options": size.student}
    networks = {"student": (gpu_work.student, student)}
    for name, title in EXTRACTORS.items():
        path = gpu_work.ROOT / size.extractors / f"{name}.yaml"
        networks[title] = (gpu_work.extractor, {**steps, "path": path, "changes": size.extractor})
    workers = [num for num in (1, 2, 4, 8, 16) if num <= min(at_once, size.most_workers)]
    mini = [*size.mini, "trainer.precision=bf16-mixed", f"trainer.num_workers={min(size.workers, at_once)}"]
    of_folder = {"folder": folder}
    prepared = {**of_folder, "num_jobs": min(8, at_once), "changes": size.corpus}
    return [
        *(
            Case(PRODUCTS, f"{size.product} x {size.product}, {precision}", gpu_work.product, options)
            for precision in ("bf16", "fp32")
            for options in [{"device": device, "precision": precision, "size": size.product}]
        ),
        *(
            Case(STEPS, f"{title}, {way}", work, {**options, "precision": precision, "backend": backend}, limit_s)
            for title, (work, options) in networks.items()
            for way, (precision, compiled) in WAYS.items()
            for backend, limit_s in [(size.backend, 120.0) if compiled else ("", 45.0)]
        ),
        Case(RECIPE, "data (stage 1)", gpu_work.data, prepared, 90.0),
        *(
            Case(LOADER, str(num), gpu_work.loader, {**of_folder, "num_workers": num, "steps": size.loader_steps}, 30.0)
            for num in workers
        ),
        *(
            Case(RECIPE, kind, gpu_work.training, {**of_folder, "kind": kind, "device": device, "changes": mini}, 90.0)
            for kind in ("teacher", "student", "extractor")
        ),
    ]


def in_order(chosen: Sequence[Case]) -> list[Case]:
    """As they are run: compiled extractors, which may take long to compile, come after all others."""
    return sorted(chosen, key=lambda case: case.work is gpu_work.extractor and bool(case.options["backend"]))


def _wanted(case: Case, parts: Sequence[str]) -> bool:
    return not parts or any(part in f"{case.table}: {case.title}" for part in parts)


def outcome(case: Case, device: str, left_s: float) -> Outcome:
    """Run a case in a process of its own, which is ended with all of its children when its time is over.

    Args:
        case: what is run.
        device: `cuda` or `cpu`.
        left_s: seconds that the whole script has left; a case that is ended for that was not run.
    """
    if device == "cuda":  # a process that has touched the GPU must not be forked
        context = multiprocessing.get_context("spawn")
    else:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
    answer, sent = context.Pipe(duplex=False)
    process = context.Process(target=gpu_work.child, args=(sent, case.work, case.options))
    process.start()
    sent.close()
    try:
        if answer.poll(min(case.limit_s, left_s)):
            found = answer.recv()
            process.join(CLOSING_S)
            return f"failed: {_short(found)}" if isinstance(found, str) else found
        return NOT_RUN if left_s < case.limit_s else f"failed: took more than {case.limit_s:.0f} s"
    except EOFError:
        process.join()
        return f"failed: its process ended with status {process.exitcode} and said nothing"
    finally:
        _end(process)


def _end(process: multiprocessing.process.BaseProcess) -> None:
    """End a case's process and what it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # all have ended, or it has not come to its own session yet
        process.kill()
    process.join()


def _short(reason: str) -> str:
    """A reason that fits into a cell."""
    reason = " ".join(reason.split()).replace("|", "/")
    return reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 3]}..."


def _said(found: Outcome) -> str:
    return found if isinstance(found, str) else ", ".join(f"{name} {value:.4g}" for name, value in found.items())


def tables(chosen: Sequence[Case], found: Mapping[Case, Outcome]) -> str:
    """All tables that have a case; what has not come to its turn yet is not run."""
    peak = next((cost["speed"] for case, cost in found.items() if _is_peak(case) and not isinstance(cost, str)), None)
    cells = {PRODUCTS: _product_cells, STEPS: partial(_step_cells, peak=peak), LOADER: _loader_cells}
    parts = []
    for name, header in HEADERS.items():
        rows = []
        for case in (case for case in chosen if case.table == name):
            cost = found.get(case, NOT_RUN)
            filled = [cost] if isinstance(cost, str) else cells.get(name, _recipe_cells)(cost)
            rows.append([case.title, *filled, *[""] * (len(header) - 1 - len(filled))])
        if rows:
            parts.append(f"## {name}\n\n{Table(header, rows).markdown()}\n")
    return "\n".join(parts)


def _is_peak(case: Case) -> bool:
    return case.work is gpu_work.product and case.options["precision"] == "bf16"


def _product_cells(cost: gpu_work.Cost) -> list[str]:
    return [f"{cost['speed'] / 1e12:.3g}"]


def _step_cells(cost: gpu_work.Cost, peak: float | None) -> list[str]:
    speed = cost["flops"] / cost["step_s"]
    return [
        f"{cost['mixtures']:.0f}",
        f"{1000 * cost['step_s']:.1f}",
        f"{cost['mixtures'] / cost['step_s']:.1f}",
        f"{cost['peak'] / 1e9:.2f}",
        f"{cost['flops'] / 1e9:.4g}",
        f"{speed / 1e12:.3g}",
        f"{100 * speed / peak:.1f} %" if peak else "not measured",
        f"{cost['first_s']:.1f}",
    ]


def _loader_cells(cost: gpu_work.Cost) -> list[str]:
    return [f"{cost['rate']:.0f}", f"{cost['seconds']:.0f}", f"{1000 * cost['cpu_s']:.1f}"]


def _recipe_cells(cost: gpu_work.Cost) -> list[str]:
    whole = f"{cost['whole_s']:.1f}"
    if "steps" not in cost:
        return [whole]
    rate, peak = f"{1 / cost['step_s']:.1f}", f"{cost['peak'] / 1e9:.2f}"
    return [whole, f"{cost['steps']:.0f}", rate, peak, *(f"{cost[name]:.3f}" for name in ("first", "last"))]


def _head(device: str, given: Sequence[str], left_s: float) -> str:
    options = shlex.join(["bash", "benchmarks/gpu.sh", *_without_start(given)])
    size = Size() if device == "cuda" else TOY
    machine = f"{cores()}, no GPU"
    where = "Peak memory is all that the process has held."
    if device == "cuda":
        chip = outcome(Case("", "the GPU", gpu_work.chip), device, left_s)
        if isinstance(chip, str):
            raise UserError(f"the GPU cannot be used: {chip}")
        machine = f"{chip['name']} with {chip['memory'] / 1e9:.0f} GB, CUDA {torch.version.cuda}, {cores()}"
        where = "Peak memory is of tensors on the GPU (`torch.cuda.max_memory_allocated`), in the timed steps."
    lines = [
        "# What a GPU makes of the trainings" if device == "cuda" else "# benchmarks/gpu.sh at toy size on a CPU",
        f"`{options}`, seed {gpu_work.SEED}, revision {revision()}, {date.today()}; {shown(versions())}; {machine}. "
        "Made by `benchmarks/gpu.sh`, whose `--help` says what is measured.",
        f"- Steps: the median of {size.steps}, each waited for, after one in which operations are counted, the first, "
        f"which compiles where that is asked for (torch.compile, {size.backend}), and {gpu_work.WARM_UP} more. "
        "Products: the best of three.\n"
        f"- {where}\n"
        f"- Loader: batches of {BATCH_SIZE} fresh mixtures of the mini corpus, from the second batch on. The mini "
        "recipe's trainings are in bf16-mixed; whole s has start, data and dev sets in it, steps/s is of the median "
        f"step. Settings: `{' '.join(size.mini)}`.",
    ]
    if device == "cpu":
        lines.insert(1, "**Toy sizes on a CPU: that the script runs, nothing about any GPU.**")
    return "\n\n".join(lines) + "\n"


def _without_start(given: Sequence[str]) -> list[str]:
    """The options without the one that gpu.sh gives."""
    return list(given[2:] if given[:1] == ["--start"] else given)


def _write(path: Path, head: str, chosen: Sequence[Case], found: Mapping[Case, Outcome]) -> None:
    with atomic_write(path) as file:
        file.write(f"{head}\n{tables(chosen, found)}")


if __name__ == "__main__":
    sys.exit(main())
