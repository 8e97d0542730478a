import torch

from wesep_mix.models.layers.masking import lengths_of


def test_without_lengths_every_item_is_as_long_as_the_batch():
    given = torch.tensor([3, 5])
    assert lengths_of(torch.zeros(2, 5), given) is given
    found = lengths_of(torch.zeros(2, 5), None)
    assert found.tolist() == [5, 5] and found.dtype == torch.int64
