import numpy as np
import pytest
import torch

from wesep_mix.models.layers import dtdnn


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def spread(model):
    """Every batch norm with statistics and weights of its own, in eval mode."""
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            for value, low in ((module.running_mean, -1), (module.running_var, 0.5), (module.bias, -1)):
                torch.nn.init.uniform_(value, low, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval().requires_grad_(False)


def normed(norm, x):
    """Batch norm and ReLU by their formulas, float [C, L]."""
    mean, var, weight, bias = (
        value.double().numpy()[:, None] for value in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return np.maximum((x - mean) / np.sqrt(var + norm.eps) * weight + bias, 0)


def masked(layer, x):
    """Context-aware masking by its formulas, frame by frame: float [C, L] -> [D, L]."""
    local, dilation = layer.linear_local.weight.double().numpy(), layer.linear_local.dilation[0]
    w1, b1, w2, b2 = (
        value.double().numpy() for conv in (layer.linear1, layer.linear2) for value in (conv.weight[..., 0], conv.bias)
    )
    rows = []
    for frame in range(x.shape[1]):
        first = frame // 100 * 100
        context = x.mean(1) + x[:, first : first + 100].mean(1)
        mask = 1 / (1 + np.exp(-(w2 @ np.maximum(w1 @ context + b1, 0) + b2)))
        heard = [(tap, frame + dilation * (tap - 1)) for tap in range(3)]
        rows.append(mask * sum(local[..., tap] @ x[:, at] for tap, at in heard if 0 <= at < x.shape[1]))
    return np.stack(rows, 1)


@pytest.mark.parametrize("num_frames", [1, 99, 100, 101, 250])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_mask_is_made_from_the_mean_of_all_frames_and_that_of_the_segment(num_frames, dilation):
    layer, x = dtdnn.MaskedConv(6, 4, dilation).requires_grad_(False), torch.randn(2, 6, num_frames)
    found = layer(x).numpy()
    for row in range(2):
        np.testing.assert_allclose(found[row], masked(layer, x[row].double().numpy()), atol=1e-5)


def test_a_dense_layer_hears_all_before_it():
    block, x = spread(dtdnn.DenseBlock(5, 3, dilation=2)), torch.randn(1, 5, 120)
    wanted = x[0].double().numpy()
    for layer in block.children():
        inner = layer.linear1.weight[..., 0].double().numpy() @ normed(layer.nonlinear1.batchnorm, wanted)
        wanted = np.concatenate([wanted, masked(layer.cam_layer, normed(layer.nonlinear2.batchnorm, inner))])
    assert wanted.shape == (5 + 3 * 32, 120)
    np.testing.assert_allclose(block(x)[0].numpy(), wanted, atol=1e-4)


def test_half_of_the_channels_go_on():
    layer, x = spread(dtdnn.Transit(6)), torch.randn(1, 6, 9)
    wanted = layer.linear.weight[..., 0].double().numpy() @ normed(layer.nonlinear.batchnorm, x[0].double().numpy())
    np.testing.assert_allclose(layer(x)[0].numpy(), wanted, atol=1e-5)
    assert wanted.shape == (3, 9)


@pytest.mark.parametrize("num_frames, wanted", [(1, 1), (2, 1), (3, 2), (4, 2), (101, 51)])
def test_every_other_frame_comes_out(num_frames, wanted):
    layer = spread(dtdnn.TDNN(4, 7))
    x = torch.randn(1, 4, num_frames)
    around = torch.nn.functional.pad(x, (2, 2))[..., : 5 * (num_frames > 0)]
    first = torch.einsum("dck,bck->bd", layer.linear.weight, around)[..., None]
    found = layer(x)
    assert found.shape == (1, 7, wanted)
    torch.testing.assert_close(found[..., :1], layer.nonlinear(first), atol=1e-5, rtol=0)


def test_convolutions_leave_an_eighth_of_the_bins_and_all_frames():
    model = spread(dtdnn.ConvolutionModule(3))
    x = torch.randn(2, 16, 5)
    found = model(x)
    assert found.shape == (2, 3 * 2, 5)
    y = torch.relu(model.bn1(model.conv1(x[:, None])))
    for block in (*model.layer1, *model.layer2):
        inner = torch.relu(block.bn1(block.conv1(y)))
        y = torch.relu(block.bn2(block.conv2(inner)) + block.shortcut(y))
    assert y.shape == (2, 3, 4, 5)
    wanted = torch.relu(model.bn2(model.conv2(y)))  # [2, 3, 2, 5]
    torch.testing.assert_close(found, wanted.reshape(2, 6, 5), atol=1e-5, rtol=0)
