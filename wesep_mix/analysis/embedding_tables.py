"""Rows of the embedding table: which embedding belongs to which speaker, and the metrics over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from wesep_mix.analysis.keys import head_keys, lookup, speaker_keys
from wesep_mix.metrics.clustering import clustering_metrics, normalised
from wesep_mix.metrics.verification import equal_error_rate, unfair_groups
from wesep_mix.mixing.plan import Plan, Source

Embeddings = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Labelled:
    """Embeddings and whose they are: row m of `emb` [M, D] is of `sources[m]` in mixture `mixtures[m]`."""

    emb: np.ndarray
    mixtures: list[str]
    sources: list[Source]

    @staticmethod
    def of(plans: Sequence[Plan], sets: Sequence[np.ndarray]) -> Labelled:
        """From one [S, D] a plan, in the order of the plan's sources."""
        pairs = [(plan.id, source) for plan in plans for source in plan.sources]
        return Labelled(np.concatenate(sets), [mix for mix, _ in pairs], [source for _, source in pairs])


def metrics_row(labelled: Labelled, trainable: int, seed: int) -> dict[str, float]:
    """acc, sep, nmi, sil, ari, eer, num and the model's number of trainable parameters."""
    speakers = [source.spk for source in labelled.sources]
    utterances = [source.utt for source in labelled.sources]
    apart = unfair_groups(speakers, labelled.mixtures, utterances)
    eer = equal_error_rate(labelled.emb, speakers, apart)
    clusters = clustering_metrics(labelled.emb, speakers, seed)
    return clusters | {"eer": eer, "num": len(speakers), "trainable": trainable}


def single_table(single: Embeddings, plans: Sequence[Plan]) -> Labelled:
    """The teacher on noisy single speech; `single` is keyed by the plan's id."""
    return Labelled.of(plans, [lookup(single, [plan.id], "single_test/teacher") for plan in plans])


def clean_table(teacher: Embeddings, plans: Sequence[Plan]) -> Labelled:
    """The teacher on the clean sources of the mixtures; `teacher` is keyed `<mix>-<speaker>`."""
    return Labelled.of(plans, [lookup(teacher, speaker_keys(plan), "test/teacher") for plan in plans])


def student_table(student: Embeddings, teacher: Embeddings, plans: Sequence[Plan]) -> Labelled:
    """The student on the mixtures; each head is given to the source that the best assignment finds for it.

    student: keyed `<mix>-<head>`; teacher: keyed `<mix>-<speaker>`, the embeddings of the clean sources.
    """
    heads = [lookup(student, head_keys(plan), "test/student") for plan in plans]
    clean = [lookup(teacher, speaker_keys(plan), "test/teacher") for plan in plans]
    return Labelled.of(plans, [assigned(*pair) for pair in zip(heads, clean, strict=True)])


def assigned(vectors: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Reorder `vectors` [S, D] so that row s goes with `references[s]`: one-to-one, largest cosine sum."""
    cosines = normalised(references) @ normalised(vectors).T  # [S, S]
    return vectors[linear_sum_assignment(cosines, maximize=True)[1]]
