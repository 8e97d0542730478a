import dataclasses

import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.losses.signal import upit_loss
from wesep_mix.models.separators.conv_tasnet import Config, Model

SMALL = Config(num_filters=16, window=16, bottleneck=8, hidden=12, num_blocks=3, num_stacks=2)


def small(**changes) -> Model:
    torch.manual_seed(0)
    return Model(dataclasses.replace(SMALL, **changes)).eval()


@pytest.mark.parametrize("num_spk, wanted", [(2, 5_001_265), (3, 5_067_313)])
def test_default_sizes_are_the_papers(num_spk, wanted):
    assert sum(weight.numel() for weight in Model(Config(num_spk=num_spk)).parameters()) == wanted


@pytest.mark.parametrize("num_samples", [1, 7, 8, 15, 16, 17, 1600])
@pytest.mark.parametrize("num_spk", [1, 2, 3])
def test_every_speaker_is_as_long_as_the_mixture(num_samples, num_spk):
    est = small(num_spk=num_spk)(torch.randn(2, num_samples))
    assert est.shape == (2, num_spk, num_samples) and est.dtype == torch.float32 and est.isfinite().all()


def test_the_level_is_taken_out_only_to_be_put_back():
    model, mix = small(), torch.randn(2, 900)
    torch.testing.assert_close(model(mix), model.network(mix[:, None]), atol=1e-5, rtol=1e-3)


def test_bfloat16_autocast_gives_float32():
    with torch.autocast("cpu", torch.bfloat16):
        est = small()(torch.randn(1, 900))
    assert est.dtype == torch.float32 and est.isfinite().all()


def test_it_learns_to_separate_whatever_the_order():
    torch.manual_seed(1)
    time = torch.arange(800) / 16000
    tones = torch.stack([torch.sin(2 * torch.pi * pitch * time) for pitch in (500, 3000)])  # [2, T]
    mix, sources = tones.sum(0).repeat(2, 1), torch.stack([tones, tones.flip(0)])
    model = small(mask="relu").train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        loss = upit_loss(model(mix), sources)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < -10  # the mixture itself is at 0 dB


def test_what_is_refused():
    with pytest.raises(UserError, match=r"conv_tasnet: wanted a mixture of shape .*found \[1, 1, 900\]"):
        small()(torch.zeros(1, 1, 900))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"mask": "softmax"}, "wanted sigmoid or relu, found 'softmax'"),
        ({"window": 15}, "even"),
        ({"num_spk": 0}, "num_spk"),
    ],
)
def test_sizes_that_make_no_network_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)
