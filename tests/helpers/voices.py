"""Synthetic talkers for memories: directions on a sphere, and the embeddings around them that heads would give."""

import numpy as np

DIM, HOP_S, SPREAD = 64, 2.5, 1.45  # the spread gives d' 2.8 between cosines of the same and of other talkers


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class Voices:
    """Talkers who may be heard: `window(3, 0)` is one in which talkers 3 and 0 speak, and one head that does not."""

    def __init__(self, count, seed=0, spread=SPREAD):
        self.rng, self.spread = np.random.default_rng(seed), spread
        self.centres = unit(self.rng.standard_normal((count, DIM)))

    def window(self, *talkers, heads=3):
        noise = self.rng.standard_normal((heads, DIM)) / np.sqrt(DIM)
        found = noise
        found[: len(talkers)] = self.centres[list(talkers)] + self.spread * noise[: len(talkers)]
        presence = np.where(np.arange(heads) < len(talkers), 0.9, 0.1)
        return unit(found), presence


def hear(memory, voices, turns, start=0):
    """{talker: its labels} over windows in which `turns` speak."""
    labels = {}
    for place, talkers in enumerate(turns):
        answer = memory.observe(*voices.window(*talkers), (start + place) * HOP_S)
        for talker, label in zip(talkers, answer.labels, strict=False):
            labels.setdefault(talker, []).append(label)
    return labels
