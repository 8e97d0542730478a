"""Separation of a whole set to wav: mixture in, all talkers out, each under the name of the talker it fits best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from wesep_mix import checkpoint
from wesep_mix.analysis import chunked
from wesep_mix.analysis.extraction import write_estimates
from wesep_mix.analysis.levels import at_mixture_level
from wesep_mix.analysis.settings import WHOLE, Chunks
from wesep_mix.errors import UserError
from wesep_mix.losses.upit import in_order
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import render


def separate_set(
    model_path: Path, plans: Sequence[Plan], out: Path, device: str, subtype: str = "PCM_16", chunks: Chunks = WHOLE
) -> None:
    """Write `out/<mix>-<speaker>.wav` for every talker of every mixture, and `out/wav.scp`.

    The names, and nothing else, are taken from the sources: the permutation with the largest mean SI-SDR.
    Raises: UserError when the separator has another number of outputs than a mixture has talkers, or an estimate
        cannot be written without clipping.
    """
    model = checkpoint.load_model(model_path, "separators").to(device)

    def estimate(plan: Plan) -> np.ndarray:
        if len(plan.sources) != model.config.num_spk:
            raise UserError(f"has {len(plan.sources)} talkers, found {model.config.num_spk} outputs in "
                            f"{model_path}; train a separator for as many")
        rendered = render(plan)
        return separate(model, rendered.mix, rendered.sources, device, chunks)

    write_estimates(plans, estimate, out, subtype, "separating")


def separate(
    model: torch.nn.Module, mix: np.ndarray, sources: np.ndarray, device: str, chunks: Chunks = WHOLE
) -> np.ndarray:
    """One mixture [T] -> estimates float32 [S, T] in the order of the sources [S, T], at the talkers' levels."""
    signal = torch.from_numpy(mix)[None]  # [1, T]
    est = in_order(chunked.separate(model, signal, chunks, device), torch.from_numpy(sources)[None])[0]
    return at_mixture_level(est, signal).numpy()
