"""Work of an analysis on mixtures, in groups that a network is loaded for once: here, in processes, or in jobs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

from wesep_mix.base.jobs import wrapper
from wesep_mix.base.parallel import map_items
from wesep_mix.mixing.plan import Plan

T = TypeVar("T")
GROUP = 10  # mixtures, for which a process loads the network


def in_groups(
    find: Callable[[Sequence[Plan]], list[T]], plans: Sequence[Plan], title: str, device: str, nj: int
) -> list[T]:
    """What is found of all mixtures, in their order.

    Args:
        find: of some mixtures; can be sent to another process.
        plans: the mixtures.
        title: of the progress bar.
        device: `cpu`, or `cuda`, which one process has at a time.
        nj: processes or, with WESEP_MIX_CMD, jobs of a cluster.

    Returns:
        All that was found.
    """
    groups = [plans[first : first + GROUP] for first in range(0, len(plans), GROUP)]
    found = map_items(find, groups, nj if device == "cpu" or wrapper() else 1, title)
    return list(itertools.chain.from_iterable(each for _, each in found))
