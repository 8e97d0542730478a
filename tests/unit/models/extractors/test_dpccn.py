import dataclasses

import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.models.extractors.dpccn import Config, Model

SMALL = Config(
    embedding_dim=6,
    fusion="film",
    n_fft=128,
    hop=32,
    dense_channels=(4, 6),
    conv_channels=(8, 8),
    dense_depth=2,
    tcn_repeats=1,
    tcn_blocks=3,
    pool_sizes=(4, 8),
    pool_channels=3,
)


def small(seed: int = 0, **changes) -> Model:
    torch.manual_seed(seed)
    return Model(dataclasses.replace(SMALL, **changes)).eval()


def test_default_size_is_weseps():
    assert sum(weight.numel() for weight in Model(Config()).parameters()) == 6_366_451


@pytest.mark.parametrize(
    "hidden, film",
    [
        (0, 2 * (256 * 257 + 257)),  # a linear layer each for scale and shift of 257 bins
        (128, 2 * (256 * 128 + 128 + 128 * 257 + 257)),  # two layers each: 128 * (256 + 1 + 257) = 256 * 257, the same
    ],
)
def test_film_of_either_depth_is_one_linear_layer_larger_than_multiply(hidden, film):
    with torch.device("meta"):
        found = sum(weight.numel() for weight in Model(Config(fusion="film", film_hidden=hidden)).parameters())
    assert found == 6_366_451 - (256 * 257 + 257) + film == 6_432_500


@pytest.mark.parametrize("num_samples", [1, 40, 223, 224, 1600, 1601])
def test_any_length_is_finite_and_kept(num_samples):
    est = small()(torch.randn(2, num_samples), torch.randn(2, 6))
    assert est.shape == (2, num_samples) and est.dtype == torch.float32 and est.isfinite().all()


@pytest.mark.parametrize(
    "kernel_size, padding", [((2, 3), (1, 1)), ((3, 3), (2, 1)), ((5, 3), (1, 1)), ((1, 3), (0, 1))]
)
@pytest.mark.parametrize("num_samples", [1, 1601])
def test_steps_may_add_frames_or_take_some(kernel_size, padding, num_samples):
    est = small(kernel_size=kernel_size, padding=padding)(torch.randn(2, num_samples), torch.randn(2, 6))
    assert est.shape == (2, num_samples) and est.isfinite().all()


@pytest.mark.parametrize("unit_level", [False, True])
def test_silence_gives_finite_samples_and_gradients(unit_level):
    model = small(unit_level=unit_level)
    est = model(torch.zeros(1, 800), torch.randn(1, 6))
    est.square().sum().backward()
    assert est.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def test_the_embedding_matters():
    model, mix = small(fusion="multiply"), torch.randn(1, 900)
    assert not torch.allclose(model(mix, torch.randn(1, 6)), model(mix, torch.randn(1, 6)), atol=1e-3)


def test_gradient_reaches_every_parameter():
    model = small(fusion="concat", transform_embedding=True)
    model(torch.randn(2, 900), torch.randn(2, 6)).square().mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_authors_padding_leaves_one_bin():
    config = Config(padding=(1, 0))
    assert config.num_bins == [255, 127, 63, 31, 15, 7, 3, 1]
    assert Config().num_bins[-1] == 3
    model = small(padding=(1, 0), fusion="concat")
    assert model(torch.randn(1, 700), torch.randn(1, 6)).shape == (1, 700)


def test_output_padding_doubles_to_an_even_number_of_bins():
    model = small(n_fft=126, output_padding=(0, 1), fusion="concat", pool_sizes=(4,))
    assert model.config.num_bins == [64, 32, 16, 8]
    assert model(torch.randn(1, 700), torch.randn(1, 6)).shape == (1, 700)


def test_a_causal_tcn_does_not_look_ahead():
    x = torch.randn(1, 8, 50)
    later = x.clone()
    later[..., 30:] = 0
    for block in small(tcn_causal=True).tcn[0]:
        torch.testing.assert_close(block.depthwise(x)[..., :30], block.depthwise(later)[..., :30])


@pytest.mark.parametrize(
    "mix, emb, fusion, found",
    [
        (torch.zeros(900), torch.zeros(1, 6), "film", r"found \[900\]"),
        (torch.zeros(1, 0), torch.zeros(1, 6), "film", r"found \[1, 0\]"),
        (torch.zeros(1, 900), torch.zeros(1, 7), "film", r"found \[1, 7\]"),
        (torch.zeros(2, 900), torch.zeros(1, 6), "film", r"found \[1, 6\]"),
        (torch.zeros(1, 900), None, "film", "found none"),
        (torch.zeros(1, 900), torch.zeros(1, 6), "none", r"found one of shape \[1, 6\]"),
    ],
)
def test_what_is_refused(mix, emb, fusion, found):
    with pytest.raises(UserError, match=found):
        small(fusion=fusion)(mix, emb)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"fusion": "cat"}, "fusion: wanted none, concat, additive, multiply or film, found 'cat'"),
        ({"n_fft": 100}, "bins"),
        ({"hop": 300}, "hop"),
        ({"kernel_size": (3,)}, "kernel_size"),
        ({"pool_sizes": (400,)}, "pool_sizes"),
        ({"conv_channels": ()}, "conv_channels"),
        ({"dense_depth": 0}, "dense_depth"),
        ({"tcn_repeats": -1}, "tcn_repeats: wanted 0 or more, found -1"),
        ({"pool_channels": 0}, "pool_channels"),
        ({"pool_sizes": (0, 4)}, r"pool_sizes\[0\]: wanted 1 or more, found 0"),
        ({"dense_channels": (4, 0)}, "dense_channels"),
        ({"kernel_size": (0, 3)}, r"kernel_size\[0\]: wanted 1 or more, found 0"),
        ({"padding": (-1, 1)}, r"padding\[0\]: wanted 0 or more, found -1"),
        ({"padding": (1, 1, 1)}, r"padding: wanted a list of 2, found \[1, 1, 1\]"),
        ({"output_padding": (1, 0)}, "output_padding"),
        ({"output_padding": (0, 1)}, "bins"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)


@pytest.mark.parametrize("hop, num_samples", [(64, 640 + 60), (80, 800 + 70)])
def test_a_long_hop_has_weseps_frames_or_one_more(hop, num_samples):
    """WeSep's has none for an end that lies behind 3/8 of a window; the estimate is a click there."""
    mix, emb = torch.randn(1, num_samples), torch.randn(1, 6)
    for end_frame, frames in (False, 11), (True, 12):
        model = small(hop=hop, end_frame=end_frame)
        assert model.stft(mix).shape[2] == frames and model(mix, emb).shape == (1, num_samples)
    whole = small(hop=hop, end_frame=True)(mix, emb)
    assert whole[:, -20:].abs().max() < 10 * whole.std()
