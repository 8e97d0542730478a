"""SpEx+: time-domain speaker extraction with encoders and decoders of three window lengths.

Source: Ge, Xu, Wang, Chng, Dang, Li: "SpEx+: A complete time domain speaker extraction network", Interspeech
2020, section 2, in the form of WeSep (Wang et al., Interspeech 2024). The separator is Conv-TasNet's (Luo and
Mesgarani 2019, section II-C): stacks of dilated convolution blocks.

Short, middle and long windows at one stride give three codes of each frame; norm and a 1x1 convolution on all
of them, the stacks, a mask for each code, and a decoder for each: three estimates. The first (short window) is
the output; all three are trained on (`estimates`; the paper weighs them 0.8, 0.1, 0.1).

Differs from the paper: the embedding is given, not computed from an enrolment with the shared encoders, so
there is no speaker classification in the loss. The paper's fusion is `concat_conv`: the embedding joins the
first block of each stack, beside its input. Each other fusion stands in front of the stack, with PReLU and norm
behind it, as in WeSep; `none` is the stacks alone. WeSep's windows in samples are those of the authors' 8 kHz
code, so at 16 kHz they are half as long: windows (40, 160, 320) with stride 20 are the authors' in ms. Sizes,
norms, masks, skip connections and `unit_level` are settings.

Samples behind the last whole frame of the short window, fewer than a stride, make no frame of their own (as in
WeSep): only longer windows hear them, and they are zeros in the short estimate. A mixture shorter than that window
is filled up with zeros.

On a CPU all that is [B, C, L] lies frame by frame in memory (`models.layers.fast.frames_last`).

B batch, T samples, L frames, C channels, D embedding size, K windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.base.config import Checked, Count, CountOrZero, Counts
from wesep_mix.models.layers.fast import conv_tasnet
from wesep_mix.models.layers.fast.frames_last import Depthwise, Pointwise, frames_last
from wesep_mix.models.layers.fusion import Fusion, FusionKind, embedding_transform
from wesep_mix.models.layers.network import Longer, Network, check_causal, check_inputs, unit_level
from wesep_mix.models.layers.norms import ChannelNorm, GlobalNorm

MASKS = {"relu": torch.relu, "sigmoid": torch.sigmoid}


@dataclass(frozen=True)
class Config(Checked):
    """The defaults are WeSep's SpEx+ recipe: 9,598,275 parameters.

    With FiLM of a single layer they are 9,602,375, with a hidden layer of 128 values 9,603,399.

    Raises: ValueError for sizes that do not fit.

    Attributes:
        film_hidden: values of FiLM's hidden layer; 0: FiLM is a single layer.
        windows: samples; the first one's estimate is the output.
        stride: samples, up to the first window.
        filters: of each window.
        channels: between the blocks.
        hidden: inside a block.
        num_blocks: of a stack, dilations 1, 2, 4, ...
        norm: inside the stacks: `global` over channels and time, `channel` in each frame, `batch`.
        skip: a stack's output is the sum of its blocks' skip connections.
        causal: the blocks look back only; `norm: global` hears the whole mixture all the same.
        recompute: in training, compute PReLU and norms again in the backward pass instead of keeping them.
        unit_level: bring each mixture to a root mean square of 1 and the estimate back.
    """

    name: str = "spexplus"
    embedding_dim: Count = 256
    fusion: Literal[FusionKind, "concat_conv"] = "concat_conv"
    film_hidden: CountOrZero = 0
    transform_embedding: bool = False
    windows: Counts = (20, 80, 160)
    stride: Count = 10
    filters: Count = 256
    channels: Count = 256
    hidden: Count = 512
    kernel_size: Count = 3
    num_stacks: Count = 4
    num_blocks: Count = 8
    norm: Literal["global", "channel", "batch"] = "global"
    mask: Literal["relu", "sigmoid"] = "relu"
    skip: bool = False
    causal: bool = False
    recompute: bool = True
    unit_level: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride > self.windows[0]:
            raise ValueError(
                f"windows, stride: wanted a stride of at most the first window, found {list(self.windows)} "
                f"and {self.stride}"
            )
        if self.kernel_size % 2 == 0 and not self.causal:
            raise ValueError(f"kernel_size: wanted an odd number where causal is false, found {self.kernel_size}")
        if self.skip and self.fusion == "concat_conv" and self.num_blocks == 1:
            raise ValueError("skip: wanted num_blocks of 2 or more with concat_conv, whose first block has none")
        check_causal(self.causal, self.unit_level)


class Model(Network):
    """Encoders, separator, and a mask and a decoder for each window."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.num_estimates, self.frame_step = config, len(config.windows), config.stride
        whole = not config.causal or config.norm == "global"
        self.lookahead = None if whole else max(config.windows) - 1
        num_filters = config.filters
        self.encoders = nn.ModuleList(nn.Conv1d(1, num_filters, window, config.stride) for window in config.windows)
        self.norm = ChannelNorm(num_filters * len(config.windows))
        self.project = Pointwise(num_filters * len(config.windows), config.channels)
        self.embedding_transform = embedding_transform(config)
        self.stacks = nn.ModuleList(Stack(config) for _ in range(config.num_stacks))
        self.masks = nn.ModuleList(Pointwise(config.channels, num_filters) for _ in config.windows)
        self.decoders = nn.ModuleList(
            nn.ConvTranspose1d(num_filters, 1, window, config.stride) for window in config.windows
        )

    def forward(self, mix: Tensor, emb: Tensor | None = None, longer: Longer | None = None) -> Tensor:
        """Extract the speaker whose embedding is given.

        Args:
            mix: Mixtures, float32 [B, T], any T >= 1.
            emb: Embeddings, float32 [B, D]; None with fusion `none`.
            longer: The signal that mix is a part of, where it is one.

        Returns:
            Estimates, float32 [B, T].

        Raises:
            UserError: For other shapes, values that are not finite, an embedding missing or unwanted.
        """
        return self._estimates(mix, emb, 1, longer)[:, 0]

    def estimates(self, mix: Tensor, emb: Tensor | None = None) -> Tensor:
        """As `forward`, with the estimate of every window, for the loss.

        Args:
            mix: Mixtures, float32 [B, T].
            emb: Embeddings, float32 [B, D]; None with fusion `none`.

        Returns:
            Float32 [B, K, T].

        Raises:
            UserError: As `forward`.
        """
        return self._estimates(mix, emb, self.num_estimates)

    def _estimates(self, mix: Tensor, emb: Tensor | None, count: int, longer: Longer | None = None) -> Tensor:
        check_inputs(mix, emb, self.config)
        level = unit_level(mix, longer) if self.config.unit_level else 1.0
        codes = self.encode(mix / level)
        x = self.separate(codes, emb)
        ests = [self.decode(x, codes[place], place, mix.shape[1]) * level for place in range(count)]
        return torch.stack(ests, 1)  # [B, count, T]

    def encode(self, mix: Tensor) -> list[Tensor]:
        """float32 [B, T] -> a code, float [B, filters, L], for each window; all have the short window's frames."""
        length, stride = mix.shape[1], self.config.stride
        last = max(0, length - self.config.windows[0]) // stride * stride  # where the last frame begins
        codes = []
        for window, conv in zip(self.config.windows, self.encoders, strict=True):
            wav = functional.pad(mix, (0, last + window - length))  # cut where it reaches further
            codes.append(functional.relu(frames_last(conv(wav.unsqueeze(1))), inplace=True))
        return codes

    def separate(self, codes: list[Tensor], emb: Tensor | None) -> Tensor:
        """The separator.

        Args:
            codes: What `encode` gives, float [B, filters, L] each.
            emb: Float [B, D], or None.

        Returns:
            What the masks are made from, float [B, C, L].
        """
        joined = torch.cat([code.transpose(1, 2) for code in codes], 2)  # [B, L, K * filters]
        x = self.project(self.norm(joined.transpose(1, 2)))  # [B, C, L]
        if emb is not None:
            emb = self.embedding_transform(emb)
        for stack in self.stacks:
            x = stack(x, emb)
        return x

    def decode(self, x: Tensor, code: Tensor, place: int, length: int) -> Tensor:
        """Mask the code of one window and decode it.

        Args:
            x: What `separate` gives, float [B, C, L].
            code: The window's code, float [B, filters, L].
            place: The window's place in `config.windows`.
            length: T, in samples.

        Returns:
            Float32 [B, T].
        """
        mask = MASKS[self.config.mask](self.masks[place](x))  # [B, filters, L]
        est = self.decoders[place](code * mask).squeeze(1).float()  # [B, about T]
        return functional.pad(est, (0, length - est.shape[1]))  # cut where it is longer


class Stack(nn.Module):
    """Blocks of rising dilation, with the embedding in front of the first one or in it."""

    def __init__(self, config: Config):
        super().__init__()
        in_block = config.fusion == "concat_conv"
        self.entry: nn.Module | None = None
        if in_block:
            self.entry = Block(config, 1, False, config.embedding_dim)
        elif config.fusion != "none":
            self.entry = FusedEntry(config)
        dilations = [2**place for place in range(int(in_block), config.num_blocks)]
        self.blocks = nn.ModuleList(Block(config, dilation, config.skip) for dilation in dilations)
        self.skip = config.skip
        if config.skip:  # WeSep has these weights, and uses them no more than we do
            self.blocks[-1].narrow.requires_grad_(False)

    def forward(self, x: Tensor, emb: Tensor | None) -> Tensor:
        """Float [B, C, L], float [B, D] -> float [B, C, L]."""
        if self.entry is not None:
            x = self.entry(x, emb)
        if not self.skip:
            for block in self.blocks:
                x = block(x)
            return x
        total = torch.zeros_like(x)
        for block in self.blocks:
            narrowed, skipped = block.outputs(x)
            x, total = x + narrowed, total + skipped
        return total


class FusedEntry(nn.Module):
    """Fusion, PReLU, norm."""

    def __init__(self, config: Config):
        super().__init__()
        self.fusion = Fusion(config.fusion, config.channels, config.embedding_dim, config.film_hidden)
        self.act = nn.PReLU()
        self.norm = NORMS[config.norm](config.channels)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Float [B, C, L], float [B, D] -> float [B, C, L]."""
        return self.norm(self.act(self.fusion(x, emb)))


class Block(nn.Module):
    """1x1 convolution, PReLU, norm, dilated depthwise convolution, PReLU, norm, 1x1 convolution, added to the input.

    With an embedding size the first convolution sees the embedding beside every frame.
    """

    def __init__(self, config: Config, dilation: int, skip: bool, embedding_dim: int = 0):
        super().__init__()
        num_channels, hidden, norm = config.channels, config.hidden, NORMS[config.norm]
        self.widen = Pointwise(num_channels + embedding_dim, hidden)
        self.act_in, self.norm_in = nn.PReLU(), norm(hidden)
        self.depthwise = Depthwise(hidden, config.kernel_size, dilation, config.causal)
        self.act_out, self.norm_out = nn.PReLU(), norm(hidden)
        self.narrow = Pointwise(hidden, num_channels)
        self.skip = Pointwise(hidden, num_channels) if skip else None
        self.recompute = config.recompute and config.norm != "batch"  # which notes all that it sees

    def forward(self, x: Tensor, emb: Tensor | None = None) -> Tensor:
        """Float [B, C, L], float [B, D] or None -> float [B, C, L]."""
        return x + self.outputs(x, emb)[0]

    def outputs(self, x: Tensor, emb: Tensor | None = None) -> tuple[Tensor, ...]:
        """What is added to the input and, with skip connections, what is added to the stack's output.

        Args:
            x: Float [B, C, L].
            emb: Float [B, D], or None.

        Returns:
            One or two signals, float [B, C, L].
        """
        y = self.widen(x, emb)  # [B, hidden, L]
        if self.recompute:
            return conv_tasnet.behind_widening(self, y)
        y = self.norm_in(self.act_in(y))
        y = self.depthwise(y)
        y = self.norm_out(self.act_out(y))
        return (self.narrow(y),) if self.skip is None else (self.narrow(y), self.skip(y))


NORMS = {"global": GlobalNorm, "channel": ChannelNorm, "batch": nn.BatchNorm1d}
