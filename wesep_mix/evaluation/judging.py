"""A row of the table of embeddings: which embedding belongs to which speaker, and the metrics over all of them.

`Labelled` is what goes in, one function a kind of row; `judge` gives a `Judged`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from wesep_mix.base.errors import UserError
from wesep_mix.io.embeddings import TEACHER, lookup
from wesep_mix.metrics.clustering import cluster_metrics, normalised
from wesep_mix.metrics.sets import share
from wesep_mix.metrics.verification import min_dcf, pair_scores, score_equal_error_rate
from wesep_mix.mixing.plan import Plan, Source, single_keys, speaker_keys
from wesep_mix.mixing.trials import Trials

Embeddings = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Labelled:
    """M embeddings and whose they are.

    Attributes:
        emb: float [M, D].
        keys: of each in the file it was read from.
        plans: the mixture of each.
        sources: the source of its mixture that each is of.
    """

    emb: np.ndarray
    keys: list[str]
    plans: list[Plan]
    sources: list[Source]

    @staticmethod
    def of(plans: Sequence[Plan], sets: Sequence[np.ndarray]) -> Labelled:
        """Label the embeddings of whole mixtures.

        Args:
            plans: the mixtures.
            sets: embeddings of each, [S, D] in the order of its sources.

        Returns:
            All of them.
        """
        keys = [key for plan in plans for key in speaker_keys(plan)]
        pairs = [(plan, source) for plan in plans for source in plan.sources]
        return Labelled(np.concatenate(sets), keys, [plan for plan, _ in pairs], [source for _, source in pairs])


@dataclass(frozen=True)
class Judged:
    """A row of the table, and what the breakdown needs of each embedding.

    Attributes:
        labelled: the embeddings.
        metrics: of the row.
        correct: whether each is in its speaker's cluster, bool [M].
        cos: cosine of each to its reference, [M]; None for a row without references.
        counts_right: by mixture, whether the student counted its talkers right; None where it does not count.
    """

    labelled: Labelled
    metrics: dict[str, float]
    correct: np.ndarray
    cos: np.ndarray | None = None
    counts_right: Mapping[str, bool] | None = None

    def by_talker(self, plans: Sequence[Plan]) -> dict[str, dict[str, bool | None]]:
        """Whose embedding is in the right cluster.

        Args:
            plans: the test set.

        Returns:
            {mixture: {speaker: whether it is; None for a talker without an embedding}}.
        """
        labelled = zip(self.labelled.plans, self.labelled.sources, self.correct.tolist(), strict=True)
        right = {(plan.id, source.spk): one for plan, source, one in labelled}
        return {plan.id: {source.spk: right.get((plan.id, source.spk)) for source in plan.sources} for plan in plans}


def judge(
    labelled: Labelled,
    trials: Trials,
    trainable: int,
    seed: int,
    references: Embeddings | None = None,
    missing: int = 0,
) -> Judged:
    """Compute the metrics of a row: acc, acc_all, sep, nmi, sil, ari, eer, min_dcf, num, trainable.

    Args:
        labelled: the embeddings.
        trials: for eer and min_dcf; those of embeddings that are not there are left out.
        trainable: number of parameters that training changed, passed on.
        seed: of k-means.
        references: by key; with them the metrics have `cos` too, the mean cosine of the embeddings to them.
        missing: talkers without an embedding, whom acc leaves out and acc_all counts as wrong.

    Returns:
        The row.

    Raises:
        UserError: a reference is missing, or the embeddings are too few or not finite.
    """
    metrics, correct = cluster_metrics(labelled.emb, [source.spk for source in labelled.sources], seed)
    pairs, same = trials.among(labelled.keys)
    scores = pair_scores(labelled.emb, pairs)
    found = len(labelled.keys)
    metrics |= {
        "acc_all": share("acc_all", {"right": int(correct.sum()), "talkers": found + missing}),
        "eer": score_equal_error_rate(scores, same),
        "min_dcf": min_dcf(scores, same),
        "num": found,
        "trainable": trainable,
    }
    if references is None:
        return Judged(labelled, metrics, correct)
    wanted = lookup(references, labelled.keys, f"test/{TEACHER}")
    cos = (normalised(labelled.emb) * normalised(wanted)).sum(axis=1)
    return Judged(labelled, metrics | {"cos": float(cos.mean())}, correct, cos)


def single_table(single: Embeddings, plans: Sequence[Plan]) -> Labelled:
    """The teacher's embeddings of noisy single speech.

    Args:
        single: by the plan's id.
        plans: of the single speech.

    Returns:
        All of them.
    """
    keys = [key for plan in plans for key in single_keys(plan)]
    emb = lookup(single, keys, f"single_test/{TEACHER}")
    return Labelled(emb, keys, list(plans), [plan.sources[0] for plan in plans])


def clean_table(teacher: Embeddings, plans: Sequence[Plan]) -> Labelled:
    """The teacher's embeddings of the mixtures' clean sources.

    Args:
        teacher: by `<mix>-<speaker>`.
        plans: the mixtures.

    Returns:
        All of them.
    """
    return Labelled.of(plans, [lookup(teacher, speaker_keys(plan), f"test/{TEACHER}") for plan in plans])


def student_table(matched: Embeddings, plans: Sequence[Plan]) -> Labelled:
    """The student's embeddings of the mixtures.

    Args:
        matched: the embedding that stage 4 matched to each talker, by `<mix>-<speaker>`; talkers without a head have
            none.
        plans: the mixtures.

    Returns:
        Those of all talkers who have one.

    Raises:
        UserError: no talker has one.
    """
    rows = [
        (key, plan, source)
        for plan in plans
        for key, source in zip(speaker_keys(plan), plan.sources, strict=True)
        if key in matched
    ]
    if not rows:
        raise UserError(
            f"test/matched.scp: none of its {len(matched)} embeddings is of a talker of the {len(plans)} "
            "mixtures; redo stage 4"
        )
    keys, found, sources = (list(column) for column in zip(*rows, strict=True))
    return Labelled(np.stack([matched[key] for key in keys]), keys, found, sources)


def assigned(vectors: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Match vectors one-to-one with references, by the largest sum of cosines.

    Args:
        vectors: [S, D].
        references: [S, D].

    Returns:
        The vectors in the order of their references.
    """
    cosines = normalised(references) @ normalised(vectors).T  # [S, S]
    return vectors[linear_sum_assignment(cosines, maximize=True)[1]]
