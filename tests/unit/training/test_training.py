"""What teacher, student and extractor are trained on, and with which parts."""

import dataclasses

import pytest
import torch
from torch.nn.functional import normalize

from wesep_mix.base import config
from wesep_mix.base.errors import UserError
from wesep_mix.data.datasets import fixed_loader
from wesep_mix.losses.signal import RATIOS, attenuation, si_sdr, snr
from wesep_mix.matching.assignment import cosine_costs, set_loss
from wesep_mix.matching.speaker_set import OwnReference, SpeakerSet
from wesep_mix.mixing.plan import read_plans
from wesep_mix.models import checkpoint
from wesep_mix.models.extractors import spexplus
from wesep_mix.models.layers.network import Network
from wesep_mix.models.students import parallel_heads
from wesep_mix.training.building import begin_with
from wesep_mix.training.conditioning import Conditioning, TeacherReferences
from wesep_mix.training.extractor import (
    EmbeddingSource,
    ExtractorTraining,
    build_extractor,
    train_extractor,
)
from wesep_mix.training.settings import CueConfig, LossConfig, OptimConfig
from wesep_mix.training.student import StudentTraining, build_student, shared_chunk_starts, train_student
from wesep_mix.training.teacher import TeacherTraining


@pytest.fixture
def single(prepared):
    (batch,) = fixed_loader(read_plans(prepared / "single" / "train" / "plan.jsonl"), 4)
    return batch


class Heard(Network):
    """Stands for a network: keeps what it was given, answers with `answer`."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.inputs = answer, []
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, *inputs):
        self.inputs.append(inputs)
        return self.answer(*inputs)


# teacher


def test_the_margin_rises_and_stays(teacher_settings, monkeypatch):
    module = TeacherTraining(teacher_settings(max_steps=8), ["ann", "bob"])
    margins = []
    for step in range(8):
        monkeypatch.setattr(TeacherTraining, "global_step", step)
        margins.append(module._margin())
    assert margins == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.2, 0.2, 0.2])


def test_a_teachers_loss_takes_a_chunk_and_the_speaker(single, teacher_settings):
    speakers = ["ann", "bob", "cem", "dee"]
    module = TeacherTraining(teacher_settings(), speakers)
    heard = module.model = Heard(lambda wav: torch.eye(4)[: len(wav)])
    module.arcface = Heard(lambda embeddings, labels, margin: labels)
    assert [speakers[label] for label in module.loss(single)] == [plan.sources[0].spk for plan in single.plans]
    (wav,) = heard.inputs[0]
    assert wav.shape == (4, round(0.3 * 16000))
    for row, chunk in enumerate(wav):
        start = int(single.chance[row, 1] * (8000 - 4800 + 1))
        assert torch.equal(chunk, single.mix[row, start : start + 4800])


# student


def test_a_student_begins_with_the_teachers_front_end_and_fresh_heads(student_settings, teacher, batch):
    student = build_student(student_settings, teacher, num_spk=3)
    ours, theirs = student.frontend.state_dict(), teacher.frontend.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert all(weight.requires_grad for weight in student.parameters())
    assert not {weight.data_ptr() for weight in student.parameters()} & {w.data_ptr() for w in teacher.parameters()}
    assert student.config.embedding_dim == 4 and len(student.heads) == 3
    emb = student.eval()(batch.mix, batch.num_samples).embeddings
    assert emb.shape == (4, 3, 4) and not torch.allclose(emb[:, 0], emb[:, 1], atol=1e-3)


def test_heads_can_begin_as_the_teachers(student_settings, teacher, batch):
    settings = dataclasses.replace(
        student_settings, heads_from_teacher=True, model=dataclasses.replace(student_settings.model, projection=6)
    )
    student = build_student(settings, teacher, num_spk=2).eval()
    emb = student(batch.mix, batch.num_samples).embeddings
    torch.testing.assert_close(emb[:, 0], teacher(batch.mix, batch.num_samples))
    assert torch.equal(emb[:, 0], emb[:, 1])


def test_a_students_loss_is_the_matched_cosine_to_the_teacher(student_settings, student, teacher, batch):
    module = StudentTraining(student_settings, student, teacher)
    embeddings, references = student(batch.mix, batch.num_samples).embeddings, TeacherReferences(teacher)(batch)
    wanted = set_loss(cosine_costs(embeddings, references))
    torch.testing.assert_close(module.loss(batch), wanted)
    assert not any(name.startswith(("references", "teacher")) for name in module.state_dict())


def test_a_student_can_be_trained_on_chunks(student_settings, teacher, batch):
    heard = Heard(lambda mix, num_samples: SpeakerSet(normalize(torch.randn(len(mix), 2, 4), dim=-1)))
    StudentTraining(dataclasses.replace(student_settings, chunk_s=0.4), heard, teacher).loss(batch)
    mix, num_samples = heard.inputs[0]
    assert mix.shape == (4, 6400) and num_samples is None
    for row, chunk in enumerate(mix):
        start = int(batch.chance[row, 1] * (batch.num_samples[row] - 6400 + 1))
        assert torch.equal(chunk, batch.mix[row, start : start + 6400])


# extractor


def test_an_extractor_is_given_the_students_embedding_that_is_matched_to_its_target(
    extractor_settings, student, teacher, batch
):
    module = ExtractorTraining(extractor_settings, Heard(lambda mix, emb: mix), Conditioning(teacher, student))
    module.loss(batch)
    ((_, given),) = module.model.inputs
    sets, references = student(batch.mix, batch.num_samples).embeddings, TeacherReferences(teacher)(batch)
    for row, emb in enumerate(given):
        chosen = int(batch.chance[row, 0] * 2)
        cosine = sets[row] @ references[row].T  # [heads, talkers]
        straight, crossed = cosine[0, 0] + cosine[1, 1], cosine[0, 1] + cosine[1, 0]
        head = chosen if straight > crossed else 1 - chosen
        torch.testing.assert_close(emb, sets[row, head], atol=1e-6, rtol=0)
    assert not given.requires_grad


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.6, 0.9999])
def test_its_target_is_one_talker_on_the_same_chunk_and_at_least_half_there(
    extractor_settings, student, teacher, batch, chance
):
    batch = dataclasses.replace(batch, chance=torch.full((4, 2), chance))
    module = ExtractorTraining(extractor_settings, Heard(lambda mix, emb: mix), Conditioning(teacher, student))
    loss = module.loss(batch)
    ((mix, _),) = module.model.inputs
    assert mix.shape == (4, 4000)
    values = []
    for row, chunk in enumerate(mix):
        places = batch.mix[row].unfold(0, 4000, 1)
        (start,) = (places == chunk).all(-1).nonzero()[:, 0].tolist()
        source = batch.plans[row].sources[int(chance * 2)]
        heard = range(max(start, source.offset), min(start + 4000, source.offset + source.num_samples))
        assert len(heard) >= 2000
        values.append(si_sdr(chunk, batch.sources[row, int(chance * 2), start : start + 4000]))
    torch.testing.assert_close(loss, -torch.stack(values).mean())


def test_chunks_reach_from_the_first_to_the_last_place(extractor_settings, student, teacher, batch):
    module = ExtractorTraining(extractor_settings, Heard(lambda mix, emb: mix), Conditioning(teacher, student))
    for chance in (0.0, 1 - 2**-24):
        starts = module._chunk_starts(
            dataclasses.replace(batch, chance=torch.full((4, 2), chance)), torch.arange(4), torch.ones(4).long(), 4000
        )
        first = (batch.offsets[:, 1] - 2000).clamp(min=0)
        last = batch.num_samples - 4000
        assert starts.tolist() == (first if chance == 0 else last).tolist()


def test_all_targets_are_every_talker_of_every_mixture_each_with_its_own_embedding(
    extractor_settings, student, teacher, batch
):
    settings = dataclasses.replace(extractor_settings, targets="all")
    module = ExtractorTraining(settings, Heard(lambda mix, emb: mix), Conditioning(teacher, student))
    loss = module.loss(batch)
    ((mix, emb),) = module.model.inputs
    rows, chosen = torch.arange(4).repeat_interleave(2), torch.tensor([0, 1] * 4)
    starts = module._chunk_starts(batch, rows, chosen, 4000)
    targets = [
        batch.sources[row, source, start : start + 4000]
        for row, source, start in zip(rows, chosen, starts.tolist(), strict=True)
    ]
    torch.testing.assert_close(loss, -si_sdr(mix, torch.stack(targets)).mean())
    sets = student(batch.mix, batch.num_samples).embeddings
    for row in range(4):  # both heads are used, each once
        used = {int((sets[row] - one).abs().sum(-1).argmin()) for one in emb[2 * row : 2 * row + 2]}
        assert used == {0, 1}


@pytest.mark.parametrize("chunk_s", [0.25, 0])
def test_whoever_is_not_in_a_mixture_is_to_be_silent_in_training(extractor_settings, student, teacher, batch, chunk_s):
    settings = dataclasses.replace(
        extractor_settings, targets="all", absent=1.0, loss=LossConfig("snr"), chunk_s=chunk_s
    )
    module = ExtractorTraining(settings, Heard(lambda mix, emb: 0.5 * mix), Conditioning(teacher, student))
    plans = batch.plans
    there = [{source.spk for source in plan.sources} for plan in plans]
    strangers = [row for row in range(4) if any(other - there[row] for other in there)]
    module.eval()
    module.loss(batch)
    module.train()
    loss = module.loss(batch)
    (before, own), (mix, emb) = module.model.inputs
    assert len(before) == 8 and len(mix) == 8 + len(strangers) > 8
    assert torch.equal(mix[:8], before) and torch.equal(emb[:8], own)
    owners = [plans[row].sources[place].spk for row in range(4) for place in range(2)]
    for row, chunk, given in zip(strangers, mix[8:], emb[8:], strict=True):
        assert torch.equal(chunk, mix[2 * row])
        (example,) = [place for place in range(8) if torch.equal(own[place], given)]
        assert owners[example] not in there[row]
    if chunk_s:
        rows, chosen = torch.arange(4).repeat_interleave(2), torch.tensor([0, 1] * 4)
        starts = module._chunk_starts(batch, rows, chosen, 4000).tolist()
        sources = [batch.sources[r, c, s : s + 4000] for r, c, s in zip(rows, chosen, starts, strict=True)]
        ratios = [*snr(0.5 * mix[:8], torch.stack(sources)), *attenuation(0.5 * mix[8:], mix[8:])]
        torch.testing.assert_close(loss, -torch.stack(ratios).mean())


def test_how_many_mixtures_come_with_a_stranger_is_drawn(extractor_settings, student, teacher, batch):
    settings = dataclasses.replace(extractor_settings, absent=0.5, loss=LossConfig("snr"))
    chance = torch.tensor(
        [[0.9, 0.2], [0.9, 0.7], [0.1, 0.3], [0.3, 0.3]]
    )  # sums without their whole part: .1 .6 .4 .6
    module = ExtractorTraining(settings, Heard(lambda mix, emb: mix), Conditioning(teacher, student)).train()
    where, _ = module._strangers(dataclasses.replace(batch, chance=chance), torch.arange(4), torch.zeros(4).long())
    assert where == [0, 2]


def test_silence_is_not_learnt_by_a_loss_that_leaves_the_level_open(extractor_settings):
    with pytest.raises(ValueError, match="absent: wanted 0, or loss.name: snr, which hears the level, found si_sdr"):
        dataclasses.replace(extractor_settings, absent=0.1)


@pytest.mark.parametrize("targets", ["random", "all"])
@pytest.mark.parametrize("name", ["si_sdr", "si_snr"])
def test_of_whole_mixtures_each_counts_as_long_as_it_is(extractor_settings, student, teacher, batch, targets, name):
    assert len(set(batch.num_samples.tolist())) > 1
    settings = dataclasses.replace(extractor_settings, chunk_s=0, targets=targets, loss=LossConfig(name))
    module = ExtractorTraining(settings, Heard(lambda mix, emb: mix + 0.1), Conditioning(teacher, student))
    loss = module.loss(batch)
    ((mix, _),) = module.model.inputs
    pairs = [(row, int(batch.chance[row, 0] * 2)) for row in range(4)]
    if targets == "all":
        pairs = [(row, source) for row in range(4) for source in range(2)]
    assert torch.equal(mix, batch.mix[[row for row, _ in pairs]])
    alone = []
    for row, source in pairs:
        size = batch.plans[row].num_samples
        alone.append(RATIOS[name](batch.mix[row, :size] + 0.1, batch.sources[row, source, :size]))
    torch.testing.assert_close(loss, -torch.stack(alone).mean())


def test_without_an_embedding_the_student_is_not_asked(extractor_settings, student, teacher, batch):
    module = ExtractorTraining(extractor_settings, Heard(lambda mix, emb: mix), None)
    module.loss(batch)
    assert module.model.inputs[0][1] is None


def test_an_extractor_is_trained_on_all_of_its_estimates_with_their_weights(
    extractor_settings, student, teacher, batch
):
    model = spexplus.Config(windows=(20, 40), filters=4, channels=4, hidden=4, num_stacks=1, num_blocks=2)
    settings = dataclasses.replace(extractor_settings, model=model, loss=LossConfig("si_snr", (0.7, 0.2)))
    module = ExtractorTraining(settings, build_extractor(settings, student), Conditioning(teacher, student))
    loss = module.loss(batch)
    loss.backward()
    assert all(weight.grad is not None for weight in module.parameters())
    parts = [dataclasses.replace(settings, loss=LossConfig("si_snr", weights)) for weights in ((1.0, 0.0), (0.0, 1.0))]
    short, long = (ExtractorTraining(part, module.model, Conditioning(teacher, student)).loss(batch) for part in parts)
    torch.testing.assert_close(loss, 0.7 * short + 0.2 * long)


def test_a_loss_without_a_weight_for_every_estimate_is_refused(extractor_settings, student, teacher):
    settings = dataclasses.replace(extractor_settings, loss=LossConfig(weights=(0.5, 0.5)))
    with pytest.raises(UserError, match="stft_tcn: loss.weights: wanted 1 .*found .0.5, 0.5."):
        ExtractorTraining(settings, build_extractor(settings, student), Conditioning(teacher, student))


def test_the_frozen_networks_are_no_part_of_the_module(extractor_settings, student, teacher):
    extractor = build_extractor(extractor_settings, student)
    module = ExtractorTraining(extractor_settings, extractor, Conditioning(teacher, student))
    assert {id(weight) for weight in module.parameters()} == {id(weight) for weight in extractor.parameters()}
    assert all(name.startswith("model.") or name == "num_bad_steps" for name in module.state_dict())
    assert not student.training and not any(weight.requires_grad for weight in student.parameters())


def test_the_extractor_without_embedding_differs_by_its_fusion_only(extractor_settings, student):
    matched, none = (build_extractor(extractor_settings, given) for given in (student, None))
    assert (matched.config.fusion, none.config.fusion) == ("film", "none")
    assert matched.config.embedding_dim == 4
    assert dataclasses.replace(none.config, fusion="film", embedding_dim=4) == matched.config
    extra = set(matched.state_dict()) - set(none.state_dict())
    assert extra and all(name.startswith("fusions.") for name in extra)
    assert none(torch.randn(1, 500), None).shape == (1, 500)


def test_a_student_that_is_its_own_reference_is_matched_to_itself(extractor_settings, student, teacher, batch):
    own = type(student)(dataclasses.replace(student.config, references="own")).eval()
    module = ExtractorTraining(extractor_settings, Heard(lambda mix, emb: mix), Conditioning(teacher, own))
    module.loss(batch)
    ((_, given),) = module.model.inputs
    sets, references = own(batch.mix, batch.num_samples).embeddings, batch.by_talker(OwnReference(own)(*batch.clean()))
    for row, emb in enumerate(given):
        chosen = int(batch.chance[row, 0] * 2)
        cosine = sets[row] @ references[row].T
        straight = cosine[0, 0] + cosine[1, 1] > cosine[0, 1] + cosine[1, 0]
        torch.testing.assert_close(emb, sets[row, chosen if straight else 1 - chosen], atol=1e-5, rtol=0)


def test_an_extractor_wants_a_head_a_talker(prepared, tmp_path, extractor_settings, saved):
    with pytest.raises(UserError, match="student/model.pt: .*3 talkers wanted .*, found 2; train one with --num_spk 3"):
        train_extractor(extractor_settings, prepared / "2mix", EmbeddingSource(*saved), "matched", tmp_path / "out", 3)
    assert not (tmp_path / "out").exists()


# all of it


def test_student_and_extractors_are_trained_from_files(
    prepared, tmp_path, saved, teacher, student_settings, extractor_settings
):
    data, teacher_path, student_path = prepared / "2mix", saved[0], tmp_path / "student" / "model.pt"
    train_student(student_settings, data, teacher_path, student_path.parent, num_spk=2)
    student = checkpoint.load_model(student_path, "students")
    assert len(student.heads) == 2 and student.config.frontend == teacher.config.frontend
    fresh = build_student(student_settings, teacher, 2).frontend.state_dict()
    assert any(not torch.equal(value, fresh[name]) for name, value in student.frontend.state_dict().items())
    for kind, paths in (("matched", (teacher_path, student_path)), ("none", (tmp_path / "not", tmp_path / "needed"))):
        out = tmp_path / kind
        train_extractor(extractor_settings, data, EmbeddingSource(*paths), kind, out, 2)
        assert checkpoint.load_notes(out / "model.pt", "extractors")["num_steps"] == 6
        model = checkpoint.load_model(out / "model.pt", "extractors")
        emb = None if kind == "none" else torch.randn(1, 4)
        assert model(torch.randn(1, 3000), emb).isfinite().all()
        written = config.load_config(dict_of(extractor_settings), out / "config.yaml")
        assert written.model == model.config


def dict_of(settings):
    """The class of the settings with the keys that `fit` adds."""
    added = [("git", str), ("versions", dict[str, str])]
    return dataclasses.make_dataclass("Written", added, bases=(type(settings),), frozen=True, kw_only=True)


def test_a_student_may_have_more_heads_than_there_are_talkers(prepared, tmp_path, extractor_settings, saved, teacher):
    """With presence one student serves mixtures of 1 to N talkers; each talker is given the head that matches it."""
    config = parallel_heads.Config(
        frontend=teacher.config.frontend, num_spk=3, embedding_dim=teacher.config.embedding_dim, presence=True
    )
    torch.manual_seed(5)
    student = parallel_heads.Model(config)
    checkpoint.save_model(tmp_path / "three" / "model.pt", "students", student)
    source = EmbeddingSource(saved[0], tmp_path / "three" / "model.pt")
    train_extractor(extractor_settings, prepared / "2mix", source, "matched", tmp_path / "out", 2)
    trained = checkpoint.load_model(tmp_path / "out" / "model.pt", "extractors")
    assert trained.config.embedding_dim == config.embedding_dim


def test_without_a_predicted_cue_no_student_is_needed(prepared, tmp_path, extractor_settings, saved):
    settings = dataclasses.replace(extractor_settings, cue=CueConfig(predicted=0, clean=0.5, enrolment=0.5))
    source = EmbeddingSource(saved[0], tmp_path / "not" / "there.pt")
    train_extractor(settings, prepared / "2mix", source, "matched", tmp_path / "out", 2)
    assert checkpoint.load_model(tmp_path / "out" / "model.pt", "extractors").config.embedding_dim == 4


def test_the_first_weights_depend_on_the_seed_alone(prepared, tmp_path, extractor_settings, saved):
    still = dataclasses.replace(extractor_settings, optim=OptimConfig(lr=1e-9))
    train_extractor(still, prepared / "2mix", EmbeddingSource(*saved), "matched", tmp_path / "out", 2)
    student = checkpoint.load_model(saved[1], "students")
    torch.manual_seed(still.seed)
    first = build_extractor(still, student).state_dict()
    trained = checkpoint.load_model(tmp_path / "out" / "model.pt", "extractors").state_dict()
    assert all(torch.allclose(weight, trained[name], atol=1e-6) for name, weight in first.items())


def test_an_extractor_may_begin_with_the_weights_of_another(prepared, tmp_path, extractor_settings, saved):
    data, source, first = prepared / "2mix", EmbeddingSource(*saved), tmp_path / "first" / "model.pt"
    train_extractor(extractor_settings, data, source, "matched", first.parent, 2)
    trained = checkpoint.load_model(first, "extractors")
    begun = build_extractor(extractor_settings, checkpoint.load_model(saved[1], "students"))
    begin_with(begun, first, "extractors")
    assert all(torch.equal(weight, trained.state_dict()[name]) for name, weight in begun.state_dict().items())
    slow = dataclasses.replace(extractor_settings, init=str(first), optim=OptimConfig(lr=1e-9))
    train_extractor(slow, data, source, "matched", tmp_path / "second", 2)
    again = checkpoint.load_model(tmp_path / "second" / "model.pt", "extractors").state_dict()
    assert all(torch.allclose(weight, again[name], atol=1e-6) for name, weight in trained.state_dict().items())
    larger = dataclasses.replace(extractor_settings.model, channels=12)
    with pytest.raises(UserError, match="first/model.pt: init: wanted a network of the settings"):
        train_extractor(dataclasses.replace(slow, model=larger), data, source, "matched", tmp_path / "third", 2)


def test_of_mixtures_with_fewer_talkers_only_those_who_are_there_are_targets(
    extractor_settings, student, teacher, mixed
):
    for targets, pairs in (
        ("all", [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]),
        (
            "random",
            [
                (row, int(chance * count))
                for row, (chance, count) in enumerate(zip(mixed.chance[:, 0], (1, 3, 2), strict=True))
            ],
        ),
    ):
        settings = dataclasses.replace(extractor_settings, targets=targets)
        module = ExtractorTraining(settings, Heard(lambda mix, emb: mix), Conditioning(teacher, student))
        rows, chosen = module._targets(mixed)
        assert list(zip(rows.tolist(), chosen.tolist(), strict=True)) == pairs
        assert module.loss(mixed).isfinite()


def test_stretches_have_a_drawn_length_and_shorter_mixtures_are_whole(student_settings, student, teacher, mixed):
    sizes, settings = mixed.num_samples, dataclasses.replace(student_settings, chunk_s=0.1, max_chunk_s=0.5)
    module = StudentTraining(settings, student, teacher)
    for chance, wanted in ((0.0, 1600), (0.5, 4800), (1 - 2**-24, 8000)):
        batch = dataclasses.replace(mixed, chance=torch.full((3, 2), chance))
        mix, num_samples = module._stretches(batch)
        assert mix.shape == (3, wanted) and num_samples.tolist() == [wanted] * 3
        starts = shared_chunk_starts(batch, wanted)
        assert all(
            torch.equal(row, whole[first : first + wanted])
            for row, whole, first in zip(mix, batch.mix, starts, strict=True)
        )
    longer = dataclasses.replace(settings, chunk_s=50.0, max_chunk_s=60.0)
    mix, num_samples = StudentTraining(longer, student, teacher)._stretches(mixed)
    assert torch.equal(mix, mixed.mix) and torch.equal(num_samples, sizes)
    assert module.loss(mixed).isfinite()
    with pytest.raises(ValueError, match="max_chunk_s: wanted more than chunk_s, which is above 0 too, found 1 and 2"):
        dataclasses.replace(student_settings, chunk_s=2.0, max_chunk_s=1.0)
