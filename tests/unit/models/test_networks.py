import shutil

import pytest
from small_model import write_small_experiment

from wesep_mix.base.errors import UserError
from wesep_mix.models.networks import find_networks


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exp") / "mini"
    folder.mkdir()
    write_small_experiment(folder)
    return folder


def test_a_models_folder_has_its_three_networks_and_needs_no_stage(made):
    found = find_networks(made / "model")
    assert (found.name, found.student) == ("model", made / "model" / "student.safetensors")
    assert found.needs("student", "extractor") == [] and set(found.settings()) == {"model", "model.yaml"}
    assert find_networks("small").name == "small"


def test_an_experiment_with_one_extractor_needs_no_more_words(made):
    found = find_networks(made)
    assert found.name == "mini_2mix_net" and found.extractor == made / "2mix" / "net" / "matched" / "model.pt"
    assert found.teacher == made / "teacher" / "model.pt" and found.settings() == {"model": "mini_2mix_net"}
    assert [(need.path, need.stage) for need in found.needs("teacher", "student")] == [
        (found.teacher, 2),
        (made / "2mix" / "student" / "model.pt", 3),
    ]
    assert find_networks(made, teacher=made / "other.pt").teacher == made / "other.pt"


def test_of_several_extractors_one_is_to_be_named(made, tmp_path):
    exp = shutil.copytree(made, tmp_path / "mini")
    shutil.copytree(exp / "2mix" / "net", exp / "2mix" / "second")
    with pytest.raises(UserError, match="found 2: choose by --num_spk 2 --extractor net, --num_spk 2 --extractor sec"):
        find_networks(exp)
    assert find_networks(exp, extractor="second").name == "mini_2mix_second"


@pytest.mark.parametrize("options", [{"num_spk": 3}, {"extractor": "nobody"}])
def test_what_is_not_there_is_told(made, options):
    with pytest.raises(UserError, match="wanted a model's folder with model.yaml, or an experiment"):
        find_networks(made, **options)
    with pytest.raises(UserError, match="found no such folder"):
        find_networks(made / "nowhere")
