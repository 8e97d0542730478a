"""The untrained baseline of arXiv 2604.03219, Table 1: k-means over the frames of a mixture.

Each mixture is clustered by itself into as many clusters as it has talkers, and the centroids stand for the
embeddings. The paper's frames are those of WavLM, which was trained without speaker labels: `initial_frontend` gives
the front-end in that state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.judging import Labelled, assigned
from wesep_mix.metrics.clustering import kmeans
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import render, render_source


def initial_frontend(frontend: nn.Module, seed: int) -> nn.Module:
    """The front-end as it was before any training of ours: with pretrained weights where it has them, else random ones.

    Args:
        frontend: as the teacher has it.
        seed: of random weights.

    Returns:
        A new front-end; a frozen one is returned itself, since training has not changed it.
    """
    if not any(weight.requires_grad for weight in frontend.parameters()):
        return frontend
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return frontend.fresh()


def kmeans_tables(
    frontends: Mapping[str, nn.Module], plans: Sequence[Plan], seed: int, device: str
) -> dict[str, Labelled]:
    """The centroids of each mixture's frames, each assigned to the talker whose mean frame of clean speech it matches.

    Each mixture is rendered once for all front-ends.

    Args:
        frontends: by row.
        plans: the mixtures.
        seed: of k-means.
        device: `cpu` or `cuda`.

    Returns:
        {row: labelled centroids}.
    """
    if not frontends:
        return {}
    frontends = {name: frontend.to(device).eval() for name, frontend in frontends.items()}
    sets: dict[str, list[np.ndarray]] = {name: [] for name in frontends}
    for plan in tqdm(plans, desc="frame k-means", mininterval=1.0):
        mix, clean = render(plan).mix, [render_source(source, plan.sample_rate) for source in plan.sources]
        for name, frontend in frontends.items():
            centroids = frame_centroids(frames(frontend, [mix], device)[0], len(clean), plan.id, seed)
            means = [one.mean(axis=0) for one in frames(frontend, clean, device)]
            sets[name].append(assigned(centroids, np.stack(means)))
    return {name: Labelled.of(plans, found) for name, found in sets.items()}


def frame_centroids(mixture_frames: np.ndarray, num_spk: int, mix: str, seed: int) -> np.ndarray:
    """Cluster the frames of a mixture.

    Args:
        mixture_frames: [L, C].
        num_spk: number of clusters.
        mix: id of the mixture, which seeds the starts.
        seed: of the run.

    Returns:
        [num_spk, C].
    """
    state = int(rng_for(seed, "kmeans", mix).integers(2**31))
    return kmeans(mixture_frames, num_spk, state).cluster_centers_


@torch.inference_mode()
def frames(frontend: nn.Module, wavs: Sequence[np.ndarray], device: str) -> list[np.ndarray]:
    """The front-end's frames of signals, which go through it together.

    Args:
        frontend: the network.
        wavs: float32 [T] each, at 16 kHz.
        device: `cpu` or `cuda`.

    Returns:
        float64 [L, C] each, without the frames of the padding.
    """
    lengths = torch.tensor([len(wav) for wav in wavs], device=device)
    padded = pad_sequence([torch.from_numpy(wav) for wav in wavs], batch_first=True).to(device)
    batch, num_frames = frontend(padded, lengths)  # [B, L, C], [B]
    return [one[:count].double().cpu().numpy() for one, count in zip(batch, num_frames.tolist(), strict=True)]
