"""What each case of gpu.py does, in a process of its own: a training step, a product, a loader, a mini training."""

from __future__ import annotations

import csv
import itertools
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from mixing import loader_cost
from student_step import count_flops, memory, parsed, product_speed, timed
from student_step import training_step as student_step
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.optimizer import register_optimizer_step_post_hook

from wesep_mix.base import plugins
from wesep_mix.base.config import load_config
from wesep_mix.base.environment import Processes, settle
from wesep_mix.base.errors import UserError
from wesep_mix.bin import prepare_data
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.losses.signal import extraction_loss
from wesep_mix.models.layers.network import estimates
from wesep_mix.training.extractor import EmbeddingSource, train_extractor
from wesep_mix.training.settings import ExtractorConfig, StudentConfig, TeacherConfig
from wesep_mix.training.student import train_student
from wesep_mix.training.teacher import train_teacher

ROOT = Path(__file__).resolve().parents[1]
MINI = ROOT / "egs" / "mini" / "conf"
SEED = 0
WARM_UP = 3  # steps that are not timed
NUM_SPK = 2
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Cost = dict[str, float]


def child(answer: Connection, work: Callable[..., Cost], options: Mapping[str, Any]) -> None:
    """Do a case's work in a session of its own, so that all its processes can be ended; send its cost or the reason
    of its failure.
    """
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # data workers start as in any training, not as this process
    settle()
    try:
        answer.send(work(**options))
    except Exception as err:  # whatever goes wrong is the cell's text
        said = " ".join(str(err).split())
        answer.send(said if isinstance(err, UserError) else f"{type(err).__name__}: {said}")


def chip() -> dict[str, Any]:
    """The GPU's name and bytes: asked here, since a process that asks holds some GPUs for itself."""
    found = torch.cuda.get_device_properties(0)
    return {"name": found.name, "memory": found.total_memory}


def product(device: str, precision: str, size: int) -> Cost:
    """Operations a second of a product of square matrices."""
    return {"speed": product_speed(device, DTYPES[precision], size)}


def student(precision: str, backend: str, device: str, steps: int, options: Sequence[str]) -> Cost:
    """A step of student_step.py with its further `options`."""
    named = {"fp32": "float32"}.get(precision, precision)
    args = parsed(["--device", device, "--precision", named, *options])
    network, step = student_step(args)
    return {**step_cost(network, step, backend, device, steps), "mixtures": args.batch_size}


def extractor(precision: str, backend: str, device: str, steps: int, path: Path, changes: Sequence[str]) -> Cost:
    """A step of an extractor with the settings of a recipe, its loss and clipping, on noise and given embeddings."""
    settings = load_config(ExtractorConfig, path, changes)
    torch.manual_seed(SEED)
    network = plugins.build("extractors", settings.model).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.optim.lr, weight_decay=settings.optim.weight_decay)
    shape = (settings.batch_size, round(settings.chunk_s * SAMPLE_RATE))
    mix, target = (0.1 * torch.randn(shape, device=device) for _ in range(2))
    emb = torch.randn(settings.batch_size, settings.model.embedding_dim, device=device)

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            ests = estimates(network, mix, emb)
        extraction_loss(ests.float(), target, settings.loss.name, settings.loss.weights).backward()
        clip_grad_norm_(network.parameters(), settings.trainer.clip)
        optimizer.step()
        optimizer.zero_grad()

    return {**step_cost(network, step, backend, device, steps), "mixtures": settings.batch_size}


def step_cost(network: nn.Module, step: Callable[[], None], backend: str, device: str, steps: int) -> Cost:
    """Operations, the first step's seconds, the median of the timed ones, and bytes at most in these.

    Args:
        network: what is compiled.
        step: takes a step of it.
        backend: of torch.compile; "" compiles nothing. Operations are counted before: PyTorch sees none inside a
            compiled network.
        device: `cuda` or `cpu`, whose bytes are all that the process has held so far.
        steps: how many are timed.
    """
    flops = count_flops(step)
    if backend:
        compile_network(network, backend)
    _, first_s = timed(step, device)
    for _ in range(WARM_UP):
        timed(step, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    step_s = statistics.median(timed(step, device)[1] for _ in range(steps))
    return {"flops": flops, "first_s": first_s, "step_s": step_s, "peak": memory(device, at_most=True)}


def compile_network(network: nn.Module, backend: str) -> None:
    """Compile what a step calls: the network, and the `estimates` of one that has more than its output."""
    network.compile(backend=backend)
    if hasattr(network, "estimates"):
        network.estimates = torch.compile(network.estimates, backend=backend)


def data(folder: Path, num_jobs: int, changes: Sequence[str]) -> Cost:
    """Stage 1 of the mini recipe."""
    given = ["--config", str(MINI / "corpus.yaml"), "--data", str(folder), "--num_spk", str(NUM_SPK)]
    begin = time.perf_counter()
    status = prepare_data.main([*given, "--nj", str(num_jobs), *(f"--set={change}" for change in changes)])
    if status:
        raise UserError(f"stage 1 of the mini recipe ended with status {status}; the reason is above the tables")
    return {"whole_s": time.perf_counter() - begin}


def loader(folder: Path, num_workers: int, steps: int) -> Cost:
    """Fresh mixtures of the mini recipe, as batches; `steps` for each worker."""
    train = PreparedSet(folder / f"{NUM_SPK}mix" / "train")
    rate, cpu_s = loader_cost(train.pool, NUM_SPK, steps * num_workers, num_workers)
    length = statistics.mean(plan.num_samples for plan in train.plans) / SAMPLE_RATE
    return {"rate": rate, "cpu_s": cpu_s, "seconds": rate * length}


def training(kind: str, folder: Path, device: str, changes: Sequence[str]) -> Cost:
    """One of the mini recipe's trainings: its seconds, the median of a step's, bytes at most, losses."""
    out, changes = folder / "exp" / kind, [f"{kind}.{change}" for change in changes]
    teacher, student = (folder / "exp" / name / "model.pt" for name in ("teacher", "student"))
    mixtures, processes = folder / f"{NUM_SPK}mix", Processes(ngpu=int(device == "cuda"))
    ends: list[float] = []
    hook = register_optimizer_step_post_hook(lambda *_: ends.append(time.perf_counter()))
    begin = time.perf_counter()
    if kind == "teacher":
        train_teacher(load_config(TeacherConfig, MINI / "teacher.yaml", changes), folder / "single", out, processes)
    elif kind == "student":
        settings = load_config(StudentConfig, MINI / "student.yaml", changes)
        train_student(settings, mixtures, teacher, out, NUM_SPK, processes)
    else:
        settings = load_config(ExtractorConfig, MINI / "extractor" / "stft_tcn.yaml", changes)
        train_extractor(settings, mixtures, EmbeddingSource(teacher, student), "matched", out, NUM_SPK, processes)
    whole_s = time.perf_counter() - begin
    hook.remove()
    first, *_, last = losses(out / "logs" / "csv" / "metrics.csv")
    step_s = statistics.median(later - one for one, later in itertools.pairwise(ends))
    peak = memory(device, at_most=True)
    return {"whole_s": whole_s, "step_s": step_s, "steps": len(ends), "peak": peak, "first": first, "last": last}


def losses(path: Path) -> list[float]:
    """The training losses of a log."""
    with open(path, newline="", encoding="utf-8") as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file) if row.get("train/loss")]
