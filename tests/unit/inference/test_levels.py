import torch

from wesep_mix.models.layers.network import at_mixture_level


def test_an_estimate_gets_the_level_that_the_talker_has_in_the_mixture():
    time = torch.arange(16000) / 16000
    talker, other = 0.3 * torch.sin(2 * torch.pi * 200 * time), 0.1 * torch.sin(2 * torch.pi * 310 * time)
    mix = (talker + other)[None]
    est = torch.stack([7.0 * talker, -0.01 * other])  # of any level, even inverted
    assert torch.allclose(at_mixture_level(est, mix), torch.stack([talker, other]), atol=1e-4)
