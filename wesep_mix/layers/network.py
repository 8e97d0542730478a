"""What extractors and separators say of themselves, beside what they compute."""

from __future__ import annotations

from torch import nn


class Network(nn.Module):
    """A network from mixtures to estimates. These are the defaults; a model sets those that are otherwise.

    num_estimates: how many it gives to its loss; with more than one it has a method `estimates`.
    frame_step: samples from frame to frame.
    lookahead: how many samples ahead of its own a sample of the output depends on; None: on the whole mixture.
    free_level: whether the level of the output has nothing to do with the input's.
    """

    num_estimates: int = 1
    frame_step: int = 1
    lookahead: int | None = None
    free_level: bool = False
