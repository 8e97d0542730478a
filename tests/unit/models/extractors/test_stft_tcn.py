import dataclasses

import pytest
import torch

from wesep_mix.models.extractors.stft_tcn import Config, Model

SMALL = Config(embedding_dim=4, channels=8, hidden=8, num_blocks=2, num_stacks=2)


class AllPass(torch.nn.Module):
    def forward(self, hidden):
        return torch.ones(*hidden.shape[:2], SMALL.window // 2 + 1)


@pytest.mark.parametrize("num_samples", [1, 100, 511, 16000, 15999])
def test_a_mask_of_ones_gives_the_mixture_back(num_samples):
    model = Model(SMALL)
    model.mask = AllPass()
    mix = torch.randn(2, num_samples, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(model(mix, torch.randn(2, 4)), mix, atol=1e-4)


def test_the_embedding_has_no_say_before_training_and_one_after_a_step():
    torch.manual_seed(0)
    model = Model(SMALL)
    mix, (one, other) = torch.randn(1, 4000), torch.randn(2, 1, 4)
    assert torch.equal(model(mix, one), model(mix, other))  # FiLM begins as identity
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(mix, one).square().mean().backward()
    optimizer.step()
    assert not torch.allclose(model(mix, one), model(mix, other))


def test_a_causal_models_mask_does_not_hear_the_level_of_the_mixture():
    torch.manual_seed(0)
    model = Model(dataclasses.replace(SMALL, causal=True))
    mix, emb = torch.randn(2, 4000), torch.randn(2, 4)
    torch.testing.assert_close(model(30 * mix, emb), 30 * model(mix, emb), atol=1e-3, rtol=1e-3)


def test_the_level_that_a_causal_frame_is_given_is_that_up_to_its_end():
    model, mix = Model(dataclasses.replace(SMALL, causal=True)), torch.randn(1, 2000) * torch.arange(2000)
    found = model._level_so_far(mix, 8)  # frames end at 256, 512, ..., at last with the mixture
    wanted = [mix[:, : min(256 + 256 * frame, 2000)].square().mean().sqrt() for frame in range(8)]
    torch.testing.assert_close(found[0], torch.stack(wanted))
