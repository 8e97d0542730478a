"""The losses of students: by the teacher or without it, with and without presence."""

import dataclasses
import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import logsigmoid, normalize

from wesep_mix.data.batch import MixBatch
from wesep_mix.losses.contrastive import Labelled
from wesep_mix.matching.assignment import match
from wesep_mix.matching.speaker_set import OwnReference, SpeakerSet
from wesep_mix.metrics.verification import equal_error_rate
from wesep_mix.models.frontends import logmel
from wesep_mix.models.students import parallel_heads
from wesep_mix.models.teachers import asp
from wesep_mix.training.conditioning import TeacherReferences
from wesep_mix.training.settings import ArcFaceConfig, ContrastiveConfig
from wesep_mix.training.student import (
    ContrastiveStudentTraining,
    LabelledStudentTraining,
    SelfStudentTraining,
    StudentTraining,
    build_student,
    shared_chunk_starts,
)

SPEAKERS = ["ann", "bob", "cem", "dee"]


@pytest.fixture
def presence_settings(student_settings):
    return dataclasses.replace(
        student_settings,
        model=dataclasses.replace(student_settings.model, presence=True),
        presence_weight=0.7,
        min_talkers=1,
        arcface=ArcFaceConfig(margin_warmup=0.0, sub_centres=2),
        contrastive=ContrastiveConfig(temperature=0.5, memory=8),
    )


@pytest.fixture
def student(presence_settings, teacher):
    torch.manual_seed(1)
    return build_student(presence_settings, teacher, num_spk=3).eval()


def by_brute_force(found: SpeakerSet, costs, batch, weight: float) -> torch.Tensor:
    """costs: function of (row, head, talker). The mean over mixtures of the smallest total a pair."""
    values = []
    for row, count in enumerate(batch.num_spk.tolist()):
        totals = []
        for heads in itertools.permutations(range(3), count):
            total = sum(costs(row, head, talker) for talker, head in enumerate(heads))
            for head, logit in enumerate(found.presence[row]):
                total = total - weight * logsigmoid(logit if head in heads else -logit)
            totals.append(total / count)
        values.append(torch.stack(totals).min())
    return torch.stack(values).mean()


def placed(offsets: list[list[int]], counts: list[int], chance: float):
    """What of a batch says where its talkers are, each of 5000 samples."""
    offsets, counts = torch.tensor(offsets), torch.tensor(counts)
    talkers = torch.arange(offsets.shape[1]) < counts[:, None]
    sizes, num_samples = 5000 * talkers, offsets.amax(1) + 5000
    mix, chances = torch.zeros(len(counts), int(num_samples.max())), torch.full((len(counts), 2), chance)
    return MixBatch(mix, torch.zeros(0), counts, num_samples, offsets, sizes, chances, [])


@pytest.mark.parametrize("chance", [0.0, 0.2, 0.5, 0.8, 0.9999])
def test_chunks_hold_enough_of_every_talker_and_are_moved_for_nothing_else(chance):
    """Of two of 5 s that share half of it a chunk of 3 s often holds under 1 s of one; of three it may miss one."""
    batch = placed([[0, 1000, 3500], [0, 2500, 0], [0, 0, 0], [0, 2500, 5000]], [3, 2, 1, 3], chance)
    plain = [int(chance * (size - 3000 + 1)) for size in (8500, 7500, 5000, 10000)]
    for row, (first, last) in enumerate([(1500, 4000), (500, 4000), (0, 2000), (3000, 4000)]):
        assert shared_chunk_starts(batch, 3000)[row] == min(max(plain[row], first), last)


def test_a_chunk_that_cannot_hold_all_is_shared_by_the_first_and_the_last(chance=0.9):
    far = placed([[0, 2000, 9000]], [3], chance)  # the first until 5000, the last from 9000
    assert shared_chunk_starts(far, 6000).tolist() == [4000]  # 1000 of each
    assert shared_chunk_starts(far, 2000).tolist() == [6000]  # neither


def test_a_talker_shorter_than_a_third_of_the_chunk_is_held_whole(chance=0.0):
    short = dataclasses.replace(
        placed([[0, 6000]], [2], chance), sizes=torch.tensor([[5000, 300]]), num_samples=torch.tensor([6300])
    )
    assert shared_chunk_starts(short, 3000).tolist() == [3300]


def test_by_the_teacher_with_presence(presence_settings, student, teacher, mixed):
    module = StudentTraining(presence_settings, student, teacher)
    found, references = student(mixed.mix, mixed.num_samples), TeacherReferences(teacher)(mixed)
    wanted = by_brute_force(
        found, lambda row, head, talker: 1 - found.embeddings[row, head] @ references[row, talker], mixed, 0.7
    )
    torch.testing.assert_close(module.loss(mixed), wanted)


def test_by_the_teacher_with_a_contrastive_term(presence_settings, student, teacher, mixed):
    module = StudentTraining(dataclasses.replace(presence_settings, contrast=0.3), student, teacher)
    found, references = student(mixed.mix, mixed.num_samples), TeacherReferences(teacher)(mixed)
    apart = by_itself(found.embeddings, references[mixed.talkers()], numbers_of(mixed))

    def cost(row, head, talker):
        return 1 - found.embeddings[row, head] @ references[row, talker] + 0.3 * apart(row, head, talker)

    torch.testing.assert_close(module.loss(mixed), by_brute_force(found, cost, mixed, 0.7))


def test_by_labels_it_is_arcface_of_the_best_assignment(presence_settings, student, mixed, monkeypatch):
    module = LabelledStudentTraining(presence_settings, student, SPEAKERS)
    assert module.arcface.weight.shape == (2 * 4, 4)
    found = student(mixed.mix, mixed.num_samples)

    def cost(row, head, talker):
        label = SPEAKERS.index(mixed.plans[row].sources[talker].spk)
        return module.arcface(found.embeddings[row, head][None], torch.tensor([label]), 0.2)

    monkeypatch.setattr(LabelledStudentTraining, "global_step", 6)
    wanted = by_brute_force(found, cost, mixed, 0.7)
    loss = module.loss(mixed)
    torch.testing.assert_close(loss, wanted)
    loss.backward()
    assert module.arcface.weight.grad.any() and all(weight.grad is not None for weight in student.parameters())


def test_the_margin_of_labels_warms_up(presence_settings, student, mixed, monkeypatch):
    settings = dataclasses.replace(presence_settings, arcface=ArcFaceConfig(margin=0.4, margin_warmup=0.5))
    module, asked = LabelledStudentTraining(settings, student, SPEAKERS), []
    monkeypatch.setattr(module.arcface, "costs", lambda *given: asked.append(given[2]) or given[0].sum(-1))
    for step in range(6):  # of six
        monkeypatch.setattr(LabelledStudentTraining, "global_step", step)
        module.loss(mixed)
    assert asked == pytest.approx([0, 0.4 / 3, 0.8 / 3, 0.4, 0.4, 0.4])


def numbers_of(batch) -> list[list[int]]:
    return [[SPEAKERS.index(source.spk) for source in plan.sources] for plan in batch.plans]


def loss_of_pair(anchor, same: list, others: list, temperature=0.5):
    """SupCon of an anchor, by its positives and its negatives."""
    if not same:
        return torch.zeros(())
    likely = torch.log_softmax(torch.stack([anchor @ one for one in [*same, *others]]) / temperature, dim=0)
    return -likely[: len(same)].mean()


@pytest.mark.parametrize("remembered", [[], [0, 2, 3, 1, 0]])
def test_contrastive_is_the_best_assignment_to_the_memory_and_to_other_mixtures(
    presence_settings, student, mixed, remembered
):
    torch.manual_seed(2)
    module = ContrastiveStudentTraining(presence_settings, student, SPEAKERS)
    known = normalize(torch.randn(len(remembered), 4), dim=-1)
    module.memory.add(Labelled(known, torch.tensor(remembered, dtype=torch.long)))
    found, numbers = student(mixed.mix, mixed.num_samples), numbers_of(mixed)
    emb = found.embeddings

    def against_memory(row, head, number):
        same = [one for one, label in zip(known, remembered, strict=True) if label == number]
        return loss_of_pair(emb[row, head], same, [one for one in known if not any(one is each for each in same)])

    def total(row, heads):
        return sum(against_memory(row, head, number).item() for head, number in zip(heads, numbers[row], strict=True))

    owners = {  # (row, head) -> speaker
        (row, head): number
        for row, own in enumerate(numbers)
        for head, number in zip(
            min(itertools.permutations(range(3), len(own)), key=lambda heads: total(row, heads)), own, strict=True
        )
    }

    def cost(row, head, talker):
        number, same, others = numbers[row][talker], [], []
        for one, label in zip(known, remembered, strict=True):
            (same if label == number else others).append(one)
        for (other_row, other_head), label in owners.items():
            if (other_row, other_head) != (row, head):
                (same if label == number and other_row != row else others).append(emb[other_row, other_head])
        return loss_of_pair(emb[row, head], same, others)

    wanted = by_brute_force(found, cost, mixed, 0.7)
    loss = module.loss(mixed)
    torch.testing.assert_close(loss, wanted)
    loss.backward()
    assert all(weight.grad is not None for weight in student.parameters())
    latest = module.memory.labels[len(remembered) :][:6].tolist()  # of eight, the first of which may be new again
    assert latest == list(itertools.chain(*numbers))[: len(latest)]


def contrastive_and_self(settings, student):
    return [ContrastiveStudentTraining(settings, student, SPEAKERS), SelfStudentTraining(settings, student)]


def test_contrastive_and_self_have_no_weights_of_their_own(presence_settings, student):
    for module in contrastive_and_self(presence_settings, student):
        assert {id(weight) for weight in module.parameters()} == {id(weight) for weight in student.parameters()}


def test_a_loss_that_is_not_finite_leaves_the_memory_clean(presence_settings, student, mixed):
    module = ContrastiveStudentTraining(presence_settings, student, SPEAKERS)
    whole = mixed.mix.clone()
    mixed.mix[1] = float("nan")
    assert module.loss(mixed).isnan()
    assert module.memory.embeddings.isfinite().all() and (module.memory.labels >= 0).sum() == 3
    mixed.mix[:] = whole
    assert module.loss(mixed).isfinite()


def test_the_share_of_talkers_whom_the_memory_knows_is_logged(presence_settings, student, mixed, monkeypatch):
    module, logged = ContrastiveStudentTraining(presence_settings, student, SPEAKERS), []
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.append((name, value.item())))
    module.training_step(mixed, 0)
    module.training_step(mixed, 1)
    assert [value for name, value in logged if name == "train/positives"] == [0, 1]


def by_itself(emb, targets, numbers):
    """Cost of (row, head, talker) of a student whose targets are given, [6, D]."""
    first = [0, *itertools.accumulate(len(own) for own in numbers)]

    def to_targets(row, head, talker):
        place = first[row] + talker
        return loss_of_pair(emb[row, head], [targets[place]], [one for at, one in enumerate(targets) if at != place])

    def total(row, heads):
        return sum(to_targets(row, head, talker).item() for talker, head in enumerate(heads))

    matched = {  # (row, head) of the best assignment to the targets
        (row, head)
        for row, own in enumerate(numbers)
        for head in min(itertools.permutations(range(3), len(own)), key=lambda heads: total(row, heads))
    }

    def cost(row, head, talker):
        place = first[row] + talker
        others = [one for at, one in enumerate(targets) if at != place]
        others += [emb[pair] for pair in matched if pair != (row, head)]
        return loss_of_pair(emb[row, head], [targets[place]], others)

    return cost


def test_by_itself_it_is_infonce_among_the_batchs_sources(presence_settings, student, mixed):
    module = SelfStudentTraining(presence_settings, student.train())
    found = student(mixed.mix, mixed.num_samples)
    targets = OwnReference(student)(*mixed.clean()).detach()
    wanted = by_brute_force(found, by_itself(found.embeddings, targets, numbers_of(mixed)), mixed, 0.7)
    loss = module.loss(mixed)
    torch.testing.assert_close(loss, wanted)
    wanted_grads = torch.autograd.grad(wanted, list(student.parameters()))  # none of them through the targets
    for wanted_grad, found_grad in zip(
        wanted_grads, torch.autograd.grad(loss, list(student.parameters())), strict=True
    ):
        torch.testing.assert_close(found_grad, wanted_grad, atol=1e-6, rtol=1e-4)
    assert student.training


@pytest.fixture
def larger(student_settings):
    """Settings and a teacher large enough to learn on."""
    model = parallel_heads.Config(projection=16, bottleneck=8)
    settings = dataclasses.replace(student_settings, model=model, contrastive=ContrastiveConfig(memory=64))
    frontend = logmel.Config(num_mels=20, channels=16, num_layers=1, num_heads=2, dropout=0.0)
    torch.manual_seed(0)
    return settings, asp.Model(asp.Config(frontend=frontend, projection=16, embedding_dim=8, bottleneck=8))


def of_tones(seed: int) -> MixBatch:
    """Eight mixtures of two of four speakers, each of whom beeps at a pitch of its own, now and then."""
    rng = torch.Generator().manual_seed(seed)
    pairs = torch.stack([torch.randperm(4, generator=rng)[:2] for _ in range(8)])
    pitch = torch.tensor([200.0, 475.0, 1130.0, 2700.0])[pairs]  # [B, 2]
    gate = (torch.rand(8, 2, 12, generator=rng) > 0.5).repeat_interleave(400, -1)
    phase, level = torch.rand(2, 8, 2, 1, generator=rng)
    tones = (2 * torch.pi * (pitch[..., None] * torch.arange(4800) / 16000 + phase)).sin()
    sources = gate * (0.1 + 0.2 * level) * tones
    plans = [SimpleNamespace(sources=[SimpleNamespace(spk=SPEAKERS[one]) for one in pair]) for pair in pairs.tolist()]
    sizes = torch.full((8, 2), 4800)
    noise = 0.01 * torch.randn(8, 4800, generator=rng)
    return MixBatch(
        sources.sum(1) + noise, sources, torch.full((8,), 2), sizes[:, 0], 0 * sizes, sizes, torch.zeros(8, 2), plans
    )


def trained(module) -> float:
    """The mean loss of the last ten of a hundred steps."""
    optimizer, losses = torch.optim.Adam(module.parameters(), lr=1e-2), []
    for step in range(100):
        loss = module.loss(of_tones(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    module.eval()
    return sum(losses[-10:]) / 10


def mean_cosines(emb, others, same) -> tuple[float, float]:
    """Of pairs that belong together, and of those that do not."""
    cosines = emb.flatten(0, 1) @ others.flatten(0, 1).T
    return cosines[same].mean().item(), cosines[~same].mean().item()


@torch.no_grad()
def matched_of(module, batch):
    return match(module.model(batch.mix).embeddings, module.own_references(batch))[0]


def test_contrastive_parts_speakers(larger):
    """At chance the loss is the log of 79 candidates: 64 of the memory, 15 of the batch."""
    settings, teacher = larger
    module = ContrastiveStudentTraining(settings, build_student(settings, teacher, 2), SPEAKERS)
    loss, batch = trained(module), of_tones(1000)
    emb, labels = matched_of(module, batch), module.labels(batch).flatten()
    own, others = mean_cosines(emb, emb, labels[:, None] == labels)
    assert loss < math.log(79) - 0.5 and own > others + 0.2


def test_its_own_targets_are_told_apart_and_do_not_become_one(larger):
    """At chance the loss is the log of 31 candidates: 16 targets, 15 other heads."""
    settings, teacher = larger
    module = SelfStudentTraining(settings, build_student(settings, teacher, 2))
    loss, batch = trained(module), of_tones(1000)
    emb, targets = matched_of(module, batch), module.own_references(batch)
    own, others = mean_cosines(emb, targets, torch.eye(16).bool())
    _, between = mean_cosines(targets, targets, torch.eye(16).bool())
    assert loss < math.log(31) - 0.2 and own > others and between < 0.98


def test_one_embedding_for_everyone_is_no_solution(larger):
    """The candidates, all alike, are 16 of the memory or targets, and 15 other heads; 1 - cosine would be 0."""
    for module in contrastive_and_self(larger[0], Alike()):
        module.loss(of_tones(0))
        assert module.loss(of_tones(1)).item() == pytest.approx(math.log(16 + 15))


class Alike(torch.nn.Module):
    """A student that embeds everything alike."""

    config = SimpleNamespace(embedding_dim=8)

    def forward(self, wav, num_samples=None):
        return SpeakerSet(torch.eye(8)[0].expand(len(wav), 2, 8))


class Voices(torch.nn.Module):
    """A student whose embeddings are what a table says of each wav, by its place and whether it is a mixture."""

    def __init__(self, of_mixtures, of_clean):
        super().__init__()
        self.answers = [of_mixtures, of_clean]
        self.config = type("Config", (), {"embedding_dim": of_mixtures.shape[-1]})

    def forward(self, wav, num_samples=None):
        return SpeakerSet(self.answers.pop(0))


def test_the_monitor_of_labels_is_the_eer_of_what_the_own_space_names(presence_settings, mixed, monkeypatch):
    torch.manual_seed(5)
    of_mixtures, of_clean = (normalize(torch.randn(*shape, 8), dim=-1) for shape in ((3, 3), (6, 3)))
    module = LabelledStudentTraining(presence_settings, Voices(of_mixtures, of_clean), SPEAKERS)
    logged = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: float(value)}))
    module.on_validation_epoch_start()
    module.validation_step(mixed, 0)
    monkeypatch.setattr("wesep_mix.training.module.unfair_groups", lambda *_: ())
    module.on_validation_epoch_end()
    references = mixed.by_talker(normalize(of_clean.sum(1), dim=-1))
    emb, speakers = [], []
    for row, plan in enumerate(mixed.plans):
        orders = itertools.permutations(range(3), len(plan.sources))
        best = max(
            orders,
            key=lambda heads: sum(
                float(of_mixtures[row, head] @ references[row, talker]) for talker, head in enumerate(heads)
            ),
        )
        emb += [of_mixtures[row, head] for head in best]
        speakers += [source.spk for source in plan.sources]
    assert len(emb) == len(module.collected) == 6
    assert logged == {"dev/eer": pytest.approx(equal_error_rate(torch.stack(emb).numpy(), speakers))}


def test_validation_leaves_the_student_able_to_learn(presence_settings, student, mixed, monkeypatch):
    module = LabelledStudentTraining(presence_settings, student.train(), SPEAKERS)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    module.on_validation_epoch_start()
    with torch.no_grad():
        module.validation_step(mixed, 0)
    assert student.training and all(weight.requires_grad for weight in student.parameters())
    assert OwnReference(student).student is student


def test_the_share_of_right_counts_is_logged(presence_settings, student, teacher, mixed, monkeypatch):
    module, logged = StudentTraining(presence_settings, student, teacher), {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value.item()}))
    module.validation_step(mixed, 0)
    counts = student(mixed.mix, mixed.num_samples).num_spk()
    assert logged["dev/count_acc"] == pytest.approx((counts == torch.tensor([1, 3, 2])).float().mean().item())
    torch.testing.assert_close(torch.tensor(logged["dev/loss"]), module.loss(mixed).detach())
