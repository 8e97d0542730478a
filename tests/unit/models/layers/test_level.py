import pytest
import torch

from wesep_mix.models.layers.network import Longer, gain_to, level_so_far, unit_level


def test_it_is_the_level_of_every_row_and_1_for_silence():
    wav = torch.tensor([[3.0, -3.0, 3.0, -3.0], [0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [1e-9, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(unit_level(wav), torch.tensor([[3.0], [1.0], [1.0], [1.0]]))


def test_a_gain_brings_an_item_to_a_level_whatever_its_padding_and_leaves_silence():
    wav = torch.tensor([[3.0, -3.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]])
    found = gain_to(0.3, wav, torch.tensor([2, 4, 4]))
    assert found.flatten().tolist() == pytest.approx([0.1, 1.0, 0.3])


def test_the_level_so_far_is_that_of_what_was_heard_and_1_for_silence():
    wav = torch.tensor([[1.0, 3.0, 0.0, -1.0], [0.0, 0.0, 2.0, 0.0]])
    found = level_so_far(wav, torch.tensor([1, 2, 4]))
    wanted = torch.stack([unit_level(wav[:, :end])[:, 0] for end in (1, 2, 4)], 1)
    torch.testing.assert_close(found, wanted)
    assert found[1, 0] == 1


def test_a_part_has_the_level_of_the_whole():
    wav, ends = torch.randn(2, 100) * torch.arange(1, 101), torch.tensor([70, 95])
    longer = Longer(unit_level(wav), wav[:, :60].double().square().sum(1, keepdim=True), 60)
    part = wav[:, 60:]
    assert torch.equal(unit_level(part, longer), unit_level(wav))
    torch.testing.assert_close(level_so_far(part, ends - 60, longer), level_so_far(wav, ends))
    assert not torch.allclose(unit_level(part), unit_level(wav))
