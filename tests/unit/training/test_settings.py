"""What the trainings' settings refuse."""

import dataclasses

import pytest

from wesep_mix.data.cues import KINDS
from wesep_mix.models.separators import conv_tasnet
from wesep_mix.models.students import parallel_heads
from wesep_mix.preparation.settings import EffectsConfig
from wesep_mix.training.settings import CueConfig, SeparatorConfig, TrainerConfig


@pytest.fixture
def all_settings(teacher_settings, student_settings, extractor_settings):
    return {
        "teacher": teacher_settings(),
        "student": student_settings,
        "extractor": extractor_settings,
        "separator": SeparatorConfig(model=conv_tasnet.Config()),
    }


@pytest.mark.parametrize("which", ["teacher", "student", "extractor", "separator"])
@pytest.mark.parametrize(
    "settings, said",
    [
        ({"batch_size": 0}, "batch_size: wanted 1 or more, found 0"),
        ({"chunk_s": -3.0}, "chunk_s: wanted seconds.*, found -3.0"),
        ({"chunk_s": float("nan")}, "chunk_s: wanted seconds.*, found nan"),
    ],
)
def test_batches_and_chunks_have_a_size(all_settings, which, settings, said):
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(all_settings[which], **settings)


def test_a_chunk_of_0_is_a_whole_mixture_and_no_utterance(all_settings):
    with pytest.raises(ValueError, match="chunk_s: wanted seconds above 0, found 0"):
        dataclasses.replace(all_settings.pop("teacher"), chunk_s=0.0)
    assert all(dataclasses.replace(one, chunk_s=0.0).chunk_s == 0 for one in all_settings.values())


def test_a_precision_that_there_is_not():
    with pytest.raises(ValueError, match="precision: wanted 32-true or bf16-mixed, found 'bf16mixed'"):
        TrainerConfig(precision="bf16mixed")


def test_speeds_are_of_fresh_mixtures_and_of_voices_that_nothing_but_a_teacher_names(all_settings):
    faster = EffectsConfig(speeds=(0.9, 1.1))
    with pytest.raises(
        ValueError, match=r"effects.speeds: static plans have their speeds, wanted \[1.0\], found \[0.9"
    ):
        TrainerConfig(plans="static", effects=faster)
    teacher = all_settings.pop("teacher")
    with pytest.raises(ValueError, match="which a teacher's classes do not know"):
        dataclasses.replace(teacher, trainer=dataclasses.replace(teacher.trainer, effects=faster))
    for one in all_settings.values():
        dataclasses.replace(one, trainer=dataclasses.replace(one.trainer, effects=faster))
    with pytest.raises(ValueError, match="wanted a factor from 0.5 to 2, found 3.0"):
        EffectsConfig(speeds=(3.0,))


def test_a_student_has_a_head():
    with pytest.raises(ValueError, match="num_spk: wanted 1 or more, found 0"):
        parallel_heads.Config(num_spk=0)


def test_there_is_a_probability_of_every_kind_of_condition():
    assert set(CueConfig().probabilities) == set(KINDS)


@pytest.mark.parametrize(("share", "steps"), [(1.0, 1400), (0.5, 700), (0.44, 600), (0.001, 100)])
def test_the_network_without_an_embedding_is_trained_for_its_share_in_whole_epochs(extractor_settings, share, steps):
    given = dataclasses.replace(extractor_settings, trainer=TrainerConfig(max_steps=1400, average=14), none_share=share)
    without = given.without_embedding()
    assert without.trainer.max_steps == steps and without.trainer.average == steps // 100
    changed = dataclasses.replace(without.trainer, max_steps=1400, average=14)
    assert dataclasses.replace(without, trainer=changed) == given


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_of_no_steps_or_more_than_all_is_refused(extractor_settings, share):
    with pytest.raises(ValueError, match="none_share: wanted a share of trainer.max_steps"):
        dataclasses.replace(extractor_settings, none_share=share)
