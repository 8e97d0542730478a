"""Whether a space of embeddings holds over a session: its talkers apart, and where they were in the beginning.

W windows, N heads, K talkers, D embedding size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wesep_mix.evaluation.tracking import Case
from wesep_mix.evaluation.tracks import Track, named
from wesep_mix.memory.observing import NOBODY
from wesep_mix.metrics.clustering import cluster_metrics
from wesep_mix.metrics.tracking import one_to_one
from wesep_mix.metrics.verification import score_equal_error_rate


def space(case: Case) -> dict[str, Any]:
    """How well the talkers of a session are apart in what was heard, without any memory.

    Args:
        case: of an ear whose embeddings are in the teacher's space.

    Returns:
        {"session", "regime", "num_talkers", "acc", "nmi", "eer", "cos", "num"} of the heads that are some talker's.
        Accuracy and normalised mutual information are k-means's; the equal error rate is that of cosines between
        windows; "cos" is the mean cosine to the teacher's embedding of the clean voice. They are None where fewer than
        two talkers have heads, or each has one.
    """
    names = named(case.windows, case.references)
    places, heads = np.nonzero(names != NOBODY)
    emb, talkers = case.windows.embeddings[places, heads], names[places, heads]
    clean = case.references[places, talkers]
    row = {"session": case.session.id, "regime": case.session.regime, "num_talkers": len(case.session.talkers)}
    nothing = dict.fromkeys(("acc", "nmi", "eer", "cos"))
    if not 1 < len(np.unique(talkers)) < len(talkers):
        return {**row, **nothing, "num": len(emb)}
    metrics, _ = cluster_metrics(emb, [str(talker) for talker in talkers])
    unit = emb / np.linalg.norm(emb, axis=1, keepdims=True)
    pairs = np.triu(places[:, None] != places, k=1)
    scores, same = (unit @ unit.T)[pairs], (talkers[:, None] == talkers)[pairs]
    return {
        **row,
        "acc": metrics["acc"],
        "nmi": metrics["nmi"],
        "eer": float(score_equal_error_rate(scores, same)) if same.any() and not same.all() else None,
        "cos": float(((unit * clean).sum(1) / np.linalg.norm(clean, axis=1)).mean()),
        "num": len(emb),
    }


def drift(case: Case, track: Track) -> list[dict[str, Any]]:
    """How near each talker's slot stays to the talker.

    Args:
        case: the session.
        track: of a memory, with its means.

    Returns:
        A row a talker with a slot: {"session", "regime", "talker", "before", "after"}, the mean cosine of the slot's
        embedding to the mean of the teacher's embeddings of the clean voice, over the session's first and second half;
        None where it has no slot then.
    """
    slots, middle, rows = track.slots(), case.session.num_samples / 2, []
    late = case.windows.starts + case.windows.size / 2 > middle
    for talker, place in enumerate(one_to_one(case.truth, track.active())):
        own = case.references[:, talker][np.isfinite(case.references[:, talker, 0])]
        if place < 0 or not len(own):
            continue
        voice = own.mean(0) / np.linalg.norm(own.mean(0))
        means = [means.get(slots[place]) for means in track.means]
        cosines = np.array([np.nan if mean is None else float(mean @ voice) for mean in means])
        rows.append(
            {
                "session": case.session.id,
                "regime": case.session.regime,
                "talker": case.session.talkers[talker],
                "before": _mean(cosines[~late]),
                "after": _mean(cosines[late]),
            }
        )
    return rows


def _mean(values: np.ndarray) -> float | None:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else None
