import cmath
import dataclasses

import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.models.extractors.pdccrn import Config, Model, bounded

SMALL = Config(embedding_dim=6, concat_dim=3, window=64, hop=16, n_fft=128, channels=(4, 6, 8), lstm_hidden=5)


def small(seed: int = 0, **changes) -> Model:
    torch.manual_seed(seed)
    return Model(dataclasses.replace(SMALL, **changes)).eval()


def num_parameters(**changes) -> int:
    return sum(weight.numel() for weight in Model(Config(**changes)).parameters())


def test_without_embedding_the_size_is_that_of_the_authors_code():
    assert num_parameters(fusion="none") == num_parameters(fusion="none", causal=True) == 3_671_053


@pytest.mark.parametrize("fusion, printed", [("none", "3.7"), ("concat", "3.7"), ("film", "3.8")])
def test_sizes_are_those_that_are_printed(fusion, printed):
    assert f"{num_parameters(fusion=fusion) / 1e6:.1f}" == printed


@pytest.mark.parametrize(
    "hidden, wanted",
    [
        (0, 3_671_053 + 2 * (256 * 256 + 256)),  # 3,802,637: a linear layer each for scale and shift
        (128, 3_671_053 + 2 * (256 * 128 + 128 + 128 * 256 + 256)),  # 3,802,893: two layers each
    ],
)
def test_film_adds_a_scale_and_a_shift_for_every_real_channel(hidden, wanted):
    assert num_parameters(film_hidden=hidden) == wanted
    assert f"{wanted / 1e6:.1f}" == "3.8"  # both are what the paper prints


def test_the_lstm_is_given_512_values_of_each_part():
    layers = Model(Config(fusion="none")).bottleneck.layers
    assert [(lstm.input_size, lstm.hidden_size) for layer in layers for lstm in (layer.real, layer.imag)] == [
        (512, 128),
        (512, 128),
        (128, 128),
        (128, 128),
    ]


@pytest.mark.parametrize("num_samples", [1, 15, 16, 63, 1600, 1601])
def test_any_length_is_finite_and_kept(num_samples):
    est = small()(torch.randn(2, num_samples), torch.randn(2, 6))
    assert est.shape == (2, num_samples) and est.dtype == torch.float32 and est.isfinite().all()


@pytest.mark.parametrize("mask", [0, 1e-6, 0.3 - 0.4j, -2j, -30 + 1j])
def test_the_mask_keeps_its_phase_and_its_magnitude_goes_through_tanh(mask):
    mask = complex(mask)
    found = bounded(torch.tensor([mask.real, mask.imag]).view(1, 2, 1, 1))[0, 0, 0].item()
    wanted = cmath.rect(torch.tensor(abs(mask), dtype=torch.double).tanh().item(), cmath.phase(mask))
    assert abs(found - wanted) < 1e-6


def test_a_mask_of_one_gives_the_mixture_back():
    model, time = small(), torch.arange(4000) / 16000
    model.mask = lambda x, emb: torch.tensor([100.0, 0.0]).view(1, 2, 1, 1).expand_as(x)
    tone = torch.sin(2 * torch.pi * 2000 * time)
    est = model(tone[None], torch.zeros(1, 6))[0]
    torch.testing.assert_close(est[100:-100], tone[100:-100], atol=1e-3, rtol=0)


def test_film_begins_without_a_say_of_the_embedding_and_equals_the_network_without():
    model, plain, mix = small(), small(fusion="none"), torch.randn(2, 900)
    assert model.load_state_dict(plain.state_dict(), strict=False).unexpected_keys == []
    assert torch.equal(model(mix, torch.randn(2, 6)), plain(mix))
    model(mix, torch.randn(2, 6)).square().mean().backward()
    assert all(part[-1].weight.grad.any() for part in (model.fusion.scale, model.fusion.shift))


@pytest.mark.parametrize("fusion", ["concat", "additive", "multiply"])
def test_the_embedding_matters(fusion):
    model, mix = small(fusion=fusion), torch.randn(1, 900)
    one, other = (model(mix, 30 * torch.randn(1, 6)) for _ in range(2))  # far apart, as after training
    assert (one - other).abs().max() > 1e-3 * one.std()


@pytest.mark.parametrize("causal, latency", [(False, 64 + 3 * 16), (True, 64)])
def test_an_output_depends_on_no_more_of_the_future_than_is_said(causal, latency):
    model, mix, emb, place = small(causal=causal), torch.randn(1, 1600), torch.randn(1, 6), 801
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)  # so that little changes are seen through all layers
    est = model(mix, emb)
    for ahead, touched in ((latency, False), (latency - 8, True)):
        later = mix.clone()
        later[:, place + ahead :] += 10
        assert torch.equal(model(later, emb)[:, : place + 1], est[:, : place + 1]) is not touched


@pytest.mark.parametrize("unit_level", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_silence_gives_finite_samples_and_gradients(unit_level, training):
    model = small(unit_level=unit_level).train(training)
    est = model(torch.zeros(1, 800), torch.randn(1, 6))
    est.square().sum().backward()
    assert est.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize(
    "mix, emb, fusion, found",
    [
        (torch.zeros(900), torch.zeros(1, 6), "film", r"found \[900\]"),
        (torch.zeros(1, 900), torch.zeros(1, 7), "film", r"found \[1, 7\]"),
        (torch.zeros(1, 900), torch.zeros(1, 3), "concat", r"found \[1, 3\]"),
        (torch.zeros(1, 900), None, "film", "found none"),
        (torch.zeros(1, 900), torch.zeros(1, 6), "none", r"found one of shape \[1, 6\]"),
        (torch.full((1, 900), torch.nan), torch.zeros(1, 6), "film", "found NaN"),
    ],
)
def test_what_is_refused(mix, emb, fusion, found):
    with pytest.raises(UserError, match=found):
        small(fusion=fusion)(mix, emb)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"fusion": "cat"}, "fusion: wanted none, concat, additive, multiply or film, found 'cat'"),
        ({"window": 60}, "whole hops"),
        ({"n_fft": 48, "window": 64}, "n_fft"),
        ({"n_fft": 72}, "multiple of 16, found 72"),
        ({"channels": (4, 5)}, r"channels\[1\]: wanted an even number, found 5"),
        ({"channels": (4, 0)}, r"channels\[1\]: wanted 2 or more, found 0"),
        ({"channels": ()}, "channels: wanted one or more"),
        ({"kernel_bins": 4}, "odd"),
        ({"concat_dim": 0}, "concat_dim"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)
