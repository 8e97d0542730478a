"""The losses of students: by the teacher or without it, with and without presence."""

import dataclasses
import itertools
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import logsigmoid, normalize

from wesep_mix.data.batch import MixBatch, collate
from wesep_mix.data.datasets import Turn, training_mixtures
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.matching.assignment import match
from wesep_mix.matching.speaker_set import OwnReference, SpeakerSet
from wesep_mix.metrics.verification import equal_error_rate
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
    module.memory.add(known, torch.tensor(remembered, dtype=torch.long))
    found, numbers = student(mixed.mix, mixed.num_samples), numbers_of(mixed)
    emb = found.embeddings

    def against_memory(row, head, number):
        same = [one for one, label in zip(known, remembered, strict=True) if label == number]
        return loss_of_pair(emb[row, head], same, [one for one in known if not any(one is each for each in same)])

    def total(row, heads):
        return sum(float(against_memory(row, head, number)) for head, number in zip(heads, numbers[row], strict=True))

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
    assert module.memory.labels[len(remembered) :].tolist()[:6] == [numbers[0][0], *numbers[1], *numbers[2]][
        : 8 - len(remembered)
    ]


def test_contrastive_has_no_weights_of_its_own(presence_settings, student):
    for training in (ContrastiveStudentTraining(presence_settings, student, SPEAKERS), SelfStudentTraining):
        module = training if isinstance(training, torch.nn.Module) else training(presence_settings, student)
        assert sum(1 for _ in module.parameters()) == sum(1 for _ in student.parameters())


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
    log = lambda name, value, **_: logged.append(float(value)) if name == "train/positives" else None  # noqa: E731
    monkeypatch.setattr(module, "log", log)
    module.training_step(mixed, 0)
    module.training_step(mixed, 1)
    assert logged == [0, 1]


def test_by_itself_it_is_infonce_among_the_batchs_clean_sources(presence_settings, student, mixed):
    module = SelfStudentTraining(presence_settings, student.train())
    found = student(mixed.mix, mixed.num_samples)
    targets = OwnReference(student)(*mixed.clean()).detach()  # [6, D]
    first = [0, 1, 4]  # of each mixture

    def cost(row, head, talker):
        place = first[row] + talker
        others = [target for other, target in enumerate(targets) if other != place]
        return loss_of_pair(found.embeddings[row, head], [targets[place]], others)

    wanted = by_brute_force(found, cost, mixed, 0.7)
    loss = module.loss(mixed)
    torch.testing.assert_close(loss, wanted)
    loss.backward()
    grads = [weight.grad.clone() for weight in student.parameters()]
    student.zero_grad()
    wanted.backward()  # through the heads alone
    for found, weight in zip(grads, student.parameters(), strict=True):
        torch.testing.assert_close(found, weight.grad, atol=1e-6, rtol=1e-4)
    assert student.training


def of_tones(step: int, size: int = 8) -> MixBatch:
    """Mixtures of two of four speakers, each of whom hums at a pitch of its own, at any level and phase."""
    rng = torch.Generator().manual_seed(step)
    pairs = torch.stack([torch.randperm(4, generator=rng)[:2] for _ in range(size)])
    pitch = torch.tensor([300.0, 800.0, 2000.0, 5000.0])[pairs]  # [B, 2]
    phase, level = torch.rand(2, size, 2, 1, generator=rng)
    time = torch.arange(4800) / 16000
    sources = (0.1 + 0.2 * level) * (2 * torch.pi * (pitch[..., None] * time + phase)).sin()
    noise = 0.01 * torch.randn(size, 4800, generator=rng)
    plans = [SimpleNamespace(sources=[SimpleNamespace(spk=SPEAKERS[one]) for one in pair]) for pair in pairs.tolist()]
    two = torch.full((size,), 2)
    lengths, zeros = torch.full((size,), 4800), torch.zeros(size, 2, dtype=torch.long)
    return MixBatch(sources.sum(1) + noise, sources, two, lengths, zeros, zeros + 4800, torch.rand(size, 2), plans)


@pytest.mark.parametrize("training", [ContrastiveStudentTraining, SelfStudentTraining])
def test_without_the_teacher_it_learns_and_does_not_collapse(training, student_settings, teacher):
    """Sixty steps on fresh mixtures of four speakers."""
    settings = dataclasses.replace(student_settings, contrastive=ContrastiveConfig(memory=64))
    torch.manual_seed(0)
    module = training(settings, build_student(settings, teacher, 2), *[SPEAKERS] * (training is not SelfStudentTraining))
    optimizer = torch.optim.Adam(module.parameters(), lr=LR)
    losses = []
    for step in range(STEPS):
        loss = module.loss(of_tones(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 20 == 0:
            batch=of_tones(10**6, 32)
            with torch.no_grad():
                emb, _ = match(module.model.eval()(batch.mix).embeddings, module.own_references(batch))
            lab = module.labels(batch).flatten() if hasattr(module,"labels") else torch.tensor([SPEAKERS.index(s.spk) for p in batch.plans for s in p.sources])
            emb = emb.flatten(0,1)
            c = emb@emb.T
            same = lab[:,None]==lab
            print(step, loss.item(), c[same].mean().item(), c[~same].mean().item(), sorted(equal_error_rate(emb.numpy(), lab.tolist()) for _ in [0]))
            module.train()
    raise AssertionError


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
