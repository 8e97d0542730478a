"""Whose voice an estimate has: the cosine of the teacher's embeddings of the estimate and of the clean target.

Part of stage 7, after its workers, since this alone needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cosine_similarity
from torch.nn.utils.rnn import pad_sequence

from wesep_mix.evaluation.trials import Trial, estimate
from wesep_mix.io.embeddings import lookup, read_embeddings
from wesep_mix.mixing.plan import speaker_keys
from wesep_mix.mixing.render import render
from wesep_mix.models.checkpoint import load_model

BATCH_SIZE = 8  # estimates that go through the teacher together


@torch.inference_mode()
def voice_cosines(trials: Sequence[Trial], teacher: Path, clean: Path, device: str = "cpu") -> list[float]:
    """The cosine of each estimate's embedding to that of its clean source.

    Both are of the stretch in which the source speaks: what stands outside of it is no part of its voice.

    Args:
        trials: the estimates.
        teacher: model file.
        clean: scp of the teacher's embeddings of the clean sources, from stage 4.
        device: `cpu` or `cuda`.

    Returns:
        A cosine for each trial.

    Raises:
        UserError: an embedding or an estimate is missing.
    """
    model = load_model(teacher, "teachers").to(device)
    keys = [speaker_keys(trial.plan)[trial.index] for trial in trials]
    wanted = torch.from_numpy(lookup(read_embeddings(clean), keys, str(clean)))
    found = torch.empty_like(wanted)
    order = np.argsort([-_span(trial)[1] for trial in trials], kind="stable")  # longest first: little padding
    for first in range(0, len(order), BATCH_SIZE):
        places = order[first : first + BATCH_SIZE].tolist()
        found[places] = _embed(model, [_voice(trials[place]) for place in places], device)
    return cosine_similarity(found, wanted).tolist()


def _span(trial: Trial) -> tuple[int, int]:
    """Where the source begins in the mixture, and how long it is."""
    source = trial.plan.sources[trial.index]
    return source.offset, source.num_samples


def _voice(trial: Trial) -> torch.Tensor:
    """The estimate where the source speaks, [T]."""
    (start, size), est = _span(trial), estimate(trial, render(trial.plan))
    return torch.from_numpy(np.array(est[start : start + size], dtype=np.float32))


def _embed(model: nn.Module, wavs: Sequence[torch.Tensor], device: str) -> torch.Tensor:
    num_samples = torch.tensor([len(wav) for wav in wavs])
    padded = pad_sequence(list(wavs), batch_first=True)  # [B, T]
    return model(padded.to(device), num_samples.to(device)).float().cpu()
