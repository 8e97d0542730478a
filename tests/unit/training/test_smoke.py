"""A network is tried before hours go into what it is trained on."""

import dataclasses
from pathlib import Path

import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.matching.speaker_set import SpeakerSet
from wesep_mix.models.frontends import logmel, ssl
from wesep_mix.models.separators import conv_tasnet
from wesep_mix.models.students import parallel_heads
from wesep_mix.models.teachers import asp
from wesep_mix.training.settings import LossConfig, SeparatorConfig, TeacherConfig
from wesep_mix.training.smoke import try_out, try_student, try_teacher

PATH = Path("egs/ours/conf/some.yaml")
SEPARATOR = SeparatorConfig(model=conv_tasnet.Config(num_filters=8, bottleneck=4, hidden=4, num_blocks=1, num_stacks=1))


def test_what_can_be_run_is_accepted_and_no_random_number_is_used_up(extractor_settings, student_settings, teacher):
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    try_out(PATH, extractor_settings)
    try_out(PATH, SEPARATOR)
    try_student(PATH, student_settings, try_teacher(PATH, TeacherConfig(model=teacher.config)), 3)
    assert torch.equal(torch.rand(1), wanted)


def test_a_loss_that_wants_other_outputs_is_told(extractor_settings):
    settings = dataclasses.replace(extractor_settings, loss=LossConfig(weights=(0.8, 0.2)))
    with pytest.raises(UserError, match=r"some.yaml: .*: loss.weights: wanted 1 .*, found \[0.8, 0.2\]"):
        try_out(PATH, settings)


def test_sizes_that_do_not_fit_are_told(monkeypatch):
    monkeypatch.setattr(conv_tasnet.Model, "forward", lambda self, mix: mix @ mix)
    with pytest.raises(UserError, match="some.yaml: model: cannot be built and run .*, found RuntimeError: "):
        try_out(PATH, SEPARATOR)


def test_what_is_not_finite_is_told(monkeypatch):
    monkeypatch.setattr(conv_tasnet.Model, "forward", lambda self, mix: mix[:, None].expand(-1, 2, -1) / 0)
    with pytest.raises(UserError, match="some.yaml: model: with these settings .* not finite"):
        try_out(PATH, SEPARATOR)


def test_an_output_of_another_shape_is_told(monkeypatch):
    monkeypatch.setattr(conv_tasnet.Model, "forward", lambda self, mix: mix)
    with pytest.raises(UserError, match=r"model: the estimates: wanted the shape \[1, 4, 8000\], found \[1, 8000\]"):
        try_out(PATH, SEPARATOR, num_spk=4)


# teachers and students


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"embedding_dim": 0, "projection": -1}, "model: cannot be built and run .*, found RuntimeError: "),
        ({"frontend": logmel.Config(channels=30)}, "model: cannot be built and run .*, found AssertionError: "),
        ({"frontend": ssl.Config(source="./not/there")}, "./not/there: no such folder here"),
    ],
)
def test_a_teacher_that_cannot_be_built_is_told(settings, said, teacher):
    with pytest.raises(UserError, match=f"^{PATH}: {said}") as err:
        try_teacher(PATH, TeacherConfig(model=dataclasses.replace(teacher.config, **settings)))
    assert "\n" not in str(err.value)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"finetuned_layers": 2}, "student: finetuned_layers 2: .*trained as a whole"),
        ({"min_talkers": 3}, "student: min_talkers 3: wanted up to --num_spk 2"),
        ({"heads_from_teacher": True}, "student: heads_from_teacher: the teacher asp: its head does not fit"),
    ],
)
def test_a_student_that_does_not_fit_its_teacher_is_told(settings, said, student_settings, teacher):
    with pytest.raises(UserError, match=f"^{PATH}: {said}"):
        try_student(PATH, dataclasses.replace(student_settings, **settings), teacher, 2)


def test_weights_of_the_hub_are_not_fetched_and_what_is_there_is_looked_at(student_settings, teacher, monkeypatch):
    settings = TeacherConfig(model=dataclasses.replace(teacher.config, frontend=ssl.Config()))
    assert try_teacher(PATH, settings) is None
    try_student(PATH, student_settings, None, 2)
    monkeypatch.delattr(ssl.Model, "fresh")
    with pytest.raises(UserError, match="some.yaml: frontends: wesep_mix.models.frontends.ssl: Model: wanted `fresh`"):
        try_teacher(PATH, settings)


@pytest.mark.parametrize(
    "owner, part, said",
    [
        (logmel.Model, "fresh", "frontends: wesep_mix.models.frontends.logmel: Model: wanted `fresh`"),
        (
            logmel.Config,
            "with_finetuned",
            "frontends: wesep_mix.models.frontends.logmel: Config: wanted `with_finetuned`",
        ),
    ],
)
def test_a_front_end_that_lacks_a_part_is_told_as_the_teachers_and_as_the_students_own(
    owner, part, said, student_settings, teacher, monkeypatch
):
    own = dataclasses.replace(student_settings.model, frontend=logmel.Config(channels=16))
    holder = next(cls for cls in owner.__mro__ if part in vars(cls))
    monkeypatch.delattr(holder, part)
    with pytest.raises(
        UserError, match=f"^{PATH}: {said}, found none; see FrontEnd.* in wesep_mix/models/contracts.py"
    ):
        try_teacher(PATH, TeacherConfig(model=teacher.config))
    with pytest.raises(UserError, match=f"^{PATH}: {said}"):
        try_student(PATH, dataclasses.replace(student_settings, model=own), teacher, 2)


@pytest.mark.parametrize(
    "kind, cls, wrong, said",
    [
        ("teacher", asp.Model, lambda self, wav, num_samples=None: torch.zeros(len(wav), 3), "the embeddings: wanted"),
        (
            "student",
            parallel_heads.Model,
            lambda self, mix, num_samples=None: SpeakerSet(torch.zeros(1, 2, 3)),
            r"the embeddings: wanted the shape \[1, 2, 4\], found \[1, 2, 3\]",
        ),
        (
            "student",
            parallel_heads.Model,
            lambda self, mix, num_samples=None: SpeakerSet(torch.zeros(1, 2, 4)),
            r"the presence: wanted the shape \[1, 2\], found NoneType",
        ),
        (
            "teacher",
            logmel.Model,
            lambda self, wav, num_samples=None: (torch.ones(1, 9, 7), torch.tensor([9])),
            "the front-end's frames: wanted the shape",
        ),
        ("teacher", asp.Model, lambda self, wav, num_samples=None: torch.full((1, 4), torch.nan), ".* not finite"),
    ],
)
def test_an_output_that_is_not_what_its_kind_gives_is_told(
    kind, cls, wrong, said, student_settings, teacher, monkeypatch
):
    settings = dataclasses.replace(student_settings, model=dataclasses.replace(student_settings.model, presence=True))
    monkeypatch.setattr(cls, "forward", wrong)
    with pytest.raises(UserError, match=f"^{PATH}: model: {said}"):
        if kind == "teacher":
            try_teacher(PATH, TeacherConfig(model=teacher.config))
        else:
            try_student(PATH, settings, teacher, 2)
