"""Keys of embeddings beside mixing.plan.speaker_keys: in a student's unordered set `<mix>-<head>`.

Stage 4: the teacher's references, the student's sets and the matched embeddings of fixed sets, to ark files.

A student with presence also says how many talkers it hears.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from wesep_mix.base.files import write_table
from wesep_mix.data.batch import MixBatch
from wesep_mix.data.datasets import fixed_loader
from wesep_mix.exports.wespeaker import write_mixtures, write_single
from wesep_mix.inference.settings import EmbeddingsConfig
from wesep_mix.io.embeddings import REFERENCE, write_embeddings
from wesep_mix.matching.assignment import match
from wesep_mix.matching.speaker_set import reference_network
from wesep_mix.mixing.plan import Plan, head_keys, read_plans, speaker_keys
from wesep_mix.models import checkpoint

MAX_WORKERS = 8  # they render; more would only take memory
COUNTS = "reco2num_spk"


@dataclass
class Tables:
    """What is known of a set of mixtures, by key. N heads may be more or fewer than the S talkers of a mixture.

    teacher: of the clean sources, `<mix>-<speaker>`; reference: the same of the student itself, for one that was
    trained without the teacher, else empty; student: of the N heads, `<mix>-<head>`; matched: the student's for the
    speakers that get one (matching.assignment), `<mix>-<speaker>`; num_spk: how many talkers the student hears in a
    mixture, empty without presence; num_heads: N.
    """

    teacher: dict[str, np.ndarray] = field(default_factory=dict)
    reference: dict[str, np.ndarray] = field(default_factory=dict)
    student: dict[str, np.ndarray] = field(default_factory=dict)
    matched: dict[str, np.ndarray] = field(default_factory=dict)
    num_spk: dict[str, int] = field(default_factory=dict)
    num_heads: int = 0

    def write(self, folder: Path, plans: Sequence[Plan], with_trials: bool) -> None:
        """`folder/{teacher,student,matched}.{ark,scp}`, `reference` where it has any, what exports.wespeaker makes of
        them, and with counts Kaldi's `reco2num_spk`: `<mix> <count>`.
        """
        kinds = ("teacher", "student", "matched")
        places = {kind: write_embeddings(folder / kind, getattr(self, kind)) for kind in kinds}
        if self.reference:
            write_embeddings(folder / REFERENCE, self.reference)
        write_mixtures(folder, plans, places, self.num_heads, with_trials)
        if self.num_spk:
            write_table(folder / COUNTS, {mix: str(count) for mix, count in self.num_spk.items()})


def extract_embeddings(
    settings: EmbeddingsConfig,
    data: Path,
    single: Path | None,
    teacher_path: Path,
    student_path: Path | None,
    out: Path,
    nj: int,
    ngpu: int,
) -> None:
    """Write `out/<set>/{teacher,student,matched}` and `out/single_test/teacher`, each as ark and scp, and for students
    with presence `out/<set>/reco2num_spk`. Without a student only the `single_test`, without `single` all but it. With
    each set its trials and what WeSpeaker's tools read (exports.wespeaker).
    """
    device = torch.device("cuda" if ngpu else "cpu")
    teacher = checkpoint.load_model(teacher_path, "teachers").to(device)
    student = checkpoint.load_model(student_path, "students").to(device) if student_path else None
    workers = 0 if nj == 1 else min(nj, MAX_WORKERS)
    for name in settings.sets if student else ():
        plans = read_plans(data / name / "plan.jsonl")
        batches = _batches(plans, settings.batch_size, workers, device, name)
        tables = mixture_embeddings(teacher, student, batches, settings.matching)
        tables.write(out / name, plans, with_trials=name != "train")
    if single:
        plans = read_plans(single / "test" / "plan.jsonl")
        batches = _batches(plans, settings.batch_size, workers, device, "single test")
        places = write_embeddings(out / "single_test" / "teacher", single_embeddings(teacher, batches))
        write_single(out / "single_test", plans, places)


@torch.inference_mode()
def mixture_embeddings(
    teacher: nn.Module, student: nn.Module, batches: Iterator[MixBatch], matching: str = "assignment"
) -> Tables:
    """Embeddings of mixtures and of their clean sources.

    The student's are matched by cosine to the teacher's, or, for a student trained without the teacher, to its own of
    the clean sources.
    """
    tables, judge = Tables(), reference_network(student, teacher)
    for batch in batches:
        taught = batch.by_talker(teacher(*batch.clean()))  # [B, S, D]
        reference = taught if judge is teacher else batch.by_talker(judge(*batch.clean()))
        found = student(batch.mix, batch.num_samples)
        matched, got = match(found.embeddings, reference, batch.num_spk, matching)
        tables.num_heads = found.embeddings.shape[1]
        parts = (taught.float(), reference.float(), found.embeddings.float(), matched.float(), got)
        arrays = (part.cpu().numpy() for part in parts)
        for plan, clean, judged, heads, own, there in zip(batch.plans, *arrays, strict=True):
            speakers = speaker_keys(plan)
            tables.teacher.update(zip(speakers, clean, strict=False))  # there are zeros after them
            if judge is not teacher:
                tables.reference.update(zip(speakers, judged, strict=False))
            tables.student.update(zip(head_keys(plan, len(heads)), heads, strict=True))
            tables.matched.update(zip(itertools.compress(speakers, there), own[there], strict=True))
        if (counts := found.num_spk()) is not None:
            tables.num_spk.update(zip((plan.id for plan in batch.plans), counts.tolist(), strict=True))
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
    plans: Sequence[Plan], batch_size: int, workers: int, device: torch.device, title: str
) -> Iterator[MixBatch]:
    longest_first = sorted(plans, key=lambda plan: -plan.num_samples)  # little padding; too little memory shows at once
    loader = fixed_loader(longest_first, batch_size, workers)
    for batch in tqdm(loader, desc=f"embedding {title}", unit="batch", mininterval=1.0):
        yield batch.to(device)
