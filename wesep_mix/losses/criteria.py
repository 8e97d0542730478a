"""Names of the ways in which a student's embeddings are matched to talkers (losses.set_matching.match).

assignment: the best for all talkers of a mixture together, so that no two share an embedding. nearest: for each talker
the embedding of largest cosine, which may be another's as well (arXiv 2604.03219, section on extractors).
"""

from __future__ import annotations

CRITERIA = ("assignment", "nearest")


def check_criterion(name: str) -> None:
    """Raises: ValueError for another name."""
    if name not in CRITERIA:
        raise ValueError(f"matching: wanted one of {', '.join(CRITERIA)}, found {name}")
