import json

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    HubertModel,
    UniSpeechSatModel,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from wesep_mix.base.errors import UserError
from wesep_mix.models.frontends.ssl import Config, Model

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,  # of 16 channels; with 8 oneDNN's bf16 is wrong on CPUs that have AMX
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}


def save(folder, network, **preprocessor) -> str:
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return str(folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    torch.manual_seed(0)
    return save(tmp_path_factory.mktemp("wavlm"), WavLMModel(WavLMConfig(**TINY)), do_normalize=False)


@pytest.fixture(scope="module")
def wav():
    return 0.1 * torch.randn(3, 8000, generator=torch.Generator().manual_seed(0))


def test_frames_are_those_of_transformers(tiny, wav):
    theirs = WavLMModel.from_pretrained(tiny).eval()
    ours = Model(Config(source=tiny)).eval()
    with torch.inference_mode():
        frames, num_frames = ours(wav)
        torch.testing.assert_close(frames, theirs(wav).last_hidden_state, atol=1e-5, rtol=0)
    assert frames.shape == (3, 24, 32) and num_frames.tolist() == [24] * 3 and ours.channels == 32


@pytest.mark.parametrize(
    "settings, network, normalised",
    [
        ({}, WavLMModel, False),
        ({}, WavLMModel, True),
        (LARGE, WavLMModel, True),
        ({}, HubertModel, False),
        ({}, Wav2Vec2Model, True),
        (LARGE, UniSpeechSatModel, False),
    ],
)
@pytest.mark.parametrize("num_samples", [1, 400, 720, 4321, 7999])
def test_padding_has_no_influence(tmp_path, wav, settings, network, normalised, num_samples):
    torch.manual_seed(0)
    made = network(network.config_class(**TINY, **settings))
    model = Model(Config(source=save(tmp_path, made, do_normalize=normalised))).eval()
    with torch.inference_mode():
        together, num_frames = model(wav, torch.tensor([8000, num_samples, 6000]))  # what follows the end is no silence
        alone, count = model(wav[1:2, :num_samples])
    assert int(num_frames[1]) == int(count[0]) == alone.shape[1]
    torch.testing.assert_close(together[1, : alone.shape[1]], alone[0], atol=1e-5, rtol=0)


def test_normalised_wavs_have_no_level(tmp_path, wav):
    torch.manual_seed(0)
    model = Model(Config(source=save(tmp_path, WavLMModel(WavLMConfig(**TINY, **LARGE)), do_normalize=True))).eval()
    torch.testing.assert_close(model(5 * wav + 0.1)[0], model(wav)[0], atol=1e-4, rtol=0)


def test_only_the_top_layers_and_the_positional_convolution_are_trained(tiny, wav):
    model = Model(Config(source=tiny, finetuned_layers=2)).train()
    model(wav)[0].square().sum().backward()
    learning = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert learning == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {".".join(name.split(".")[1:4]) for name in learning} == {
        "encoder.layers.1",
        "encoder.layers.2",
        "encoder.pos_conv_embed.conv",
    }


def test_frozen_parts_stay_in_eval_mode_and_out_of_autograd(tiny, wav):
    model = Model(Config(source=tiny)).train()
    assert not any(module.training for module in model.network.modules())
    assert not model(wav)[0].requires_grad
    half = Model(Config(source=tiny, finetuned_layers=1)).train()
    assert not half.network.encoder.layers[0].training and half.network.encoder.layers[2].training
    assert not half.eval().network.encoder.layers[2].training


def test_weighted_layers_begin_as_their_mean_and_learn(tiny, wav):
    model = Model(Config(source=tiny, layers="weighted"))
    states = WavLMModel.from_pretrained(tiny).eval()(wav, output_hidden_states=True).hidden_states
    torch.testing.assert_close(model(wav)[0], torch.stack(states).mean(0), atol=1e-5, rtol=0)
    model(wav)[0].square().sum().backward()
    assert model.layer_weights.shape == (4,) and model.layer_weights.grad.abs().min() > 0
    with torch.no_grad():
        model.layer_weights.copy_(torch.tensor([0.0, 50.0, 0.0, 0.0]))
    torch.testing.assert_close(model(wav)[0], states[1], atol=1e-5, rtol=0)


def test_rwse_adds_the_weighted_layers_to_the_last(tiny, wav):
    last, mixed, both = (Model(Config(source=tiny, layers=use)).eval()(wav)[0] for use in ("last", "weighted", "rwse"))
    torch.testing.assert_close(both, last + mixed, atol=1e-5, rtol=0)


def test_checkpointing_computes_layers_again_and_changes_no_gradient(tiny, wav):
    gradients, calls = [], []
    direction = torch.randn(3, 24, 32, generator=torch.Generator().manual_seed(1))
    for checkpointing in (False, True):
        model = Model(Config(source=tiny, finetuned_layers=2, checkpointing=checkpointing)).train()
        model.network.encoder.layers[1].attention.register_forward_hook(lambda *_: calls.append(1))
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        for layer in model.network.encoder.layers:
            layer.attention.dropout = 0.0
        (model(wav)[0] * direction).sum().backward()
        gradients.append(model.network.encoder.layers[1].feed_forward.output_dense.weight.grad)
    assert len(calls) == 1 + 2 and gradients[0].abs().max() > 0.1
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-4, rtol=1e-4)


def test_bf16_autocast_is_near_full_precision(tiny, wav):
    model = Model(Config(source=tiny)).eval()
    with torch.inference_mode():
        wanted = model(wav)[0]
        with torch.autocast("cpu", torch.bfloat16):
            frames = model(wav, torch.tensor([8000, 5000, 8000]))[0]
    assert (frames[0].float() - wanted[0]).abs().max() < 0.2 and frames.isfinite().all()


def test_an_unknown_layer_use_is_refused():
    with pytest.raises(ValueError, match="wanted last, weighted or rwse, found 'first'"):
        Config(layers="first")


def test_a_model_file_needs_no_source(tiny, wav):
    model = Model(Config(source=tiny)).eval()
    again = Model(Config(source="gone", architecture=model.config.architecture)).eval()
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again(wav)[0], model(wav)[0], atol=0, rtol=0)


def test_fresh_weights_are_those_of_the_source(tiny, wav):
    model = Model(Config(source=tiny, finetuned_layers=1)).eval()
    before = model(wav)[0]
    torch.nn.init.zeros_(model.network.encoder.layers[2].final_layer_norm.weight)
    torch.testing.assert_close(model.fresh().eval()(wav)[0], before, atol=0, rtol=0)


def test_the_base_model_has_the_papers_number_of_trained_parameters():
    """Six layers of WavLM Base and the positional convolution."""
    base = json.dumps({"model_type": "wavlm", "do_normalize": False})
    with torch.device("meta"):
        model = Model(Config(architecture=base, finetuned_layers=6))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 47_249_912


def test_what_cannot_be_read_is_told(tmp_path, tiny):
    with pytest.raises(UserError, match="no such folder here, and not to be had from the Hugging Face hub"):
        Model(Config(source=str(tmp_path / "nowhere")))
    with pytest.raises(UserError, match="not a readable model folder"):
        Model(Config(source=str(tmp_path)))


@pytest.mark.parametrize("keep", [0, 1000])
def test_truncated_weights_are_told(tmp_path, keep):
    folder = save(tmp_path, WavLMModel(WavLMConfig(**TINY)), do_normalize=False)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(UserError, match="not a readable model folder"):
        Model(Config(source=folder))


@pytest.mark.parametrize(
    "num_layers, said",
    [
        (4, "weights do not fit its own config, [1-9][0-9]* are missing, 0 have another shape: encoder.layers.3"),
        (2, "weights do not fit its own config, which has no layer for [1-9][0-9]* of them: encoder.layers.2"),
    ],
)
def test_weights_of_another_number_of_layers_are_told(tmp_path, num_layers, said):
    folder = save(tmp_path, WavLMModel(WavLMConfig(**TINY)), do_normalize=False)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": num_layers}))
    with pytest.raises(UserError, match=said):
        Model(Config(source=folder))


def test_more_fine_tuned_layers_than_there_are_is_told(tiny):
    with pytest.raises(UserError, match="finetuned_layers: wanted 0 to 3, as many layers as it has, found 4"):
        Model(Config(source=tiny, finetuned_layers=4))


def test_another_model_is_told(tmp_path):
    bert = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=30)
    with pytest.raises(UserError, match="wanted a speech model with a convolutional stem .*, found BertModel"):
        Model(Config(source=save(tmp_path, BertModel(bert), do_normalize=False)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"words",
        b"<!DOCTYPE html><html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n",
    ],
)
def test_what_is_no_file_of_weights_is_told(tmp_path, content):
    WavLMConfig(**TINY).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(UserError, match="not a readable model folder") as told:
        Model(Config(source=str(tmp_path)))
    assert "weights_only" not in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("config", ['{"model_type": "wavlm", "conv_dim": [1, 2]}', "[1]", "{", '{"model_type": "new"}'])
def test_what_is_no_config_is_told(tmp_path, config):
    (tmp_path / "preprocessor_config.json").write_text("{}")
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match="not a readable model folder"):
        Model(Config(source=str(tmp_path)))


def test_whether_wavs_are_normalised_is_read_or_told(tmp_path, capsys):
    network = WavLMModel(WavLMConfig(**TINY))
    assert Model(Config(source=save(tmp_path, network))).network.config.do_normalize  # as transformers takes it
    assert not Model(Config(source=save(tmp_path, network, do_normalize=False))).network.config.do_normalize
    (tmp_path / "preprocessor_config.json").unlink()
    capsys.readouterr()
    assert not Model(Config(source=str(tmp_path))).network.config.do_normalize
    assert f"warning: {tmp_path}: no preprocessor_config.json" in capsys.readouterr().err
