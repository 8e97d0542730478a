import pytest
import torch

from wesep_mix.errors import UserError
from wesep_mix.extractors import dpccn
from wesep_mix.extractors.wesep_names import config_from_wesep, from_wesep, to_wesep


@pytest.mark.parametrize("theirs, ours", [
    ("conv2d.weight", "stem.weight"),
    ("encoder.0.conv1.conv2d.bias", "encoder.0.layers.0.conv.bias"),
    ("encoder.4.1.conv5.conv2d.weight", "encoder.4.dense.layers.4.conv.weight"),
    ("encoder.4.0.conv2d.weight", "encoder.4.down.conv.weight"),
    ("encoder.7.conv2d.weight", "encoder.7.conv.weight"),
    ("tcn_layers.1.10.dconv2.bias", "tcn.1.10.pointwise.bias"),
    ("decoder.2.convtrans2d.weight", "decoder.2.conv.weight"),
    ("decoder.6.1.convtrans2d.weight", "decoder.6.up.conv.weight"),
    ("avg_pool.3.1.bias", "pyramid.3.bias"),
    ("spk_fuse.fc.gamma_fcs.0.weight", "fusion.scale.0.weight"),
    ("spk_transform.transforms.3.weight", "embedding_transform.layers.3.weight"),
])
def test_names_go_both_ways(theirs, ours):
    value = torch.zeros(1)
    assert from_wesep("dpccn", {theirs: value}) == {ours: value}
    assert to_wesep("dpccn", {ours: value}) == {theirs: value}


@pytest.mark.parametrize("fusion", ["concat", "additive", "multiply", "film"])
def test_round_trip_of_a_whole_model(fusion):
    config = dpccn.Config(embedding_dim=8, fusion=fusion, transform_embedding=True, tcn_blocks=2)
    state = dpccn.Model(config).state_dict()
    there = to_wesep("dpccn", state)
    back = from_wesep("dpccn", there)
    assert len(there) == len(state) and list(back) == list(state)
    assert all(back[name] is state[name] for name in state)


def test_a_name_without_a_place_is_refused():
    with pytest.raises(UserError, match="spk_model.conv1.weight"):
        from_wesep("dpccn", {"spk_model.conv1.weight": torch.zeros(1)})
    with pytest.raises(UserError, match="fusion.scale.2.weight"):
        to_wesep("dpccn", {"fusion.scale.2.weight": torch.zeros(1)})


def test_settings_are_mapped():
    config = config_from_wesep("DPCCN", {
        "joint_training": False, "win": 256, "stride": 64, "feature_dim": 129, "spk_emb_dim": 192,
        "tcn_layers": 3, "spk_fuse_type": "FiLM", "causal": True, "pool_size": [2, 4, 8, 16],
        "multi_fuse": False,
    })
    assert config == dpccn.Config(n_fft=256, hop=64, embedding_dim=192, tcn_repeats=3, fusion="film",
                                  tcn_causal=True, pool_sizes=(2, 4, 8, 16))


@pytest.mark.parametrize("model, args, message", [
    ("BSRNN", {}, "BSRNN"),
    ("DPCCN", {"joint_training": True}, "joint_training"),
    ("DPCCN", {}, "joint_training"),
    ("DPCCN", {"joint_training": False, "stride2": [2, 2]}, "stride2"),
    ("DPCCN", {"joint_training": False, "wni": 512}, "wni: unknown"),
    ("DPCCN", {"joint_training": False, "spk_fuse_type": "None"}, "spk_fuse_type"),
    ("DPCCN", {"joint_training": False, "win": 256}, "feature_dim"),
    ("DPCCN", {"joint_training": False, "win": 400, "feature_dim": 201}, "bins"),
])
def test_settings_that_have_no_equal_are_refused(model, args, message):
    with pytest.raises(UserError, match=message):
        config_from_wesep(model, args)
