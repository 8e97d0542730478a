"""What the number of a table's row is made of, mixture by mixture, so that rows can be compared over draws of speakers.

Every such number is a sum over talkers divided by another one: Acc is the embeddings in their speaker's cluster over
all embeddings, SI-SDRi the sum of the talkers' over their number. The report and the paper's tables compare rows by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wesep_mix.base.seeds import rng_for
from wesep_mix.metrics.intervals import quotient_difference, resampled_by_speaker


@dataclass(frozen=True)
class Outcomes:
    """A row's number for one seed.

    Attributes:
        speakers: {mixture: its speakers}. Mixtures of other numbers of speakers have other names.
        over: {mixture: what its talkers add above the line}.
        under: {mixture: what they add below it}.
    """

    speakers: Mapping[str, tuple[str, ...]]
    over: Mapping[str, float]
    under: Mapping[str, float]

    @staticmethod
    def of(speakers: Mapping[str, Sequence[str]], talkers: Iterable[tuple[str, float, float]]) -> Outcomes:
        """Add up the talkers of each mixture.

        Args:
            speakers: of each mixture.
            talkers: the mixture of each, and what they add above and below the line.

        Returns:
            The sums.
        """
        names = {mix: f"{len(members)}/{mix}" for mix, members in speakers.items()}
        over, under = (dict.fromkeys(names.values(), 0.0) for _ in range(2))
        for mix, above, below in talkers:
            over[names[mix]] += above
            under[names[mix]] += below
        return Outcomes({names[mix]: tuple(members) for mix, members in speakers.items()}, over, under)


@dataclass(frozen=True)
class Ahead:
    """One row beside another.

    Attributes:
        difference: the first's number minus the second's, `value`, and its interval, `low` and `high`.
        mixtures: how many each was tested on.
        speakers: how many those mixtures have.
        paired: whether they are the same.
    """

    difference: dict[str, float]
    mixtures: tuple[int, int]
    speakers: int
    paired: bool


def right_outcomes(talkers: Mapping[str, Mapping[str, bool | None]]) -> Outcomes:
    """A row of embeddings: those in their speaker's cluster, of all embeddings.

    Args:
        talkers: {mixture: {speaker: right, wrong or, without an embedding, None}} (Judged.by_talker).

    Returns:
        The sums.
    """
    each = ((mix, right is True, right is not None) for mix, names in talkers.items() for right in names.values())
    return Outcomes.of({mix: tuple(names) for mix, names in talkers.items()}, each)


def score_outcomes(
    speakers: Mapping[str, Sequence[str]], rows: Iterable[Mapping[str, Any]], metric: str = "si_sdri"
) -> Outcomes:
    """A row of extracted speech: the sum of a metric of its targets, and their number.

    Args:
        speakers: of each mixture, also those that are no targets.
        rows: {mix, metric} of each target.
        metric: the wanted one.

    Returns:
        The sums.
    """
    return Outcomes.of(speakers, ((row["mix"], row[metric], 1) for row in rows))


def compare_rows(first: Sequence[Outcomes], second: Sequence[Outcomes]) -> Ahead | None:
    """By how much the mean over seeds of a row's number is above that of another, with a 95 % interval.

    Speakers are drawn, the same ones for both rows and all seeds (metrics.intervals.resampled_by_speaker). Two rows
    that were tested on other mixtures are not paired; only what both owe to their speakers cancels out.

    Args:
        first: of the row, one a seed.
        second: of the other row.

    Returns:
        The difference; None where the mixtures of a row all have the same speakers, so that drawing them tells nothing.
    """
    tested = [{mix: names for one in row for mix, names in one.speakers.items()} for row in (first, second)]
    if any(len({frozenset(names) for names in own.values()}) < 2 for own in tested):
        return None
    speakers = tested[0] | tested[1]
    weights = resampled_by_speaker(list(speakers.values()), rng_for(0, "ahead"))
    difference = quotient_difference(_sums(first, speakers), _sums(second, speakers), weights)
    if difference is None:
        return None
    mixtures = (len(tested[0]), len(tested[1]))
    return Ahead(difference, mixtures, len(set().union(*speakers.values())), tested[0].keys() == tested[1].keys())


def _sums(row: Sequence[Outcomes], mixtures: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """What is above the line and what is below it, [seeds, mixtures] each; 0 of a mixture that is not the row's."""
    over, under = (
        np.array([[part.get(mix, 0) for mix in mixtures] for part in parts])
        for parts in ([one.over for one in row], [one.under for one in row])
    )
    return over, under
