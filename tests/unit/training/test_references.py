"""The teacher's embeddings of clean sources: right, and asked for once."""

import dataclasses

import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.data.datasets import dynamic_loader, fixed_loader, training_mixtures
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.models.frontends import ge2e
from wesep_mix.training import conditioning
from wesep_mix.training.conditioning import TeacherReferences


@pytest.fixture
def asked(teacher):
    """How many crops each call of the teacher had."""
    calls = []
    teacher.register_forward_hook(lambda _, inputs, __: calls.append(inputs[0].shape[0]))
    return calls


def crops_of(*batches) -> set:
    return {
        (source.utt, source.start, source.num_samples, source.speed)
        for batch in batches
        for plan in batch.plans
        for source in plan.sources
    }


def is_what_the_teacher_says(found, batch, teacher) -> None:
    for row, plan in enumerate(batch.plans):
        for place, source in enumerate(plan.sources):
            clean = batch.sources[row, place, source.offset :][: source.num_samples]
            torch.testing.assert_close(found[row, place], teacher(clean[None])[0], atol=1e-5, rtol=0)


def test_references_are_what_the_teacher_says_of_each_clean_source(batch, teacher):
    found = TeacherReferences(teacher)(batch)
    assert found.shape == (4, 2, 4) and not found.requires_grad
    is_what_the_teacher_says(found, batch, teacher)


def test_where_there_is_no_talker_there_is_no_reference_and_nothing_is_asked(mixed, teacher, asked):
    found = TeacherReferences(teacher)(mixed)
    assert found.shape == (3, 3, 4) and asked == [len(crops_of(mixed))]
    assert not found[~mixed.talkers()].any()
    is_what_the_teacher_says(found, mixed, teacher)


def test_references_take_part_in_a_loss(batch, teacher):
    """They are computed in inference mode, whose tensors could not."""
    predicted = torch.randn(4, 2, 4, requires_grad=True)
    conditioning = TeacherReferences(teacher)
    for _ in range(2):
        (predicted * conditioning(batch)).sum().backward()
    torch.testing.assert_close(predicted.grad, 2 * conditioning(batch))


def test_what_is_kept_is_small_and_on_the_cpu(batch, teacher):
    conditioning = TeacherReferences(teacher)
    conditioning(batch)
    assert conditioning.kept.keys() == crops_of(batch)
    held = {kept.untyped_storage().data_ptr(): kept.untyped_storage().nbytes() for kept in conditioning.kept.values()}
    assert sum(held.values()) == len(conditioning.kept) * 4 * 4  # four values of four bytes a crop, and nothing else
    assert all(kept.device.type == "cpu" and not kept.requires_grad for kept in conditioning.kept.values())


def test_a_crop_is_computed_once_whatever_its_level(batch, teacher, asked):
    conditioning = TeacherReferences(teacher)
    first = conditioning(batch)
    asked.clear()
    louder = dataclasses.replace(batch, sources=3 * batch.sources)
    assert torch.equal(conditioning(louder), first) and asked == []
    torch.testing.assert_close(TeacherReferences(teacher)(louder), first, atol=1e-3, rtol=0)


def test_at_another_speed_it_is_another_voice(batch, teacher, asked):
    kept, (first, *others) = TeacherReferences(teacher), batch.plans
    kept(batch)
    faster = dataclasses.replace(first, sources=tuple(dataclasses.replace(one, speed=1.1) for one in first.sources))
    kept(dataclasses.replace(batch, plans=[faster, *others]))
    assert asked[-1] == 2 and len(kept.kept) == len(crops_of(batch)) + 2


def test_of_a_known_and_a_new_crop_only_the_new_is_computed(batch, teacher, asked):
    conditioning = TeacherReferences(teacher)
    first, rest = fixed_loader(batch.plans, 3)
    conditioning(first)
    seen, new = crops_of(first), crops_of(rest) - crops_of(first)
    conditioning(rest)
    assert new and asked == [len(seen), len(new)]


def test_over_two_epochs_of_static_plans_the_teacher_hears_every_crop_once(prepared, teacher, asked):
    stream = training_mixtures(PreparedSet(prepared / "2mix" / "train"), 2, 0, "static")  # four plans
    loader, conditioning, batches = dynamic_loader(stream, 2, 2, 0), TeacherReferences(teacher), []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            conditioning(batch)
            batches.append(batch)
    assert len(batches) == 4 and sum(asked) == len(crops_of(*batches)) == len(crops_of(*batches[:2]))


def test_the_teacher_of_references_does_not_learn(teacher):
    TeacherReferences(teacher.train())
    assert not teacher.training and not any(weight.requires_grad for weight in teacher.parameters())


def test_no_more_is_kept_than_fits(batch, teacher, asked, monkeypatch):
    monkeypatch.setattr(conditioning, "MAX_KEPT", 3)
    kept = TeacherReferences(teacher)
    first, wanted = kept(batch), TeacherReferences(teacher)(batch)
    assert len(kept.kept) == 3 and torch.equal(first, wanted)
    before = len(asked)
    torch.testing.assert_close(kept(batch), wanted)
    assert len(asked) == before + 1 and asked[-1] == len(crops_of(batch)) - 3


def test_a_teacher_that_hears_levels_is_refused(teacher):
    teacher.frontend = torch.nn.Identity()
    teacher.frontend.config = ge2e.Config(pretrained=False, increase_only=True)
    with pytest.raises(UserError, match="the teacher's embedding depends on how loud a talker is"):
        TeacherReferences(teacher)
