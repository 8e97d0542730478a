"""The pretrained speaker encoder CAM++ as teacher: nothing is trained, it works without a network or a download.

Source: Wang et al., "CAM++: A fast and efficient network for speaker verification using context-aware masking",
Interspeech 2023 (arXiv 2303.00332), section 3; weights and what differs: frontends/campplus.py. The package's own
code puts a ReLU behind the last batch norm, which is neither in the paper nor in its authors' code, nor here.

B batch, T samples, D embedding size, C channels.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from wesep_mix.base import config, plugins
from wesep_mix.base.config import Checked, between
from wesep_mix.models.layers.centred import CentredModel, check_centred
from wesep_mix.models.layers.embedding_head import EmbeddingHead
from wesep_mix.models.layers.masking import masked_mean_std, valid_frames

SIZE = 192


@dataclass(frozen=True)
class Config(Checked):
    """`frontend` is a `campplus`; the layer on top of it is pretrained, and trained if any of its blocks are.

    Attributes:
        centred: the mean of the training set's speakers is subtracted, and what is left has norm 1 again.
    """

    name: str = "campplus"
    frontend: Any = config.plugin("frontends", default={"name": "campplus"})
    embedding_dim: Annotated[int, between(SIZE, SIZE, says=f"{SIZE}, which the weights have")] = SIZE
    centred: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frontend.name != "campplus":
            raise ValueError(f"frontend: wanted campplus, found {self.frontend.name}")
        check_centred(self.centred, self.frontend.finetuned_blocks > 0)


class Model(CentredModel):
    """Mean and standard deviation of the front-end's frames, a dense layer, L2 norm."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.frontend = plugins.build("frontends", config.frontend)
        self.config = dataclasses.replace(config, frontend=self.frontend.config)  # which may know more by now
        self.dense = Dense(2 * self.frontend.channels, SIZE)
        self.frontend.initialise(self.dense, "xvector.dense")
        self.train(self.training)

    def train(self, mode: bool = True) -> Model:
        return super().train(False)

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Wav float [B, T] of one talker each, num_samples int64 [B] -> unit embeddings [B, 192]."""
        frames, num_frames = self.frontend(wav, num_samples)
        return self.unit(self.dense(statistics(frames, num_frames)))

    @torch.no_grad()
    def begin(self, head: EmbeddingHead) -> None:
        """Give a student's head first weights with which it embeds speech nearly as this teacher does.

        All frames weigh alike at first. What differs: the deviation is not the unbiased one, and of a centred teacher
        the centre is subtracted at the usual norm, not at each embedding's own.

        Args:
            head: Changed in place.

        Raises:
            ValueError: When the head projects the frames first, or has another size.
        """
        linear, norm = self.dense.linear.weight[..., 0], self.dense.nonlinear["batchnorm"]
        if not isinstance(head.projection, nn.Identity) or head.embedding.weight.shape != linear.shape:
            raise ValueError(
                f"wanted model.projection 0, and heads on {self.frontend.channels} channels for embeddings of {SIZE}"
            )
        scale = (norm.running_var + norm.eps).rsqrt()
        head.embedding.weight.copy_(linear * scale[:, None])
        head.embedding.bias.copy_(-norm.running_mean * scale)
        if self.config.centred:
            head.embedding.bias.sub_(self.centre * SIZE**0.5)
        nn.init.zeros_(head.pooling.attention[-1].weight)
        nn.init.zeros_(head.pooling.attention[-1].bias)


class Dense(nn.Module):
    """A linear layer, then batch norm without weights of its own."""

    def __init__(self, num_in: int, num_out: int):
        super().__init__()
        self.linear = nn.Conv1d(num_in, num_out, 1, bias=False)
        self.nonlinear = nn.ModuleDict({"batchnorm": nn.BatchNorm1d(num_out, affine=False)})

    def forward(self, pooled: Tensor) -> Tensor:
        """Float [B, num_in] -> float [B, num_out]."""
        return self.nonlinear["batchnorm"](self.linear(pooled[..., None]))[..., 0]


def statistics(frames: Tensor, num_frames: Tensor) -> Tensor:
    """Statistics pooling.

    Args:
        frames: Float [B, L, C].
        num_frames: How many each item has, int64 [B], 2 or more.

    Returns:
        Mean and unbiased standard deviation over the existing frames, float32 [B, 2C].
    """
    mean, std = masked_mean_std(frames.float(), valid_frames(num_frames, frames.shape[1]), eps=1e-10)
    unbiased = (num_frames / (num_frames - 1)).sqrt()[:, None, None]
    return torch.cat([mean, std * unbiased], -1)[:, 0]
