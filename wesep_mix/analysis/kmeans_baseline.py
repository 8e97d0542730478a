"""The untrained baseline of arXiv 2604.03219, Table 1: k-means over the frames of a mixture.

Each mixture is clustered by itself into as many clusters as it has talkers, and the centroids stand for the
embeddings. The paper's frames are those of WavLM, which no speaker labels have touched: `untaught` gives the
front-end in that state.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from wesep_mix.analysis.embedding_tables import Labelled, assigned
from wesep_mix.metrics.clustering import kmeans
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import render, render_source
from wesep_mix.seeds import rng_for


def untaught(frontend: nn.Module, seed: int) -> nn.Module:
    """The front-end as it was before any training of ours: pretrained weights where it has them, else random ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return frontend.fresh()


def kmeans_table(frontend: nn.Module, plans: Sequence[Plan], seed: int, device: str) -> Labelled:
    """Centroids of each mixture's frames, labelled by best assignment to the clean sources' mean frames."""
    frontend = frontend.to(device).eval()
    sets = []
    for plan in tqdm(plans, desc="frame k-means", mininterval=1.0):
        mixed = frames(frontend, render(plan).mix, device)
        centroids = frame_centroids(mixed, len(plan.sources), plan.id, seed)
        clean = [frames(frontend, render_source(source, plan.sample_rate), device) for source in plan.sources]
        sets.append(assigned(centroids, np.stack([one.mean(axis=0) for one in clean])))
    return Labelled.of(plans, sets)


def frame_centroids(mixture_frames: np.ndarray, num_talkers: int, mix: str, seed: int) -> np.ndarray:
    """[num_talkers, C] from frames [L, C]; the starts are seeded by the mixture's id."""
    state = int(rng_for(seed, "kmeans", mix).integers(2**31))
    return kmeans(mixture_frames, num_talkers, state).cluster_centers_


@torch.inference_mode()
def frames(frontend: nn.Module, wav: np.ndarray, device: str) -> np.ndarray:
    """Frames of one signal [T] as float64 [L, C]."""
    lengths = torch.tensor([len(wav)], device=device)
    batch, num_frames = frontend(torch.from_numpy(wav)[None].to(device), lengths)  # [1, L, C], [1]
    return batch[0, : int(num_frames[0])].double().cpu().numpy()
