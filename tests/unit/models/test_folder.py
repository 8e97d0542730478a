import dataclasses

import pytest
import torch
import yaml
from safetensors.torch import load_file

from wesep_mix.base.errors import UserError
from wesep_mix.memory import online
from wesep_mix.models import checkpoint
from wesep_mix.models.extractors import stft_tcn
from wesep_mix.models.folder import (
    About,
    SureConfig,
    UseConfig,
    bundle_of,
    load_network,
    read_folder,
    read_settings,
    update_folder,
    write_folder,
)
from wesep_mix.models.frontends import logmel
from wesep_mix.models.students import parallel_heads
from wesep_mix.models.teachers import asp

FRONTEND = logmel.Config(num_mels=20, channels=16, num_layers=1)
SMALL = {
    "teachers": asp.Model(asp.Config(frontend=FRONTEND, projection=8, embedding_dim=6, bottleneck=4)),
    "students": parallel_heads.Model(
        parallel_heads.Config(frontend=FRONTEND, num_spk=2, projection=8, embedding_dim=6, bottleneck=4)
    ),
    "extractors": stft_tcn.Model(stft_tcn.Config(embedding_dim=6, channels=8, hidden=8, num_blocks=1, num_stacks=1)),
}


@pytest.fixture
def saved(tmp_path):
    """Function: changes of the models -> paths of model files."""

    def make(**models):
        paths = []
        for kind, model in (SMALL | models).items():
            checkpoint.save_model(tmp_path / f"{kind}.pt", kind, model)
            paths.append(tmp_path / f"{kind}.pt")
        return paths

    return make


@pytest.fixture
def folder(saved, tmp_path):
    bundle = bundle_of(*saved(), About("mine", "CC0", "nothing"), UseConfig(window_s=5.0, like=0.4))
    write_folder(bundle, tmp_path / "model")
    return tmp_path / "model"


def test_it_travels_whole(folder, saved):
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "extractor.safetensors",
        "model.yaml",
        "student.safetensors",
        "teacher.safetensors",
    ]
    read = read_folder(folder)
    assert (read.use.window_s, read.use.like, read.about.licence) == (5.0, 0.4, "CC0")
    assert "mine" in (folder / "README.md").read_text()
    mix = torch.randn(1, 8000)
    with torch.inference_mode():
        emb = SMALL["teachers"].eval()(mix)
        assert torch.equal(read.teacher(mix), emb)
        assert torch.equal(read.student(mix).embeddings, SMALL["students"].eval()(mix).embeddings)
        assert torch.equal(read.extractor(mix, emb), SMALL["extractors"].eval()(mix, emb))


def test_half_precision_takes_half_the_space_and_is_read_as_float32(folder, tmp_path):
    bundle = read_folder(folder)
    write_folder(bundle, tmp_path / "half", bits=16)
    for part in ("teacher", "student", "extractor"):
        sizes = [(where / f"{part}.safetensors").stat().st_size for where in (folder, tmp_path / "half")]
        assert sizes[1] < 0.75 * sizes[0]  # the names stay as long
        whole, half = (getattr(read_folder(where), part).state_dict() for where in (folder, tmp_path / "half"))
        assert all(torch.equal(half[name], whole[name].half().float()) for name in whole)


def test_weights_of_8_bits_have_a_scale_for_each_output_channel(folder, tmp_path):
    bundle = read_folder(folder)
    write_folder(bundle, tmp_path / "small", bits=8)
    assert read_settings(tmp_path / "small")["form"] == 3
    read, some = read_folder(tmp_path / "small"), 0
    for part in ("teacher", "student", "extractor"):
        for name, weight in getattr(bundle, part).state_dict().items():
            found = getattr(read, part).state_dict()[name]
            assert found.dtype == weight.dtype
            if weight.dim() > 1 and weight.numel() >= 1024 and weight.is_floating_point():
                step = weight.flatten(1).abs().amax(1) / 127
                assert ((found - weight).flatten(1).abs().amax(1) <= 0.501 * step).all() and not torch.equal(
                    found, weight
                )
                some += 1
            elif weight.is_floating_point():
                assert torch.equal(found, weight.half().float())
    assert some > 3
    stored = load_file(tmp_path / "small" / "extractor.safetensors")
    assert {value.dtype for value in stored.values()} >= {torch.int8, torch.float16}


@pytest.mark.parametrize("bits", [8, 16])
def test_what_the_teacher_lends_is_the_same_in_few_bits(saved, tmp_path, bits):
    student = parallel_heads.Model(SMALL["students"].config)
    student.frontend.load_state_dict(SMALL["teachers"].frontend.state_dict())
    write_folder(bundle_of(*saved(students=student), About("mine")), tmp_path / "shared", bits=bits)
    assert not any(name.startswith("frontend.") for name in load_file(tmp_path / "shared" / "student.safetensors"))
    read = read_folder(tmp_path / "shared")
    teacher, found = read.teacher.frontend.state_dict(), read.student.frontend.state_dict()
    assert found and all(torch.equal(found[name], teacher[name]) for name in found)


def test_use_and_about_are_written_anew_beside_the_same_weights(folder):
    bundle = read_folder(folder)
    before = read_settings(folder)
    measured = ({"talkers": 2, "noise": True, "si_sdri": 1.234, "interval": [-0.5, 2.0], "wrong": None},)
    update_folder(
        dataclasses.replace(bundle, use=UseConfig(presence=0.7), about=About("mine", measured=measured)), folder
    )
    after = read_folder(folder)
    assert after.use.presence == 0.7 and after.about.measured == measured
    assert read_settings(folder)["parts"] == before["parts"]
    assert "| 2 | yes | 1.23 | -0.50 to 2.00 | - |" in (folder / "README.md").read_text()


def test_a_confidence_of_older_folders_is_that_of_the_presence(folder):
    path = folder / "model.yaml"
    settings = yaml.safe_load(path.read_text())
    assert set(settings["use"]["sure"]) == {"presence", "seen", "unity", "near", "offset"}
    settings["use"]["sure"] = [0.7, -0.2]
    del settings["use"]["least"]
    path.write_text(yaml.safe_dump(settings))
    use = read_folder(folder).use
    assert (use.sure, use.least) == (SureConfig(presence=0.7, offset=-0.2), 0.0)
    settings["use"]["sure"] = [0.7, -0.2, 1.0]
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(UserError, match="use: sure: wanted a mapping of settings"):
        read_folder(folder)


def test_settings_of_a_memory_travel_and_are_checked(folder):
    assert read_folder(folder).use.memory is None
    chosen = online.Config(tau_match=0.4, tau_new=0.3, max_slots=4)
    bundle = read_folder(folder)
    update_folder(dataclasses.replace(bundle, use=UseConfig(memory=chosen)), folder)
    assert read_folder(folder).use.memory == chosen
    use = read_settings(folder)["use"]
    damage(folder, use={name: value for name, value in use.items() if name != "memory"})
    assert read_folder(folder).use.memory is None  # as the folders of earlier versions
    for memory, said in (
        ({"name": "online", "max_slot": 4}, "use: memory: max_slot: unknown key, did you mean max_slots"),
        ({"name": "online", "max_slots": 0}, "use: memory: max_slots: wanted 1 or more, found 0"),
        ({"max_slots": 4}, "use: memory: wanted a mapping with `name:`"),
        ({"name": "onlin"}, "use: memory: memory: no 'onlin', did you mean online"),
    ):
        damage(folder, use={"memory": memory})
        with pytest.raises(UserError, match=said):
            read_folder(folder)


def test_networks_that_do_not_fit_each_other_are_no_model(saved, tmp_path):
    other = stft_tcn.Model(stft_tcn.Config(embedding_dim=7, channels=8, hidden=8, num_blocks=1, num_stacks=1))
    with pytest.raises(UserError, match="extractors.pt: wanted embeddings of one size in all of its networks"):
        bundle_of(*saved(extractors=other), About("mine"))
    none = stft_tcn.Model(
        stft_tcn.Config(embedding_dim=6, fusion="none", channels=8, hidden=8, num_blocks=1, num_stacks=1)
    )
    with pytest.raises(UserError, match="wanted an extractor that takes an embedding, found one of fusion none"):
        bundle_of(*saved(extractors=none), About("mine"))


def damage(folder, **changed):
    settings = yaml.safe_load((folder / "model.yaml").read_text())
    (folder / "model.yaml").write_text(yaml.safe_dump(settings | changed))


def test_what_is_missing_or_damaged_is_named(folder):
    weights = (folder / "student.safetensors").read_bytes()
    (folder / "student.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(UserError, match="student.safetensors: wanted the file of hash .*changed or damaged, copy the"):
        read_folder(folder)
    (folder / "student.safetensors").unlink()
    with pytest.raises(UserError, match="student.safetensors: missing; a model's folder has all of its files"):
        read_folder(folder)
    (folder / "student.safetensors").write_bytes(weights)
    damage(folder, form=4)
    with pytest.raises(UserError, match="model.yaml: wanted form 1 to 3, found 4; another version of wesep_mix made"):
        read_folder(folder)
    damage(folder, form=1, use={"window_s": 0.1})
    with pytest.raises(UserError, match="model.yaml: use: window_s: wanted 1 or more, found 0.1"):
        read_folder(folder)
    damage(folder, parts={"teacher": {"file": "../../etc/passwd", "sha256": "0", "config": {}}})
    with pytest.raises(UserError, match=f"{folder}/passwd: missing"):
        read_folder(folder)
    (folder / "model.yaml").write_text("parts: [")
    with pytest.raises(UserError, match="model.yaml: not valid YAML"):
        read_settings(folder)
    (folder / "model.yaml").unlink()
    with pytest.raises(UserError, match="wanted a model's folder, found none with model.yaml"):
        read_folder(folder)
    with pytest.raises(UserError, match="absent: wanted a model's folder, found no such folder"):
        read_folder(folder / "absent")


def test_no_code_is_run_by_a_settings_file(folder):
    (folder / "model.yaml").write_text("!!python/object/apply:os.system ['exit 1']\n")
    with pytest.raises(UserError, match="not valid YAML"):
        read_folder(folder)


def test_weights_of_the_student_that_are_the_teachers_are_stored_once(saved, tmp_path):
    student = parallel_heads.Model(SMALL["students"].config)
    student.frontend.load_state_dict(SMALL["teachers"].frontend.state_dict())
    bundle = bundle_of(*saved(students=student), About("mine"))
    write_folder(bundle, tmp_path / "shared", bits=16)
    stored = load_file(tmp_path / "shared" / "student.safetensors")
    assert stored and not any(name.startswith("frontend.") for name in stored)
    read = read_folder(tmp_path / "shared").student.state_dict()
    assert all(torch.equal(read[name], value.half().float()) for name, value in student.state_dict().items())
    alone = load_network(tmp_path / "shared" / "student.safetensors", "students").state_dict()
    assert all(torch.equal(alone[name], value) for name, value in read.items())


def test_a_student_without_the_teachers_file_is_told(saved, tmp_path):
    student = parallel_heads.Model(SMALL["students"].config)
    student.frontend.load_state_dict(SMALL["teachers"].frontend.state_dict())
    write_folder(bundle_of(*saved(students=student), About("mine")), tmp_path / "shared")
    (tmp_path / "shared" / "teacher.safetensors").unlink()
    with pytest.raises(UserError, match=r"teacher\.safetensors: missing"):
        load_network(tmp_path / "shared" / "student.safetensors", "students")
