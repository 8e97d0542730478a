"""Estimates that share their mixture in training: as in use, with a gradient."""

import dataclasses

import numpy as np
import pytest
import torch

from wesep_mix.inference.sharing import Rival, share
from wesep_mix.models.extractors import stft_tcn
from wesep_mix.models.layers.network import at_mixture_level
from wesep_mix.training.extractor import ExtractorTraining
from wesep_mix.training.settings import ExtractorConfig, LossConfig
from wesep_mix.training.sharing import shared, speaking

WHOLE = ((0.0, 100.0),)


@pytest.mark.parametrize("is_open", [True, False])
def test_each_gets_what_it_gets_in_use(is_open):
    torch.manual_seed(0)
    rows = torch.tensor([0, 0, 2, 2, 2])  # two talkers, none left of the second mixture, three
    mix = torch.randn(3, 9000)[rows] * 0.1
    ests = torch.randn(5, 2, 9000) * 0.1 + 0.3 * mix[:, None]
    found = shared(ests, mix, rows, is_open)
    level = at_mixture_level(ests, mix[:, None]) if is_open else ests
    for example in range(5):
        others = [other for other in range(5) if rows[other] == rows[example] and other != example]
        for place in range(2):
            rivals = [Rival(level[other, place].numpy(), WHOLE) for other in others]
            wanted = share(mix[example].numpy(), level[example, place].numpy(), rivals)
            np.testing.assert_allclose(found[example, place].numpy(), wanted, atol=1e-5)


def test_who_hardly_speaks_in_a_chunk_is_no_talker_of_it():
    target = torch.zeros(3, 100)
    target[0, :24], target[1, :25] = 1, 1
    assert speaking(target).tolist() == [False, True, False]
    assert speaking(target, torch.tensor([90, 200, 100])).tolist() == [True, False, False]
    assert speaking(torch.zeros(2, 100)).all()


def training(part, **settings):
    torch.manual_seed(0)
    config = stft_tcn.Config(embedding_dim=4, channels=8, hidden=8, num_blocks=1, num_stacks=1)
    chosen = ExtractorConfig(model=config, targets="all", loss=LossConfig(shared=part), **settings)
    conditioning = lambda batch: torch.nn.functional.normalize(batch.sources[..., 500:504] + 1e-3, dim=-1)  # noqa: E731
    conditioning.references = None
    return ExtractorTraining(chosen, stft_tcn.Model(config), conditioning)


@pytest.mark.parametrize("chunk_s", [0.0, 0.2])
def test_the_loss_is_the_mean_of_both_and_every_weight_learns(batch, chunk_s):
    losses = {part: training(part, chunk_s=chunk_s).loss(batch) for part in (0.5, 1.0)}
    module = training(0.5, chunk_s=chunk_s)
    module.loss(batch).backward()
    with_gradient = [
        name for name, weight in module.named_parameters() if weight.grad is not None and weight.grad.any()
    ]
    assert with_gradient and all(torch.isfinite(loss) for loss in losses.values())
    almost_alone = training(1e-9, chunk_s=chunk_s).loss(batch)
    torch.testing.assert_close(losses[0.5], (losses[1.0] + almost_alone) / 2, atol=1e-4, rtol=1e-4)
    assert not torch.isclose(losses[1.0], almost_alone)


def test_all_of_a_mixture_hear_the_same_chunk(batch, monkeypatch):
    seen = []
    module = training(0.5, chunk_s=0.1)
    monkeypatch.setattr(
        module, "_loss_of", lambda ests, target, mix, rows, sizes: seen.append((mix, rows)) or ests.sum()
    )
    module.loss(batch)
    mix, rows = seen[0]
    for row in rows.unique():
        own = mix[rows == row]
        assert torch.equal(own, own[:1].expand_as(own))


def test_it_wants_all_targets():
    with pytest.raises(ValueError, match="loss.shared: wanted 0, or targets: all, found 0.5 and random"):
        dataclasses.replace(training(0.5).settings, targets="random")
