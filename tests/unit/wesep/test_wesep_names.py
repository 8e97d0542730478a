import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.models.extractors import dpccn, spexplus, stft_tcn
from wesep_mix.wesep.names import from_wesep, to_wesep

DPCCN = dpccn.Config(embedding_dim=8, fusion="film", transform_embedding=True, tcn_blocks=2)
SPEXPLUS = spexplus.Config(embedding_dim=5, filters=7, channels=6, hidden=9, num_stacks=3, num_blocks=4, skip=True)
FILM = spexplus.Config(embedding_dim=5, fusion="film", norm="batch")


@pytest.mark.parametrize(
    "config, theirs, ours",
    [
        (DPCCN, "conv2d.weight", "stem.weight"),
        (DPCCN, "encoder.0.conv1.conv2d.bias", "encoder.0.layers.0.conv.bias"),
        (DPCCN, "encoder.4.1.conv5.conv2d.weight", "encoder.4.dense.layers.4.conv.weight"),
        (DPCCN, "encoder.4.0.conv2d.weight", "encoder.4.down.conv.weight"),
        (DPCCN, "encoder.7.conv2d.weight", "encoder.7.conv.weight"),
        (DPCCN, "tcn_layers.1.10.dconv2.bias", "tcn.1.10.pointwise.bias"),
        (DPCCN, "decoder.2.convtrans2d.weight", "decoder.2.conv.weight"),
        (DPCCN, "decoder.6.1.convtrans2d.weight", "decoder.6.up.conv.weight"),
        (DPCCN, "avg_pool.3.1.bias", "pyramid.3.bias"),
        (DPCCN, "spk_fuse.fc.gamma_fcs.0.weight", "fusion.scale.0.weight"),
        (DPCCN, "spk_transform.transforms.3.weight", "embedding_transform.layers.3.weight"),
        (SPEXPLUS, "encoder.encoder_1d_middle.weight", "encoders.1.weight"),
        (SPEXPLUS, "encoder.ln.bias", "norm.bias"),
        (SPEXPLUS, "separation.separation.0.lnorm1.weight", "stacks.0.entry.norm_in.weight"),
        (SPEXPLUS, "separation.separation.6.sconv.bias", "stacks.3.entry.narrow.bias"),
        (SPEXPLUS, "separation.separation.7.separation.12.PReLU_2.weight", "stacks.3.blocks.12.act_out.weight"),
        (SPEXPLUS, "separation.separation.3.separation.0.Sc_conv.weight", "stacks.1.blocks.0.skip.weight"),
        (SPEXPLUS, "decoder.mask1.weight", "masks.0.weight"),
        (SPEXPLUS, "decoder.decoder_1d_3.bias", "decoders.2.bias"),
        (FILM, "separation.separation.4.fc.beta_fcs.0.bias", "stacks.1.entry.fusion.shift.0.bias"),
        (FILM, "separation.separation.1.weight", "stacks.0.entry.act.weight"),
        (FILM, "separation.separation.6.running_mean", "stacks.1.entry.norm.running_mean"),
        (FILM, "separation.separation.3.separation.0.conv1x1.weight", "stacks.0.blocks.0.widen.weight"),
        (
            FILM,
            "separation.separation.11.separation.2.norm_1.num_batches_tracked",
            "stacks.2.blocks.2.norm_in.num_batches_tracked",
        ),
    ],
)
def test_names_go_both_ways(config, theirs, ours):
    value = torch.zeros(1)
    assert from_wesep(config, {theirs: value}) == {ours: value}
    assert to_wesep(config, {ours: value}) == {theirs: value}


def wesep_spexplus_names(num_stacks: int, num_blocks: int, concat_conv: bool) -> set[str]:
    """Modules with parameters of WeSep's ConvTasNet of type Multi with skip connections, counted as it does."""
    names = {"encoder.ln", "encoder.proj", *(f"encoder.encoder_1d_{window}" for window in ("short", "middle", "long"))}
    names |= {f"decoder.{kind}{k}" for kind in ("mask", "decoder_1d_") for k in (1, 2, 3)}
    place = 0
    for _ in range(num_stacks):
        at = f"separation.separation.{place}"
        if concat_conv:
            names |= {f"{at}.{part}" for part in ("conv1x1", "prelu1", "lnorm1", "dconv", "prelu2", "lnorm2", "sconv")}
        else:
            names |= {f"{at}.fc.linear", f"separation.separation.{place + 1}", f"separation.separation.{place + 2}"}
        place += 1 if concat_conv else 3
        for k in range(num_blocks - concat_conv):
            names |= {
                f"separation.separation.{place}.separation.{k}.{part}"
                for part in ("conv1x1", "PReLU_1", "norm_1", "dwconv", "PReLU_2", "norm_2", "Sc_conv", "Output")
            }
        place += 1
    return names


@pytest.mark.parametrize("fusion", ["concat_conv", "concat", "additive", "multiply"])
def test_a_whole_spexplus_has_weseps_names_and_comes_back(fusion):
    config = spexplus.Config(
        embedding_dim=5, filters=4, channels=6, hidden=9, num_stacks=3, num_blocks=4, skip=True, fusion=fusion
    )
    state = spexplus.Model(config).state_dict()
    there = to_wesep(config, state)
    assert {name.rpartition(".")[0] for name in there} == wesep_spexplus_names(3, 4, fusion == "concat_conv")
    assert there["encoder.ln.weight"].shape == (12,) and len(there) == len(state)
    back = from_wesep(config, there)
    assert list(back) == list(state) and all(back[name] is state[name] for name in state)


@pytest.mark.parametrize("fusion", ["concat", "additive", "multiply", "film"])
def test_a_whole_dpccn_goes_there_and_back(fusion):
    config = dpccn.Config(embedding_dim=8, fusion=fusion, transform_embedding=True, tcn_blocks=2)
    state = dpccn.Model(config).state_dict()
    there = to_wesep(config, state)
    back = from_wesep(config, there)
    assert len(there) == len(state) and list(back) == list(state)
    assert all(back[name] is state[name] for name in state)


@pytest.mark.parametrize(
    "config, call, name",
    [
        (DPCCN, from_wesep, "spk_model.conv1.weight"),
        (DPCCN, to_wesep, "fusion.scale.2.weight"),
        (SPEXPLUS, from_wesep, "decoder.mask0.weight"),
        (SPEXPLUS, from_wesep, "separation.separation.0.fc.linear.weight"),
        (
            SPEXPLUS,
            from_wesep,
            "separation.separation.2.separation.0.conv1x1.weight",
        ),  # a stack's blocks are at 1, 3, ...
        (FILM, from_wesep, "separation.separation.5.separation.0.conv1x1.weight"),  # at 3, 7, ...
        (FILM, from_wesep, "spk_model.aux_enc3.0.weight"),
    ],
)
def test_a_name_without_a_place_is_refused(config, call, name):
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        call(config, {name: torch.zeros(1)})


@pytest.mark.parametrize(
    "config, message",
    [
        (stft_tcn.Config(), "stft_tcn: wanted a model that WeSep has"),
        (dpccn.Config(fusion="none"), "dpccn: WeSep has none with fusion none"),
        (spexplus.Config(fusion="none"), "spexplus: WeSep has none with fusion none"),
    ],
)
def test_what_wesep_does_not_have_is_refused(config, message):
    with pytest.raises(UserError, match=message):
        to_wesep(config, {})
