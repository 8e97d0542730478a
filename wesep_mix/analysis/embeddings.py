"""Stage 4: the teacher's references, the student's sets and the matched embeddings of fixed sets, to ark files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from wesep_mix import checkpoint
from wesep_mix.analysis.keys import head_keys, speaker_keys
from wesep_mix.analysis.settings import EmbeddingsConfig
from wesep_mix.data.batch import MixBatch
from wesep_mix.data.datasets import fixed_loader
from wesep_mix.io.decoded import Read, reader_of
from wesep_mix.io.embeddings import write_embeddings
from wesep_mix.losses.set_matching import match
from wesep_mix.mixing.plan import Plan, read_plans

MAX_WORKERS = 8  # they render; more would only take memory


def extract_embeddings(
    settings: EmbeddingsConfig, data: Path, single: Path, teacher_path: Path, student_path: Path, out: Path, nj: int,
    ngpu: int,
) -> None:
    """Write `out/<set>/{teacher,student,matched}` and `out/single_test/teacher`, each as ark and scp."""
    device = torch.device("cuda" if ngpu else "cpu")
    teacher = checkpoint.load_model(teacher_path, "teachers").to(device)
    student = checkpoint.load_model(student_path, "students").to(device)
    workers = 0 if nj == 1 else min(nj, MAX_WORKERS)
    for name in settings.sets:
        plans = read_plans(data / name / "plan.jsonl")
        batches = _batches(plans, settings.batch_size, workers, device, name, reader_of(data / name))
        tables = mixture_embeddings(teacher, student, batches)
        for kind, table in tables.items():
            write_embeddings(out / name / kind, table)
    plans = read_plans(single / "test" / "plan.jsonl")
    batches = _batches(plans, settings.batch_size, workers, device, "single test", reader_of(single / "test"))
    write_embeddings(out / "single_test" / "teacher", single_embeddings(teacher, batches))


@torch.inference_mode()
def mixture_embeddings(
    teacher: nn.Module, student: nn.Module, batches: Iterator[MixBatch]
) -> dict[str, dict]:
    """{"teacher", "student", "matched"} -> {key: [D]} for mixtures of as many talkers as the student has heads.

    teacher: of the clean source; matched: the student's embedding that the best assignment gives to the speaker.
    """
    tables: dict[str, dict] = {"teacher": {}, "student": {}, "matched": {}}
    for batch in batches:
        reference = teacher(batch.crops().flatten(0, 1), batch.sizes.flatten())  # [B * S, D]
        reference = reference.unflatten(0, batch.sizes.shape)  # [B, S, D]
        predicted = student(batch.mix, batch.num_samples)  # [B, N, D]
        for plan, *rows in zip(batch.plans, reference, predicted, match(predicted, reference), strict=True):
            keys = (speaker_keys(plan), head_keys(plan), speaker_keys(plan))
            for table, names, embeddings in zip(tables.values(), keys, rows, strict=True):
                table.update(zip(names, embeddings.float().cpu().numpy(), strict=True))
    return tables


@torch.inference_mode()
def single_embeddings(teacher: nn.Module, batches: Iterator[MixBatch]) -> dict:
    """Noisy single speech -> {plan id: [D]}."""
    table: dict = {}
    for batch in batches:
        embeddings: Tensor = teacher(batch.mix, batch.num_samples)
        table.update(zip((plan.id for plan in batch.plans), embeddings.float().cpu().numpy(), strict=True))
    return table


def _batches(
    plans: Sequence[Plan], batch_size: int, workers: int, device: torch.device, title: str, read: Read
) -> Iterator[MixBatch]:
    loader = fixed_loader(plans, batch_size, workers, read)
    for batch in tqdm(loader, desc=f"embedding {title}", unit="batch", mininterval=1.0):
        yield batch.to(device)
