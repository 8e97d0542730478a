"""Extraction of a whole set to wav: mixture and embedding in, that talker out, at the level it has in the mixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from wesep_mix import checkpoint
from wesep_mix.analysis import chunked
from wesep_mix.analysis.keys import MATCHED, lookup
from wesep_mix.analysis.levels import at_mixture_level
from wesep_mix.analysis.settings import WHOLE, Chunks
from wesep_mix.errors import UserError
from wesep_mix.io.audio import write_audio
from wesep_mix.io.files import write_table
from wesep_mix.mixing.plan import Plan, speaker_keys
from wesep_mix.mixing.render import render


def extract_set(
    model_path: Path, plans: Sequence[Plan], embeddings: Mapping[str, np.ndarray] | None, out: Path, device: str,
    subtype: str = "PCM_16", chunks: Chunks = WHOLE,
) -> None:
    """Write `out/<mix>-<speaker>.wav` for every talker of every mixture, and `out/wav.scp`.

    embeddings: {`<mix>-<speaker>`: [D]}, or None for a model without embedding, whose one estimate of a mixture
    stands for all of its talkers. Files of an interrupted run are kept.
    Raises: UserError when an embedding is missing or an estimate cannot be written without clipping.
    """
    model = checkpoint.load_model(model_path, "extractors").to(device)

    def estimate(plan: Plan) -> np.ndarray:
        keys = speaker_keys(plan)
        conditions = None if embeddings is None else lookup(embeddings, keys, MATCHED)
        return extract(model, render(plan).mix, conditions, len(keys), device, chunks)

    write_estimates(plans, estimate, out, subtype, "extracting")


def write_estimates(
    plans: Sequence[Plan], estimate: Callable[[Plan], np.ndarray], out: Path, subtype: str, doing: str
) -> None:
    """Write what `estimate` gives for each mixture, [S, T] in the order of its sources, unless it is there already.

    Raises: UserError that begins with the mixture whose estimates cannot be made, or the file that cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    index = {key: str(out / f"{key}.wav") for plan in plans for key in speaker_keys(plan)}
    for plan in tqdm(plans, desc=f"{doing} {out.parent.name}", unit="mix", mininterval=1.0):
        paths = [Path(index[key]) for key in speaker_keys(plan)]
        if not all(path.is_file() for path in paths):
            for path, est in zip(paths, _estimated(estimate, plan), strict=True):
                write_audio(path, est, plan.sample_rate, subtype)
    write_table(out / "wav.scp", index)


def _estimated(estimate: Callable[[Plan], np.ndarray], plan: Plan) -> np.ndarray:
    try:
        return estimate(plan)
    except UserError as err:
        raise UserError(f"{plan.id}: {err}") from err


def extract(
    model: torch.nn.Module, mix: np.ndarray, embeddings: np.ndarray | None, num_spk: int, device: str,
    chunks: Chunks = WHOLE,
) -> np.ndarray:
    """One mixture [T] and embeddings [S, D] (or None) -> estimates float32 [S, T] at the talkers' levels."""
    signal = torch.from_numpy(mix)[None]  # [1, T]
    if embeddings is None:
        est = chunked.extract(model, signal, None, chunks, device).expand(num_spk, -1)
    else:
        est = chunked.extract(model, signal.expand(num_spk, -1), torch.from_numpy(embeddings), chunks, device)
    return at_mixture_level(est, signal).numpy()
