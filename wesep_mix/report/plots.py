"""Plots for RESULTS.md. They show what the means hide; no number depends on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure  # not pyplot: no window, no display, whatever the backend

from wesep_mix.io.files import atomic_path
from wesep_mix.metrics.clustering import normalised

COSINE_BINS = np.linspace(-1, 1, 81)


def improvement_plot(improvements: Mapping[str, np.ndarray], path: Path) -> None:
    """SI-SDRi in dB of every utterance by condition: histograms beside box plots; {row name: [num]}."""
    names = list(improvements)
    values = [improvements[name] for name in names]
    bins = np.linspace(*_range(np.concatenate(values)), 41)
    figure = Figure(figsize=(11, 4.2))
    left, right = figure.subplots(1, 2)
    for name, condition in zip(names, values, strict=True):
        left.hist(condition, bins, histtype="step", label=name)
    left.set(xlabel="SI-SDRi (dB)", ylabel="utterances")
    left.legend(fontsize="small")
    right.boxplot(values, showmeans=True)
    right.set_xticks(range(1, len(names) + 1), names, rotation=30, ha="right")
    right.set_ylabel("SI-SDRi (dB)")
    right.grid(axis="y", alpha=0.4)
    save_figure(figure, path)


def cosine_plot(embeddings: Mapping[str, np.ndarray], speakers: Sequence[str], path: Path) -> None:
    """Cosine of all pairs, same speaker against different, one panel a kind of embedding [M, D]."""
    figure = Figure(figsize=(5.5 * len(embeddings), 3.8))
    panels = figure.subplots(1, len(embeddings), squeeze=False)
    for panel, (name, emb) in zip(panels[0], embeddings.items(), strict=True):
        for label, cosines in zip(("same speaker", "different"), pair_cosines(emb, speakers), strict=True):
            panel.hist(cosines, COSINE_BINS, density=True, alpha=0.6, label=label)
        panel.set(title=name, xlabel="cosine", ylabel="density")
        panel.legend(fontsize="small")
    save_figure(figure, path)


def pair_cosines(emb: np.ndarray, speakers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of all same-speaker pairs and of all different-speaker pairs of rows of `emb` [M, D]."""
    unit = normalised(emb).astype(np.float32)
    ids = np.unique(np.asarray(speakers), return_inverse=True)[1]
    same = ids[:, None] == ids
    pairs = np.triu(np.ones_like(same), k=1)
    cosines = unit @ unit.T
    return cosines[pairs & same], cosines[pairs & ~same]


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [0.5, 99.5])
    return float(low) - 1.0, float(high) + 1.0


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
