"""A map of embeddings: t-SNE's picture of which lie near each other, every speaker with a marker and a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wesep_mix.metrics.clustering import normalised
from wesep_mix.report.plots import FOR_PAPERS, MARKERS, save_figure

PERPLEXITY = 30.0  # at most; a third of the embeddings where they are few
FEWEST = 5  # embeddings that a map is worth


def tsne_map(emb: np.ndarray, seed: int) -> np.ndarray:
    """Lay embeddings out on a plane so that those near each other stay near (van der Maaten and Hinton 2008).

    Args:
        emb: [M, D].
        seed: of scikit-learn's random numbers.

    Returns:
        float [M, 2]; distances between far ones mean little.
    """
    from sklearn.manifold import TSNE  # takes a second to import

    perplexity = min(PERPLEXITY, (len(emb) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(normalised(emb))


def map_plot(embeddings: Mapping[str, np.ndarray], speakers: Sequence[str], seed: int, path: Path) -> None:
    """Plot a map of each kind of embedding side by side.

    Args:
        embeddings: {title: [M, D]}, M at least FEWEST.
        speakers: of the M embeddings.
        seed: of the maps.
        path: of the PNG.
    """
    figure = Figure(figsize=(5.5 * len(embeddings), 5.2))
    panels = figure.subplots(1, len(embeddings), squeeze=False)
    for panel, (title, emb) in zip(panels[0], embeddings.items(), strict=True):
        _draw(panel, tsne_map(emb, seed), speakers)
        panel.set(title=title, xticks=[], yticks=[])
    save_figure(figure, path, FOR_PAPERS)


def _draw(panel: Axes, places: np.ndarray, speakers: Sequence[str]) -> None:
    """A colour and a marker a speaker, and the name above most of its places."""
    names, owner = sorted(set(speakers)), np.array(speakers)
    for number, name in enumerate(names):
        own = places[owner == name]
        panel.scatter(*own.T, s=22, alpha=0.75, color=f"C{number % 10}", marker=MARKERS[number % len(MARKERS)])
        above = (float(np.median(own[:, 0])), float(np.quantile(own[:, 1], 0.8)))  # of most: one may lie far off
        panel.annotate(name, above, (0, 4), textcoords="offset points", fontsize="x-small", ha="center")
    panel.margins(0.08)
