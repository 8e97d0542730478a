import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.models.extractors import dpccn, spexplus, stft_tcn
from wesep_mix.wesep.settings import config_from_wesep, wesep_args

GIVEN = {"joint_training": False}


@pytest.mark.parametrize(
    "model, args, config",
    [
        ("DPCCN", {}, dpccn.Config()),
        (
            "DPCCN",
            {
                "win": 256,
                "stride": 64,
                "feature_dim": 129,
                "spk_emb_dim": 192,
                "tcn_layers": 3,
                "spk_fuse_type": "FiLM",
                "causal": True,
                "pool_size": [2, 4, 8, 16],
                "multi_fuse": False,
                "spksInTrain": 251,
                "sr": 8000,
            },
            dpccn.Config(
                n_fft=256,
                hop=64,
                embedding_dim=192,
                tcn_repeats=3,
                fusion="film",
                tcn_causal=True,
                pool_sizes=(2, 4, 8, 16),
            ),
        ),
        (
            "DPCCN",
            {"kernel_size": 3, "paddings": [1, 0], "feature_dim": 255, "use_spk_transform": True, "stride1": 1},
            dpccn.Config(padding=(1, 0), transform_embedding=True),
        ),
        (
            "DPCCN",
            {"win": 510, "feature_dim": 256, "output_padding": [0, 1]},
            dpccn.Config(n_fft=510, output_padding=(0, 1)),
        ),
        (
            "ConvTasNet",
            {},
            spexplus.Config(  # the constructor's defaults, not the recipe's
                filters=512, windows=(16, 80, 160), stride=8, channels=128, num_stacks=3, transform_embedding=True
            ),
        ),
        ("ConvTasNet", {"N": 256, "L": 20, "B": 256, "R": 4, "use_spk_transform": False}, spexplus.Config()),
        (
            "ConvTasNet",
            {
                "N": 32,
                "L": 33,
                "B": 24,
                "H": 40,
                "P": 5,
                "X": 3,
                "R": 2,
                "norm": "cLN",
                "activate": "sigmoid",
                "causal": True,
                "skip_con": True,
                "spk_fuse_type": "multiply",
                "use_spk_transform": False,
                "spk_emb_dim": 48,
                "multi_task": True,
                "feat_type": "consistent",
            },
            spexplus.Config(
                filters=32,
                windows=(33, 80, 160),
                stride=16,
                channels=24,
                hidden=40,
                kernel_size=5,
                num_blocks=3,
                num_stacks=2,
                norm="channel",
                mask="sigmoid",
                causal=True,
                skip=True,
                fusion="multiply",
                embedding_dim=48,
            ),
        ),
    ],
)
def test_settings_go_both_ways(model, args, config):
    assert config_from_wesep(model, GIVEN | args) == config
    name, back = wesep_args(config)
    assert name == model and config_from_wesep(name, back) == config and back["joint_training"] is False


@pytest.mark.parametrize(
    "config, same",
    [(spexplus.Config(recompute=False), spexplus.Config()), (dpccn.Config(film_hidden=8), dpccn.Config())],
)
def test_settings_that_change_no_output_are_no_obstacle(config, same):
    assert wesep_args(config) == wesep_args(same)


def test_a_flag_may_be_a_number():
    config = config_from_wesep("ConvTasNet", GIVEN | {"causal": 1, "skip_con": 0})
    assert config.causal is True and config.skip is False


@pytest.mark.parametrize(
    "theirs, ours",
    [
        ("concatConv", "concat_conv"),
        ("concat", "concat"),
        ("additive", "additive"),
        ("multiply", "multiply"),
        ("FiLM", "film"),
    ],
)
def test_fusions(theirs, ours):
    assert config_from_wesep("ConvTasNet", GIVEN | {"spk_fuse_type": theirs}).fusion == ours
    assert wesep_args(spexplus.Config(fusion=ours))[1]["spk_fuse_type"] == theirs


@pytest.mark.parametrize(
    "model, args, message",
    [
        ("BSRNN", {}, "BSRNN: wanted one of DPCCN, ConvTasNet"),
        ("DPCCN", {"joint_training": True}, "joint_training: wanted False, found True"),
        ("DPCCN", {"stride2": [2, 2]}, "stride2: wanted"),
        ("DPCCN", {"tcn_dims": 256}, "tcn_dims: wanted 384, found 256"),
        ("DPCCN", {"wni": 512}, "wni: unknown argument"),
        ("DPCCN", {"spk_fuse_type": "None"}, "spk_fuse_type: wanted one of concat"),
        ("DPCCN", {"spk_fuse_type": "concatConv"}, "spk_fuse_type"),
        ("DPCCN", {"win": 256}, "feature_dim: wanted 129, found 257"),
        ("DPCCN", {"win": 400, "feature_dim": 201}, "bins"),
        ("DPCCN", {"tcn_blocks": "ten"}, "tcn_blocks: wanted int, found 'ten'"),
        ("ConvTasNet", {"encoder_type": "Deep"}, "encoder_type: wanted Multi, found Deep"),
        ("ConvTasNet", {"decoder_type": None}, "decoder_type: wanted Multi, found None"),
        ("ConvTasNet", {"multi_fuse": False}, "multi_fuse: wanted True, found False"),
        ("ConvTasNet", {"activate": "softmax"}, "activate: wanted one of relu, sigmoid, found softmax"),
        ("ConvTasNet", {"norm": "gln"}, "norm: wanted one of gLN, cLN, BN, found gln"),
        ("ConvTasNet", {"P": 4}, "kernel_size: wanted an odd number"),
        ("ConvTasNet", {"P": 1, "causal": True}, "kernel_size: WeSep's causal convolution"),
        (
            "ConvTasNet",
            {"spk_emb_dim": 16},
            "embedding_dim: WeSep's transform of embeddings has 256 values only, found 16",
        ),
        ("DPCCN", {"spk_emb_dim": 16, "use_spk_transform": True}, "embedding_dim: WeSep's transform"),
        ("DPCCN", {"pool_size": [4, 8]}, "pool_sizes: WeSep has four pools only"),
        ("ConvTasNet", {"L": "20"}, "L: wanted a whole number, found '20'"),
        ("ConvTasNet", {"sr": 16000}, "sr: unknown argument"),
    ],
)
def test_settings_that_have_no_equal_are_refused(model, args, message):
    with pytest.raises(UserError, match=message) as err:
        config_from_wesep(model, GIVEN | args)
    assert "\n" not in str(err.value)


@pytest.mark.parametrize(
    "model, args, told",
    [
        ("DPCCN", {"stride": 500}, r"hop: wanted 1 to 384 .* \(WeSep's stride is hop here\)"),
        ("DPCCN", {"pool_size": [4, 8]}, r"pool_sizes: .* \(WeSep's pool_size is pool_sizes here\)"),
        ("ConvTasNet", {"skip_con": 3}, r"skip: wanted bool, .* \(WeSep's skip_con is skip here\)"),
        ("ConvTasNet", {"P": 4}, r"kernel_size: .* \(WeSep's P is kernel_size here\)"),
        ("DPCCN", {"tcn_dims": 256}, r"tcn_dims: .* \(WeSep's tcn_dims is conv_channels here\)"),
    ],
)
def test_a_refusal_has_the_names_of_both_sides(model, args, told):
    with pytest.raises(UserError, match=f"{told}$"):
        config_from_wesep(model, GIVEN | args)


def test_on_the_way_back_too():
    with pytest.raises(UserError, match=r"tcn_dims: .*\(WeSep's tcn_dims is conv_channels here\)"):
        wesep_args(dpccn.Config(conv_channels=(64, 128, 96)))


def test_weseps_default_is_a_speaker_encoder_inside():
    with pytest.raises(UserError, match="joint_training"):
        config_from_wesep("DPCCN", {})


@pytest.mark.parametrize(
    "config, message",
    [
        (dpccn.Config(unit_level=True), "dpccn: unit_level: WeSep has False only, found True"),
        (dpccn.Config(dense_channels=(8, 16, 16)), "dpccn: dense_channels: WeSep has"),
        (dpccn.Config(fusion="none"), "dpccn: fusion: WeSep has one of concat"),
        (dpccn.Config(pool_sizes=(4, 8)), "dpccn: pool_sizes: WeSep has four pools only"),
        (dpccn.Config(embedding_dim=192, transform_embedding=True), "dpccn: embedding_dim: WeSep's transform"),
        (spexplus.Config(causal=True, kernel_size=1), "spexplus: kernel_size: WeSep's causal convolution"),
        (spexplus.Config(windows=(40, 160, 320), stride=20), "spexplus: windows: WeSep has"),
        (spexplus.Config(stride=5), "spexplus: stride: WeSep has 10 only, found 5"),
        (spexplus.Config(fusion="film", film_hidden=3), "spexplus: film_hidden"),
        (stft_tcn.Config(), "stft_tcn: wanted a model that WeSep has"),
    ],
)
def test_what_wesep_does_not_have_is_named(config, message):
    with pytest.raises(UserError, match=message):
        wesep_args(config)
