import pytest
import torch
from transformers import WavLMConfig, WavLMModel

from wesep_mix.base.errors import UserError
from wesep_mix.models.frontends.ssl import Config, Model

CONVS = {"conv_dim": [16, 16, 16], "conv_kernel": [10, 3, 2], "conv_stride": [5, 2, 2], "num_feat_extract_layers": 3}
TINY = CONVS | {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_buckets": 40,
    "max_bucket_distance": 80,
}
CFG = {
    "extractor_mode": "default",
    "encoder_layers": 2,
    "encoder_embed_dim": 32,
    "encoder_ffn_embed_dim": 48,
    "encoder_attention_heads": 4,
    "activation_fn": "gelu",
    "layer_norm_first": False,
    "conv_bias": False,
    "conv_feature_layers": "[(16,10,5)] + [(16,3,2)] * 1 + [(16, 2, 2)]",
    "normalize": False,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "activation_dropout": 0.0,
    "dropout_input": 0.1,
    "conv_pos": 16,
    "conv_pos_groups": 4,
    "num_buckets": 40,
    "max_distance": 80,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
}
THEIR_NAMES = {  # every weight of a layer and of the rest, `transformers` to the authors'
    "feature_projection.projection": "post_extract_proj",
    "feature_projection.layer_norm": "layer_norm",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original0": "encoder.pos_conv.0.weight_g",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original1": "encoder.pos_conv.0.weight_v",
    "encoder.pos_conv_embed.conv.bias": "encoder.pos_conv.0.bias",
    "masked_spec_embed": "mask_emb",
    "attention.rel_attn_embed": "self_attn.relative_attention_bias",
    "attention.gru_rel_pos_const": "self_attn.grep_a",
    "attention.gru_rel_pos_linear": "self_attn.grep_linear",
    "feed_forward.intermediate_dense": "fc1",
    "feed_forward.output_dense": "fc2",
    "attention.": "self_attn.",
}


def their_name(name: str, large: bool) -> str:
    for ours, theirs in THEIR_NAMES.items():
        name = name.replace(ours, theirs) if "feature_projection" not in ours or name.startswith(ours) else name
    if name.startswith("feature_extractor"):
        return name.replace(".conv.", ".0.").replace(".layer_norm.", ".2.1." if large else ".2.")
    return name.replace(".layer_norm.", ".self_attn_layer_norm.") if ".layers." in name else name


def checkpoint(path, network, cfg, large=False):
    weights = {their_name(name, large): weight for name, weight in network.state_dict().items()}
    torch.save({"cfg": cfg, "model": weights}, path)
    return str(path)


@pytest.fixture(scope="module")
def wav():
    return 0.1 * torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("large", [False, True])
def test_the_authors_file_and_a_folder_give_the_same(tmp_path, wav, large):
    torch.manual_seed(0)
    settings = {"feat_extract_norm": "layer", "do_stable_layer_norm": True} if large else {}
    cfg = CFG | ({"extractor_mode": "layer_norm", "layer_norm_first": True} if large else {})
    network = WavLMModel(WavLMConfig(**TINY, **settings))
    network.save_pretrained(tmp_path)
    of_file = Model(Config(source=checkpoint(tmp_path / "wavlm.pt", network, cfg, large))).eval()
    of_folder = Model(Config(source=str(tmp_path))).eval()
    with torch.inference_mode():
        (frames, _), (wanted, _) = of_file(wav), of_folder(wav)
    torch.testing.assert_close(frames, wanted, atol=1e-5, rtol=0)
    assert of_file.network.config.max_bucket_distance == 80


def test_a_file_of_a_normalised_model_says_so(tmp_path, wav):
    path = checkpoint(tmp_path / "wavlm.pt", WavLMModel(WavLMConfig(**TINY)), CFG | {"normalize": True})
    model = Model(Config(source=path)).eval()
    torch.testing.assert_close(model(7 * wav)[0], model(wav)[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "content, said",
    [
        ({"state_dict": {}}, "wanted a checkpoint of WavLM's authors with cfg and model, found state_dict"),
        ([1, 2], "found list"),
        ({"cfg": {"encoder_layers": 2}, "model": {}}, "its cfg is not that of a WavLM"),
        ({"cfg": CFG | {"conv_feature_layers": "__import__('os').getcwd()"}, "model": {}}, "its cfg is not that"),
        ({"cfg": None, "model": {}}, "its cfg is not that of a WavLM"),
        ({"cfg": CFG | {"conv_feature_layers": None}, "model": {}}, "its cfg is not that of a WavLM"),
        ({"cfg": CFG | {"encoder_attention_heads": 5}, "model": {}}, "its cfg is not that of a WavLM"),
        ({"cfg": CFG, "model": [1.0]}, "wanted weights by name under `model`, found list"),
        ({"cfg": CFG, "model": {}}, "weights do not fit its own config, "),
    ],
)
def test_other_files_are_told(tmp_path, content, said):
    torch.save(content, tmp_path / "wavlm.pt")
    with pytest.raises(UserError, match="wavlm.pt: ") as told:
        Model(Config(source=str(tmp_path / "wavlm.pt")))
    assert said in str(told.value) and "\n" not in str(told.value)


def test_missing_and_truncated_files_are_told(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        Model(Config(source=str(tmp_path / "wavlm.pt")))
    path = checkpoint(tmp_path / "wavlm.pt", WavLMModel(WavLMConfig(**TINY)), CFG)
    (tmp_path / "wavlm.pt").write_bytes((tmp_path / "wavlm.pt").read_bytes()[:5000])
    with pytest.raises(UserError, match="not a readable model file"):
        Model(Config(source=path))
