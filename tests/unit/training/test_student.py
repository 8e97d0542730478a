"""How a student is put together, and its training from files with all that its config may say."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from lives import same, stopping_at

from wesep_mix.base import config
from wesep_mix.base.config import read_raw
from wesep_mix.base.errors import UserError
from wesep_mix.io.weights import read_weights
from wesep_mix.models import checkpoint
from wesep_mix.models.frontends import logmel
from wesep_mix.preparation.settings import EffectsConfig
from wesep_mix.training import student as training
from wesep_mix.training.settings import ContrastiveConfig, OptimConfig, StudentConfig
from wesep_mix.training.student import build_student, train_student

OWN = logmel.Config(num_mels=12, channels=6, num_layers=1, num_heads=2)


def changed(settings, model=None, **values):
    return dataclasses.replace(settings, model=dataclasses.replace(settings.model, **(model or {})), **values)


def num_trainable(module) -> int:
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


class Whole(torch.nn.Module):
    """A teacher that is not made of a front-end and a head."""

    config = SimpleNamespace(name="whole", embedding_dim=4)

    def forward(self, wav, num_samples=None):
        return torch.nn.functional.normalize(torch.ones(len(wav), 4), dim=-1)


# front-ends


def test_a_front_end_of_its_own_is_not_the_teachers(student_settings, teacher):
    student = build_student(changed(student_settings, {"frontend": OWN}), teacher, num_spk=2)
    assert student.config.frontend == OWN and student.frontend.channels == 6 and student.config.embedding_dim == 4


def test_one_of_its_own_like_the_teachers_is_fresh(student_settings, teacher):
    settings = changed(student_settings, {"frontend": teacher.config.frontend})
    ours, theirs = build_student(settings, teacher, 2).frontend.state_dict(), teacher.frontend.state_dict()
    assert any(not torch.equal(ours[name], theirs[name]) for name in theirs)


def test_no_front_end_anywhere_is_told(student_settings):
    with pytest.raises(UserError, match="teacher whole has no front-end to copy; write .* own_frontend: ") as err:
        build_student(student_settings, Whole(), 2)
    assert "\n" not in str(err.value)
    student = build_student(changed(student_settings, {"frontend": OWN}), Whole(), 2)
    assert student(torch.randn(1, 4000)).embeddings.shape == (1, 2, 4)


def test_where_the_teacher_has_no_front_end_the_student_has_its_own_by_itself(student_settings, teacher):
    settings = dataclasses.replace(student_settings, own_frontend=OWN, heads_from_teacher=True)
    student = build_student(settings, Whole(), 2)
    assert student.config.frontend == OWN and student(torch.randn(1, 4000)).embeddings.shape == (1, 2, 4)
    copied = build_student(dataclasses.replace(settings, heads_from_teacher=False), teacher, 2)
    assert copied.config.frontend == teacher.config.frontend != OWN


def test_no_fine_tuned_layers_freeze_any_front_end(student_settings, teacher):
    for front_end in (None, OWN):
        student = build_student(changed(student_settings, {"frontend": front_end}, finetuned_layers=0), teacher, 2)
        assert not student.train().frontend.training and num_trainable(student.frontend) == 0
        assert num_trainable(student) == num_trainable(student.heads) > 0
        assert student.frontend(torch.randn(1, 4000))[0].grad_fn is None


def test_a_copy_of_a_frozen_front_end_is_trained(student_settings, teacher):
    frozen = type(teacher)(
        dataclasses.replace(teacher.config, frontend=dataclasses.replace(teacher.config.frontend, finetuned=False))
    )
    student = build_student(student_settings, frozen, 2)
    assert num_trainable(student.frontend) == checkpoint.num_parameters(student.frontend)
    ours, theirs = student.frontend.state_dict(), frozen.frontend.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_layers_of_a_front_end_that_has_no_such_setting(student_settings, teacher):
    with pytest.raises(UserError, match="finetuned_layers 2: the front-end logmel is trained as a whole"):
        build_student(dataclasses.replace(student_settings, finetuned_layers=2), teacher, 2)
    with pytest.raises(ValueError, match="finetuned_layers: wanted 0 or more, found -1"):
        dataclasses.replace(student_settings, finetuned_layers=-1)


# heads


def test_a_head_that_does_not_fit_is_told(student_settings, teacher):
    settings = dataclasses.replace(student_settings, heads_from_teacher=True)
    with pytest.raises(
        UserError,
        match=r"the teacher asp: its head does not fit: embedding.weight: wanted \[4, 10\], "
        r"found \[4, 12\]; .*projection and bottleneck",
    ):
        build_student(settings, teacher, 2)
    with pytest.raises(UserError, match="teacher whole has no head to copy; set it to false"):
        build_student(changed(settings, {"frontend": OWN}), Whole(), 2)


def test_presence_and_references_are_what_the_training_says(student_settings, teacher):
    plain = build_student(student_settings, teacher, 2)
    assert (plain.config.presence, plain.config.references) == (False, "teacher")
    other = build_student(changed(student_settings, {"presence": True}, supervision="labels"), teacher, 3)
    assert (other.config.presence, other.config.references, len(other.presence)) == (True, "own", 3)


# settings


@pytest.mark.parametrize(
    "values, said",
    [
        ({"supervision": "nobody"}, "supervision: wanted teacher, contrastive, self or labels, found 'nobody'"),
        ({"min_talkers": 0}, "min_talkers: wanted 1 or more, found 0"),
        ({"presence_weight": 0.0}, "presence_weight: wanted a number above 0, found 0.0"),
        ({"min_talkers": 1, "trainer": {"plans": "static"}}, "min_talkers: static plans have their number of talkers"),
        ({"arcface": {"sub_centres": 0}}, "sub_centres"),
        ({"contrastive": {"temperature": 0}}, "temperature: wanted a number above 0, found 0"),
        ({"contrast": 0.1, "supervision": "self"}, "contrast: wanted 0, or supervision: teacher, found 0.1 and self"),
        ({"contrastive": {"memory": 0}}, "memory: wanted 1 or more, found 0"),
        (
            {"supervision": "labels", "trainer": {"effects": {"speeds": [0.9, 1.0]}}},
            "trainer.effects.speeds: a faster talker is another voice, which speakers' labels do not know; wanted",
        ),
    ],
)
def test_settings_that_make_no_sense(values, said):
    with pytest.raises(UserError, match=f"^student.yaml: .*{said}"):
        config.from_dict(StudentConfig, {"model": {"name": "parallel_heads"}} | values, "student.yaml")


@pytest.mark.parametrize(
    "least, presence, said",
    [
        (3, True, "min_talkers 3: wanted up to --num_spk 2"),
        (1, False, "min_talkers 1 is fewer than --num_spk 2: .* wanted model.presence: true in student.yaml"),
    ],
)
def test_numbers_of_talkers_that_do_not_fit(student_settings, tmp_path, least, presence, said):
    settings = changed(student_settings, {"presence": presence}, min_talkers=least)
    with pytest.raises(UserError, match=said):
        train_student(settings, tmp_path, tmp_path / "teacher.pt", tmp_path / "out", 2)


# trainings


def test_effects_change_what_is_learnt_and_stand_in_its_config(prepared, tmp_path, student_settings, saved):
    weights, log = [], []
    for name, share in (("without", 0.0), ("with", 1.0)):
        trainer = dataclasses.replace(student_settings.trainer, effects=EffectsConfig(clipping=share, codec=share))
        train_student(
            dataclasses.replace(student_settings, trainer=trainer), prepared / "2mix", saved[0], tmp_path / name, 2
        )
        weights.append(checkpoint.load_model(tmp_path / name / "model.pt", "students").state_dict())
        log.append(read_raw(tmp_path / name / "config.yaml")["trainer"]["effects"]["codec"])
    assert log == [0.0, 1.0] and any(not torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())


@pytest.fixture
def train(prepared, tmp_path, saved):
    """Function: settings -> the trained student of two talkers, what was noted, and the columns of its log."""
    out = tmp_path / "student"

    def run(settings):
        train_student(settings, prepared / "2mix", saved[0], out, num_spk=2)
        columns = (out / "logs" / "csv" / "metrics.csv").read_text().splitlines()[0].split(",")
        path = out / "model.pt"
        return checkpoint.load_model(path, "students"), checkpoint.load_notes(path, "students"), columns

    return run


def test_with_frozen_front_end_only_the_heads_are_trained_and_counted(train, student_settings, teacher):
    student, notes, _ = train(dataclasses.replace(student_settings, finetuned_layers=0))
    ours, theirs = student.frontend.state_dict(), teacher.frontend.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert notes["num_trainable"] == checkpoint.num_parameters(student.heads)


def test_it_may_begin_with_the_weights_of_another(prepared, tmp_path, student_settings, saved):
    first = checkpoint.load_model(saved[1], "students").state_dict()
    slow = dataclasses.replace(student_settings, init=str(saved[1]), optim=OptimConfig(lr=1e-9), seed=1)
    train_student(slow, prepared / "2mix", saved[0], tmp_path / "begun", num_spk=2)
    begun = checkpoint.load_model(tmp_path / "begun" / "model.pt", "students").state_dict()
    assert all(torch.allclose(weight, begun[name], atol=1e-6) for name, weight in first.items())
    larger = changed(slow, model={"bottleneck": 5})
    with pytest.raises(UserError, match="student/model.pt: init: wanted a network of the settings"):
        train_student(larger, prepared / "2mix", saved[0], tmp_path / "other", num_spk=2)


@pytest.mark.parametrize(
    "supervision, references, chosen_by, num_speakers",
    [
        ("teacher", "teacher", "dev/loss", 0),
        ("contrastive", "own", "dev/eer", 0),
        ("self", "own", "dev/eer", 0),
        ("labels", "own", "dev/eer", 4),
    ],
)
def test_on_mixtures_of_one_and_two(train, student_settings, supervision, references, chosen_by, num_speakers):
    settings = changed(student_settings, {"presence": True}, min_talkers=1, supervision=supervision)
    student, notes, columns = train(settings)
    assert student.config.presence and student.config.references == references
    assert "dev/count_acc" in columns and {"dev/loss", "dev/eer"} & set(columns) == {chosen_by}
    assert notes["num_trainable"] == checkpoint.num_parameters(student) + 4 * num_speakers
    found = student(torch.randn(1, 4000))
    assert found.presence.shape == (1, 2) and int(found.num_spk()) in (1, 2)


def test_a_memory_smaller_than_the_speakers_is_told(train, student_settings):
    settings = dataclasses.replace(student_settings, supervision="contrastive", contrastive=ContrastiveConfig(memory=3))
    with pytest.raises(UserError, match="student: contrastive.memory: wanted at least 4, the number of speakers .* 3$"):
        train(settings)


@pytest.mark.parametrize(
    "supervision, name", [("contrastive", "ContrastiveStudentTraining"), ("self", "SelfStudentTraining")]
)
def test_without_the_teacher_a_stopped_training_goes_on_to_the_same_end(
    prepared, tmp_path, saved, student_settings, monkeypatch, supervision, name
):
    """The contrastive one goes on with what it remembered."""
    contrastive = ContrastiveConfig(memory=6)  # of a step's four
    settings = dataclasses.replace(student_settings, supervision=supervision, contrastive=contrastive)
    settings = dataclasses.replace(settings, trainer=dataclasses.replace(settings.trainer, keep="last"))

    def run(out):
        train_student(settings, prepared / "2mix", saved[0], tmp_path / out, num_spk=2)
        return checkpoint.load_model(tmp_path / out / "model.pt", "students").state_dict()

    whole = run("whole")
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(training, name, stopping_at(3, lambda: 1 / 0, getattr(training, name)))
        run("parts")
    assert same(whole, run("parts"))
    state = read_weights(tmp_path / "parts" / "checkpoints" / "last.ckpt")["state_dict"]
    assert ("memory.labels" in state) == (supervision == "contrastive")
