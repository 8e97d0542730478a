"""A row of the embedding table: which embedding belongs to which speaker, and the metrics over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from wesep_mix.base.errors import UserError
from wesep_mix.io.embeddings import TEACHER, lookup
from wesep_mix.metrics.clustering import judged_clusters, normalised
from wesep_mix.metrics.verification import min_dcf, pair_scores, score_equal_error_rate
from wesep_mix.mixing.plan import Plan, Source, single_keys, speaker_keys
from wesep_mix.mixing.trials import Trials

Embeddings = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Labelled:
    """Embeddings and whose they are: row m of `emb` [M, D] is of `sources[m]` in the mixture `plans[m]`."""

    emb: np.ndarray
    keys: list[str]
    plans: list[Plan]
    sources: list[Source]

    @staticmethod
    def of(plans: Sequence[Plan], sets: Sequence[np.ndarray]) -> Labelled:
        """From one [S, D] a plan, in the order of the plan's sources."""
        keys = [key for plan in plans for key in speaker_keys(plan)]
        pairs = [(plan, source) for plan in plans for source in plan.sources]
        return Labelled(np.concatenate(sets), keys, [plan for plan, _ in pairs], [source for _, source in pairs])


@dataclass(frozen=True)
class Judged:
    """A row of the table, and what it says of each embedding: in its speaker's cluster or not, cosine to a reference.

    correct: bool [M]; cos: [M], None where the row has no reference of its own; counted: by mixture, whether its number
    of talkers was told right, None where it was not told.
    """

    labelled: Labelled
    metrics: dict[str, float]
    correct: np.ndarray
    cos: np.ndarray | None = None
    counted: Mapping[str, bool] | None = None


def judge(
    labelled: Labelled, trials: Trials, trainable: int, seed: int, references: Embeddings | None = None
) -> Judged:
    """acc, sep, nmi, sil, ari over all embeddings; eer, min_dcf over the trials whose two embeddings are there; num.

    trainable: the model's number of trainable parameters, passed on; references: by key, `cos` is then the mean cosine
    of the embeddings to them. Raises: UserError when a reference is missing, or the embeddings allow no metrics.
    """
    metrics, correct = judged_clusters(labelled.emb, [source.spk for source in labelled.sources], seed)
    pairs, same = trials.among(labelled.keys)
    scores = pair_scores(labelled.emb, pairs)
    metrics |= {
        "eer": score_equal_error_rate(scores, same),
        "min_dcf": min_dcf(scores, same),
        "num": len(labelled.keys),
        "trainable": trainable,
    }
    if references is None:
        return Judged(labelled, metrics, correct)
    wanted = lookup(references, labelled.keys, f"test/{TEACHER}")
    cos = (normalised(labelled.emb) * normalised(wanted)).sum(axis=1)
    return Judged(labelled, metrics | {"cos": float(cos.mean())}, correct, cos)


def single_table(single: Embeddings, plans: Sequence[Plan]) -> Labelled:
    """The teacher on noisy single speech; `single` is keyed by the plan's id."""
    keys = [key for plan in plans for key in single_keys(plan)]
    emb = lookup(single, keys, f"single_test/{TEACHER}")
    return Labelled(emb, keys, list(plans), [plan.sources[0] for plan in plans])


def clean_table(teacher: Embeddings, plans: Sequence[Plan]) -> Labelled:
    """The teacher on the clean sources of the mixtures; `teacher` is keyed `<mix>-<speaker>`."""
    return Labelled.of(plans, [lookup(teacher, speaker_keys(plan), f"test/{TEACHER}") for plan in plans])


def student_table(matched: Embeddings, plans: Sequence[Plan]) -> Labelled:
    """The student on the mixtures: what stage 4 matched to each talker, keyed `<mix>-<speaker>`.

    Talkers who got no head have no key and are left out. Raises: UserError when that is everybody.
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
    """Reorder `vectors` [S, D] so that row s goes with `references[s]`: one-to-one, largest cosine sum."""
    cosines = normalised(references) @ normalised(vectors).T  # [S, S]
    return vectors[linear_sum_assignment(cosines, maximize=True)[1]]
