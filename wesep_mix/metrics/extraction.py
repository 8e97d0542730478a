"""Whether an estimate is the target's at all: questions whose answers become shares of a test set.

A mean of SI-SDRi hides them: one estimate of another talker in ten pulls it down as a little less quality of all does.
"""

from __future__ import annotations

from collections.abc import Sequence

EXTRACTED_DB = 1.0  # of SI-SDRi, above which an estimate counts as extracted


def is_extracted(improvement: float) -> bool:
    """Whether the target came out; the share of such estimates is the *extraction accuracy*.

    Args:
        improvement: SI-SDRi of the estimate, dB.

    Returns:
        Whether it is above 1 dB.
    """
    return improvement > EXTRACTED_DB


def is_wrong_talker(ratios: Sequence[float], target: int) -> bool:
    """Whether the estimate is another talker's; the share of such estimates is the *wrong-talker rate*.

    Args:
        ratios: SI-SDR of the estimate against each talker of the mixture, dB.
        target: place of the target's among them.

    Returns:
        Whether another talker's is above the target's; never in a mixture of one talker.
    """
    return any(ratio > ratios[target] for ratio in ratios)
