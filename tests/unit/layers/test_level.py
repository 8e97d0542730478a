import torch

from wesep_mix.layers.level import LevelSoFar, Longer, UnitLevel, part_of, root_mean_square


def test_it_is_the_level_of_every_row_and_1_for_silence():
    wav = torch.tensor([[3.0, -3.0, 3.0, -3.0], [0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [1e-9, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(root_mean_square(wav), torch.tensor([[3.0], [1.0], [1.0], [1.0]]))


def test_the_level_so_far_is_that_of_what_was_heard_and_1_for_silence():
    wav = torch.tensor([[1.0, 3.0, 0.0, -1.0], [0.0, 0.0, 2.0, 0.0]])
    found = LevelSoFar()(wav, torch.tensor([1, 2, 4]))
    wanted = torch.stack([root_mean_square(wav[:, :end])[:, 0] for end in (1, 2, 4)], 1)
    torch.testing.assert_close(found, wanted)
    assert found[1, 0] == 1


def test_a_part_has_the_level_of_the_whole_until_it_is_done_with():
    wav = torch.randn(2, 100) * torch.arange(1, 101)
    model = torch.nn.ModuleDict({"unit": UnitLevel(), "so_far": LevelSoFar()})
    ends = torch.tensor([70, 95])
    whole = model["unit"](wav), model["so_far"](wav, ends)
    energy = wav[:, :60].double().square().sum(1, keepdim=True)
    with part_of(model, Longer(whole[0], energy, 60)):
        part = model["unit"](wav[:, 60:]), model["so_far"](wav[:, 60:], ends - 60)
    torch.testing.assert_close(part, whole)
    assert not torch.allclose(model["unit"](wav[:, 60:]), whole[0])
