import pytest
import torch

from wesep_mix.extractors.stft_tcn import Config, Model

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
