import torch

from wesep_mix.data.batch import chunk_length, starts


def test_a_chunk_is_as_long_as_asked_or_as_the_shortest_mixture(batch):
    assert chunk_length(batch, 0.1) == 1600
    assert chunk_length(batch, 100.0) == min(plan.num_samples for plan in batch.plans)


def test_every_place_from_the_first_to_the_last_is_as_likely():
    chance = torch.arange(1000) / 1000
    found = starts(torch.tensor(3), torch.tensor(7), chance)
    assert torch.bincount(found).tolist() == [0] * 3 + [200] * 5
    assert torch.equal(starts(0, torch.tensor(4), chance), found - 3)
