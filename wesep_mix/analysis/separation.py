"""Separation of a whole set to wav: mixture in, all talkers out, each under the name of the talker it fits best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wesep_mix import checkpoint
from wesep_mix.analysis import chunked
from wesep_mix.analysis.extraction import write_estimates
from wesep_mix.analysis.levels import at_mixture_level
from wesep_mix.analysis.settings import WHOLE, Chunks
from wesep_mix.errors import UserError
from wesep_mix.losses.upit import in_order
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import Rendered, render


def separate_set(
    model_path: Path, plans: Sequence[Plan], out: Path, device: str, subtype: str = "PCM_16", chunks: Chunks = WHOLE,
    batch_size: int = 1,
) -> None:
    """Write `out/<mix>-<speaker>.wav` for every talker of every mixture, and `out/wav.scp`.

    The names, and nothing else, are taken from the sources: the permutation with the largest mean SI-SDR.
    batch_size: mixtures of equal length that are separated together.
    Raises: UserError when the separator has another number of outputs than a mixture has talkers, or an estimate
        cannot be written without clipping.
    """
    model = checkpoint.load_model(model_path, "separators").to(device)

    def estimate(group: Sequence[Plan]) -> Sequence[Tensor]:
        for plan in group:
            if len(plan.sources) != model.config.num_spk:
                raise UserError(f"has {len(plan.sources)} talkers, found {model.config.num_spk} outputs in "
                                f"{model_path}; train a separator for as many")
        return separate(model, [render(plan) for plan in group], device, chunks)

    write_estimates(plans, estimate, out, subtype, "separating", batch_size)


def separate(model: torch.nn.Module, group: Sequence[Rendered], device: str, chunks: Chunks = WHOLE) -> Tensor:
    """Mixtures of equal length -> estimates float32 [B, S, T] in the order of their sources, at the talkers' levels."""
    signals, sources = (torch.from_numpy(np.stack([getattr(each, name) for each in group]))
                        for name in ("mix", "sources"))  # [B, T], [B, S, T]
    est = in_order(chunked.separate(model, signals, chunks, device), sources)
    return at_mixture_level(est, signals[:, None])
