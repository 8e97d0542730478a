"""Students on mixtures of numbers of talkers that they were not trained on, their heads as they are.

Every number of talkers has a test set. For each: whose talkers the heads cover and what else they give (metrics.sets),
how well what they give groups by speaker, how many talkers are counted, and who is missed, the quiet ones or all alike.
The threshold of cosines comes from the dev sets alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.breakdown import overlap_step
from wesep_mix.inference.heads import HeardSet, hear_sets
from wesep_mix.metrics.clustering import cluster_metrics
from wesep_mix.metrics.intervals import quotient, resampled
from wesep_mix.metrics.sets import NONE, MatchedSet, by_rank, count_confusion, match_set, pair_cosines, quotients
from wesep_mix.metrics.verification import equal_error_threshold, score_equal_error_rate
from wesep_mix.mixing.plan import PLANS, Plan, read_plans
from wesep_mix.models.folder import load_network

DEV, TEST = "dev", "test"


@dataclasses.dataclass(frozen=True)
class Scored:
    """A mixture of a test set.

    Attributes:
        heard: what the student gave.
        matched: whose it is.
        right: talkers whose head is in their speaker's cluster, bool [S].
        counting: whether the student counts talkers.
    """

    heard: HeardSet
    matched: MatchedSet
    right: np.ndarray
    counting: bool

    def counts(self) -> dict[str, float]:
        """Of the matched set and the clusters, for metrics.sets.QUOTIENTS; `exact` where talkers are counted."""
        counts = self.matched.counts()
        counts |= {"right": int(self.right.sum()), "right_covered": int((self.right & self.matched.covered).sum())}
        return counts if self.counting else {name: one for name, one in counts.items() if name != "exact"}


def measure_cardinalities(
    students: Mapping[str, Path],
    teacher: Path,
    sets: Mapping[int, Path],
    seed: int,
    device: str = "cpu",
    batch_size: int = 16,
    num_workers: int = 0,
) -> dict[str, Any]:
    """Measure students, each on all numbers of talkers.

    Args:
        students: model files, by the name under which they are shown.
        teacher: model file.
        sets: by number of talkers the folder that holds `dev` (where there is one) and `test`.
        seed: of k-means and of the bootstrap.
        device: `cpu` or `cuda`.
        batch_size: mixtures.
        num_workers: processes that render mixtures, 0 for none.

    Returns:
        {"seed", "students": {name: from `measure_student`}}, as JSON can hold it.

    Raises:
        UserError: as `measure_student`.
    """
    measured = {
        name: measure_student(path, teacher, sets, seed, device, batch_size, num_workers)
        for name, path in students.items()
    }
    return {"seed": seed, "students": measured}


def measure_student(
    student: Path,
    teacher: Path,
    sets: Mapping[int, Path],
    seed: int,
    device: str = "cpu",
    batch_size: int = 16,
    num_workers: int = 0,
) -> dict[str, Any]:
    """Measure one student on all numbers of talkers.

    Intervals are of 95 %, by bootstrap over mixtures; all students meet the same draws. Clusters and threshold stay as
    they are in it.

    Args:
        student: model file.
        teacher: model file.
        sets: by number of talkers the folder that holds `dev` (where there is one) and `test`.
        seed: of k-means and of the bootstrap.
        device: `cpu` or `cuda`.
        batch_size: mixtures.
        num_workers: processes that render mixtures, 0 for none.

    Returns:
        heads: their number; presence: whether they say if they are active.
        tau, eer: the threshold of cosines and the equal error rate there; dev: the numbers of talkers it is from.
        talkers: {number: {"num": mixtures, each measure of metrics.sets.QUOTIENTS: {"value", "low", "high"} or None,
        "by_loudness": [{"coverage", "cos"} of the loudest, the next...]}}.
        overlap: {number: {step of the mean overlap: the same}}, for two talkers and more.
        counted: {number: mixtures that are counted as 0, 1, ... `heads` talkers}; without presence None.

    Raises:
        UserError: a test set is missing or has other numbers of talkers than it should, no dev set has two talkers, or
            a test set's embeddings cannot be clustered.
    """
    numbers = sorted(sets)
    dev = {number: folder for number in numbers if ((folder := sets[number] / DEV) / PLANS).is_file()}
    test = {number: sets[number] / TEST for number in numbers}
    dev_plans, test_plans = ({number: plans_of(one[number], number) for number in one} for one in (dev, test))
    networks = [load_network(path, kind).to(device) for path, kind in ((teacher, "teachers"), (student, "students"))]
    hear = partial(hear_sets, *networks, batch_size=batch_size, num_workers=num_workers)
    config = networks[1].config
    tau, eer = threshold(
        [one for plans in dev_plans.values() for one in hear(plans)],
        ", ".join(str(sets[number] / DEV) for number in numbers),
    )
    scored = {
        number: score_sets(hear(plans), tau, seed, config.presence, str(test[number]))
        for number, plans in test_plans.items()
    }
    return {
        "heads": config.num_spk,
        "presence": config.presence,
        "tau": tau,
        "eer": eer,
        "dev": list(dev),
        "talkers": {str(number): measures(scored[number], seed, str(number)) for number in numbers},
        "overlap": {str(number): overlap_measures(scored[number], seed) for number in numbers if number > 1},
        "counted": _counted(scored, config.num_spk) if config.presence else None,
    }


def plans_of(folder: Path, num_spk: int) -> list[Plan]:
    """The plans of a set, all of the same number of talkers.

    Args:
        folder: of the set.
        num_spk: that number.

    Returns:
        The plans.

    Raises:
        UserError: the file is missing, empty or damaged, or a mixture has another number.
    """
    plans = read_plans(folder / PLANS)
    wrong = next((plan for plan in plans if len(plan.sources) != num_spk), None)
    if wrong or not plans:
        found = f"{len(wrong.sources)} in {wrong.id}" if wrong else "no mixture at all"
        raise UserError(f"{folder / PLANS}: wanted mixtures of {num_spk} talkers, found {found}; give another folder")
    return plans


def threshold(heard: Sequence[HeardSet], where: str) -> tuple[float, float]:
    """The cosine at which as many heads are refused to their own talker as are taken for another one of the mixture.

    Args:
        heard: mixtures of the dev sets.
        where: the folders of these sets, for the error.

    Returns:
        The threshold, and the equal error rate there.

    Raises:
        UserError: no mixture has two talkers.
    """
    pairs = [pair_cosines(one.found, one.active, one.references) for one in heard]
    own, others = (np.concatenate([pair[place] for pair in pairs] or [np.zeros(0)]) for place in (0, 1))
    if not len(others):
        raise UserError(
            f"threshold of cosines: wanted dev mixtures of two talkers or more, found none in {where}; prepare some "
            "with stage 1"
        )
    same = np.arange(len(own) + len(others)) < len(own)
    return equal_error_threshold(own, others), score_equal_error_rate(np.concatenate([own, others]), same)


def score_sets(heard: Sequence[HeardSet], tau: float, seed: int, counting: bool, where: str) -> list[Scored]:
    """Match the sets of a test set with their talkers, and cluster all that is found.

    The clusters are those of stage 8's Acc, of all talkers that have an active head, covered or not.

    Args:
        heard: the mixtures.
        tau: threshold of cosines.
        seed: of k-means.
        counting: whether the student counts talkers.
        where: the set's folder, for the error.

    Returns:
        The mixtures, scored.

    Raises:
        UserError: the embeddings cannot be clustered.
    """
    matched = [match_set(one.found, one.active, one.references, tau) for one in heard]
    found = [each.head != NONE for each in matched]
    emb = np.concatenate([one.found[each.head[each.head != NONE]] for one, each in zip(heard, matched, strict=True)])
    speakers = np.array([source.spk for one in heard for source in one.plan.sources])[np.concatenate(found)]
    try:
        correct = iter(cluster_metrics(emb, speakers.tolist(), seed)[1].tolist())
    except UserError as err:
        raise UserError(f"{where}: {err}") from err
    right = [np.array([has_head and next(correct) for has_head in each], dtype=bool) for each in found]
    return [Scored(*parts, counting) for parts in zip(heard, matched, right, strict=True)]


def measures(scored: Sequence[Scored], seed: int, *names: str) -> dict[str, Any]:
    """All measures of mixtures of one number of talkers.

    Args:
        scored: the mixtures.
        seed: of the bootstrap.
        *names: what these mixtures are, so that others have other draws.

    Returns:
        As an item of `talkers` of `measure_student`.
    """
    weights = resampled(len(scored), rng_for(seed, "bootstrap", *names))
    ranks = [loudness_ranks(one.heard.plan) for one in scored]
    cos, covered = (
        by_rank(values, ranks)  # [M, S]
        for values in ([one.matched.cos for one in scored], [one.matched.covered for one in scored])
    )
    has_head = np.isfinite(cos)
    by_loudness = [
        {
            "coverage": quotient(covered[:, rank], np.ones(len(scored)), weights),
            "cos": quotient(np.nan_to_num(cos[:, rank]), has_head[:, rank], weights),
        }
        for rank in range(cos.shape[1])
    ]
    whole = quotients([one.counts() for one in scored], weights)
    return {"num": len(scored), **whole, "by_loudness": by_loudness}


def overlap_measures(scored: Sequence[Scored], seed: int) -> dict[str, dict[str, Any]]:
    """The measures by the mean overlap of the mixtures; these are not clustered anew.

    Args:
        scored: mixtures of one number of talkers.
        seed: of the bootstrap.

    Returns:
        {step as evaluation.breakdown names it: measures}.
    """
    groups: dict[str, list[Scored]] = {}
    for one in scored:
        groups.setdefault(overlap_step(one.heard.plan), []).append(one)
    number = str(len(scored[0].heard.plan.sources))
    return {step: measures(groups[step], seed, number, step) for step in sorted(groups)}


def loudness_ranks(plan: Plan) -> np.ndarray:
    """The rank of each talker of a mixture by loudness, 0 for the loudest: int [S]."""
    order = np.argsort([-source.lufs for source in plan.sources], kind="stable")
    return np.argsort(order)


def _counted(scored: Mapping[int, Sequence[Scored]], heads: int) -> dict[str, list[int]]:
    """The confusion of numbers of talkers, a row for each of them."""
    true = [number for number, mixtures in scored.items() for _ in mixtures]
    counted = [int(one.heard.active.sum()) for mixtures in scored.values() for one in mixtures]
    confusion = count_confusion(true, counted, heads)
    return {str(number): confusion[number].tolist() for number in scored}
