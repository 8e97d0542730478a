import torch

from wesep_mix.layers.level import root_mean_square


def test_it_is_the_level_of_every_row_and_1_for_silence():
    wav = torch.tensor([[3.0, -3.0, 3.0, -3.0], [0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [1e-9, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(root_mean_square(wav), torch.tensor([[3.0], [1.0], [1.0], [1.0]]))
