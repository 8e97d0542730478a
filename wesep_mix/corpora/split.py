"""Deterministic shares of a list of names (speakers, noise files) for train, dev and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wesep_mix.errors import UserError
from wesep_mix.seeds import rng_for


@dataclass(frozen=True)
class Split:
    """Shares of dev and test; train has the rest."""

    dev: float = 0.1
    test: float = 0.15

    def __post_init__(self) -> None:
        if self.dev <= 0 or self.test <= 0 or self.dev + self.test >= 1:
            raise ValueError(f"split: wanted positive shares of dev and test, together below 1, found {self}")


def split_names(names: Sequence[str], split: Split, seed: int, what: str) -> dict[str, set[str]]:
    """Split different names into disjoint, non-empty sets "train", "dev", "test", whatever their order.

    Raises: UserError, opening with `what`, when there are too few.
    """
    num_dev = max(1, round(split.dev * len(names)))
    num_test = max(1, round(split.test * len(names)))
    if num_dev + num_test >= len(names):
        raise UserError(f"{what}: wanted at least 3 to split into train, dev and test, found {len(names)}")
    order = rng_for(seed, "split").permutation(sorted(names)).tolist()
    return {
        "dev": set(order[:num_dev]),
        "test": set(order[num_dev : num_dev + num_test]),
        "train": set(order[num_dev + num_test :]),
    }
