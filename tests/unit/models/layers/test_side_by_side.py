import torch

from wesep_mix.models.layers.fast.frames_last import pointwise, side_by_side


def test_it_is_the_linear_map_of_both_together():
    layer, x, beside = torch.nn.Linear(5, 3), torch.randn(2, 7, 4), torch.randn(2, 1, 1)
    wanted = layer(torch.cat([x, beside.expand(-1, 7, -1)], 2))
    torch.testing.assert_close(side_by_side(x, beside, layer.weight, layer.bias), wanted)


def test_it_is_the_convolution_of_both_together():
    conv, x, beside = torch.nn.Conv1d(5, 3, 1), torch.randn(2, 4, 7), torch.randn(2, 1, 1)
    wanted = conv(torch.cat([x, beside.expand(-1, -1, 7)], 1))
    torch.testing.assert_close(side_by_side(x, beside, conv.weight, conv.bias, 1, pointwise), wanted)
