"""Stage 4: embeddings of fixed sets of mixtures, to Kaldi ark files.

For every mixture: the teacher's embeddings of its clean sources, the student's set, and which of the set is whose. For
noisy single speech: the teacher's embedding. Keys are `<mix>-<speaker>`, in a student's unordered set `<mix>-<head>`,
for single speech the plan's id. A student with presence also estimates how many talkers a mixture has.

Beside stage 4, `extract_enrolments` embeds another utterance of every talker of the test set, clean and noisy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_table
from wesep_mix.base.jobs import wrapper
from wesep_mix.base.parallel import map_items
from wesep_mix.data.batch import MixBatch
from wesep_mix.data.datasets import fixed_loader
from wesep_mix.exports.wespeaker import write_mixtures, write_single
from wesep_mix.inference.controls import ENROLMENTS
from wesep_mix.inference.settings import EmbeddingsConfig
from wesep_mix.io.embeddings import REFERENCE, write_embeddings
from wesep_mix.matching.assignment import match
from wesep_mix.matching.speaker_set import reference_network
from wesep_mix.mixing.draw import enrolment_plans
from wesep_mix.mixing.harder import harder
from wesep_mix.mixing.plan import PLANS, Plan, head_keys, read_plans, speaker_keys, write_plans
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.models import checkpoint

MAX_WORKERS = 8  # processes that render mixtures; more would only take memory
COUNTS = "reco2num_spk"
T = TypeVar("T")


@dataclass
class EmbeddingTables:
    """Embeddings of a set of mixtures, by key. N heads may be more or fewer than the S talkers of a mixture.

    Attributes:
        teacher: the teacher's, of the clean sources, `<mix>-<speaker>`.
        reference: the student's own, of the clean sources, for a student trained without the teacher; else empty.
        student: the student's, of the mixtures, `<mix>-<head>`.
        matched: the student's for the speakers that get one (matching.assignment), `<mix>-<speaker>`.
        num_spk: the student's count of a mixture's talkers, by mixture; empty without presence.
        num_heads: N.
    """

    teacher: dict[str, np.ndarray] = field(default_factory=dict)
    reference: dict[str, np.ndarray] = field(default_factory=dict)
    student: dict[str, np.ndarray] = field(default_factory=dict)
    matched: dict[str, np.ndarray] = field(default_factory=dict)
    num_spk: dict[str, int] = field(default_factory=dict)
    num_heads: int = 0

    def update(self, other: EmbeddingTables) -> None:
        """Take what another holds, of other mixtures."""
        for each in fields(self):
            ours, theirs = getattr(self, each.name), getattr(other, each.name)
            setattr(self, each.name, ours | theirs if isinstance(ours, dict) else theirs)

    def write(self, folder: Path, plans: Sequence[Plan], with_trials: bool) -> None:
        """Write `folder/{teacher,student,matched}.{ark,scp}`, and beside them what there is of `reference.{ark,scp}`,
        Kaldi's `reco2num_spk` (`<mix> <count>`) and WeSpeaker's tables (exports.wespeaker).

        Args:
            folder: of the set.
            plans: the mixtures.
            with_trials: whether to write verification trials too.
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
    """Write `out/<set>/{teacher,student,matched}.{ark,scp}` and `out/single_test/teacher.{ark,scp}`.

    Beside each set are its trials and what WeSpeaker's tools read (exports.wespeaker); for a student with presence also
    `reco2num_spk`.

    Args:
        settings: conf/embeddings.yaml.
        data: prepared mixtures, data/CORPUS/Nmix.
        single: prepared single speech, data/CORPUS/single; None leaves `single_test` out.
        teacher_path: model file.
        student_path: model file; None leaves the sets of mixtures out.
        out: folder to write.
        nj: 1 renders mixtures in this process, more in up to 8 others; with WESEP_MIX_CMD, jobs of a cluster.
        ngpu: 0 computes on the CPU.

    Raises:
        UserError: an embedding that should be there is not, or single speech is shorter than `single.length_s`.
    """
    workers = 0 if nj == 1 or wrapper() else min(nj, MAX_WORKERS)
    work = _Work(settings, teacher_path, student_path, "cuda" if ngpu else "cpu", workers)
    for name in settings.sets if student_path else ():
        plans, tables = read_plans(data / name / "plan.jsonl"), EmbeddingTables()
        for found in work.in_shares(work.mixtures, name, plans, nj):
            tables.update(found)
        _check(tables.teacher, (key for plan in plans for key in speaker_keys(plan)), name)
        _check(tables.student, (key for plan in plans for key in head_keys(plan, tables.num_heads)), name)
        tables.write(out / name, plans, with_trials=name != "train")
    if single:
        test, table = settings.single, {}
        plans = [harder(plan, test.length_s, test.snr_db) for plan in read_plans(single / "test" / "plan.jsonl")]
        for found in work.in_shares(work.single, "single test", plans, nj):
            table.update(found)
        _check(table, (plan.id for plan in plans), "single test")
        write_single(out / "single_test", plans, write_embeddings(out / "single_test" / "teacher", table))


def extract_enrolments(
    data: Path, seed: int, teacher_path: Path, student_path: Path, out: Path, nj: int, ngpu: int
) -> None:
    """Write `out/enrolment.{ark,scp}` and `out/enrolment_noisy.{ark,scp}`, and to `out/plan.jsonl` of which speech.

    The embeddings are those of the network that embeds the clean sources: the teacher, or a student trained without it.

    Args:
        data: the test set, data/CORPUS/Nmix/test.
        seed: draws the enrolments (mixing.draw.enrolment_plans).
        teacher_path: model file.
        student_path: model file.
        out: folder to write.
        nj: as for `extract_embeddings`.
        ngpu: 0 computes on the CPU.

    Raises:
        UserError: a talker has no other utterance.
    """
    plans = enrolment_plans(read_plans(data / PLANS), load_pool(data), seed, str(data))
    workers = 0 if nj == 1 or wrapper() else min(nj, MAX_WORKERS)
    work = _Work(EmbeddingsConfig(), teacher_path, student_path, "cuda" if ngpu else "cpu", workers)
    tables: dict[str, dict[str, np.ndarray]] = {condition: {} for condition in ENROLMENTS}
    for found in work.in_shares(work.enrolments, "enrolments", plans, nj):
        for condition, table in tables.items():
            table.update(found[condition])
    write_plans(out / PLANS, plans)
    for condition, table in tables.items():
        write_embeddings(out / condition, table)


@dataclass(frozen=True)
class _Work:
    """Embeddings of some mixtures, here or in a job."""

    settings: EmbeddingsConfig
    teacher_path: Path
    student_path: Path | None
    device: str
    workers: int

    def mixtures(self, title: str, plans: Sequence[Plan]) -> EmbeddingTables:
        student = self._load(self.student_path, "students")
        return mixture_embeddings(self._teacher(), student, self._batches(title, plans), self.settings.matching)

    def single(self, title: str, plans: Sequence[Plan]) -> dict[str, np.ndarray]:
        return single_embeddings(self._teacher(), self._batches(title, plans))

    def enrolments(self, title: str, plans: Sequence[Plan]) -> dict[str, dict[str, np.ndarray]]:
        network = reference_network(self._load(self.student_path, "students"), self._teacher())
        return enrolment_embeddings(network, self._batches(title, plans))

    def in_shares(
        self, find: Callable[[str, Sequence[Plan]], T], title: str, plans: Sequence[Plan], nj: int
    ) -> list[T]:
        """What is found of all plans: at once, or with WESEP_MIX_CMD in `nj` jobs, each of whole batches."""
        # longest first: little padding, and too little memory shows at once
        longest_first, size = sorted(plans, key=lambda plan: -plan.num_samples), self.settings.batch_size
        if not wrapper():
            return [find(title, longest_first)]
        batches = [longest_first[first : first + size] for first in range(0, len(plans), size)]
        shares = [list(itertools.chain(*batches[first::nj])) for first in range(min(nj, len(batches)))]
        return [found for _, found in map_items(partial(find, title), shares, nj, f"embedding {title}")]

    def _teacher(self) -> nn.Module:
        return self._load(self.teacher_path, "teachers")

    def _load(self, path: Path | None, kind: str) -> nn.Module:
        return checkpoint.load_model(path, kind).to(self.device)

    def _batches(self, title: str, plans: Sequence[Plan]) -> Iterator[MixBatch]:
        loader = fixed_loader(plans, self.settings.batch_size, self.workers)
        for batch in tqdm(loader, desc=f"embedding {title}", unit="batch", mininterval=1.0):
            yield batch.to(torch.device(self.device))


def _check(table: Mapping[str, np.ndarray], keys: Iterable[str], title: str) -> None:
    if missing := [key for key in keys if key not in table]:
        raise UserError(
            f"stage 4 (embeddings): {title}: no embedding of {missing[0]}, one of {len(missing)} that are missing; "
            "run the stage again with --force true"
        )


@torch.inference_mode()
def mixture_embeddings(
    teacher: nn.Module, student: nn.Module, batches: Iterator[MixBatch], matching: str = "assignment"
) -> EmbeddingTables:
    """Embeddings of mixtures and of their clean sources.

    The student's are matched by cosine to the teacher's of the clean sources, or for a student trained without the
    teacher to its own of them.

    Args:
        teacher: clean source -> embedding.
        student: mixture -> set of embeddings.
        batches: of all mixtures.
        matching: one of matching.assignment.

    Returns:
        The tables of all batches.
    """
    tables, judge = EmbeddingTables(), reference_network(student, teacher)
    for batch in batches:
        clean = batch.by_talker(teacher(*batch.clean()))  # [B, S, D]
        reference = clean if judge is teacher else batch.by_talker(judge(*batch.clean()))
        found = student(batch.mix, batch.num_samples)
        matched, is_matched = match(found.embeddings, reference, batch.num_spk, matching)
        tables.num_heads = found.embeddings.shape[1]
        parts = (clean.float(), reference.float(), found.embeddings.float(), matched.float(), is_matched)
        arrays = (part.cpu().numpy() for part in parts)
        for plan, of_teacher, of_judge, heads, of_talkers, has_head in zip(batch.plans, *arrays, strict=True):
            speakers = speaker_keys(plan)
            tables.teacher.update(zip(speakers, of_teacher, strict=False))  # the rows behind them are zeros
            if judge is not teacher:
                tables.reference.update(zip(speakers, of_judge, strict=False))
            tables.student.update(zip(head_keys(plan, len(heads)), heads, strict=True))
            tables.matched.update(zip(itertools.compress(speakers, has_head), of_talkers[has_head], strict=True))
        if (counts := found.num_spk()) is not None:
            tables.num_spk.update(zip((plan.id for plan in batch.plans), counts.tolist(), strict=True))
    return tables


@torch.inference_mode()
def single_embeddings(teacher: nn.Module, batches: Iterator[MixBatch]) -> dict:
    """Embeddings of noisy single speech.

    Args:
        teacher: speech -> embedding.
        batches: of all plans.

    Returns:
        {plan id: [D]}.
    """
    table: dict = {}
    for batch in batches:
        embeddings: Tensor = teacher(batch.mix, batch.num_samples)
        table.update(zip((plan.id for plan in batch.plans), embeddings.float().cpu().numpy(), strict=True))
    return table


@torch.inference_mode()
def enrolment_embeddings(network: nn.Module, batches: Iterator[MixBatch]) -> dict[str, dict[str, np.ndarray]]:
    """Embeddings of enrolments, each talker's speech by itself and in its noise.

    Args:
        network: speech -> embedding.
        batches: of all plans, each of one source.

    Returns:
        {`enrolment`: {plan id: [D]}, `enrolment_noisy`: the same with noise}.
    """
    tables: dict[str, dict[str, np.ndarray]] = {condition: {} for condition in ENROLMENTS}
    for batch in batches:
        for condition, speech in zip(ENROLMENTS, (batch.clean(), (batch.mix, batch.num_samples)), strict=True):
            rows = network(*speech).float().cpu().numpy()
            tables[condition].update(zip((plan.id for plan in batch.plans), rows, strict=True))
    return tables
