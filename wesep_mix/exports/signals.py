"""The signals of an exported mixture, by the names of LibriMix's folders."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import Rendered, render

MixtureKind = Literal["mix_both", "mix_clean", "mix_single"]
MIXTURES: tuple[MixtureKind, ...] = get_args(MixtureKind)


def source_names(num_spk: int) -> list[str]:
    """Names of the sources: s1, s2, ..."""
    return [f"s{number}" for number in range(1, num_spk + 1)]


def exported_length(plan: Plan, mode: str) -> int:
    """Length of an exported mixture.

    Args:
        plan: the mixture.
        mode: `max`: as planned; `min`: to the end of the talker who ends first.

    Returns:
        Samples.

    Raises:
        UserError: a talker would be silent in mode `min`.
    """
    if mode == "max":
        return plan.num_samples
    end = min(source.offset + source.num_samples for source in plan.sources)
    late = next((source for source in plan.sources if source.offset >= end), None)
    if late is not None:
        raise UserError(f"mixture {plan.id}: in mode min it ends before {late.utt} starts; use --mode max")
    return end


def signals(plan: Plan, mode: str) -> dict[str, np.ndarray]:
    """Render the signals of an exported mixture.

    Args:
        plan: the mixture.
        mode: `max` or `min`, see `exported_length`.

    Returns:
        mix_both, mix_clean, mix_single (first talker and noise), s1 ..., noise: float32 [T] each.

    Raises:
        UserError: the plan cannot be rendered.
    """
    end = exported_length(plan, mode)
    whole = render(plan)
    cut = Rendered(whole.mix[:end], whole.sources[:, :end], whole.noise[:end])
    named = {"mix_both": cut.mix, "mix_clean": cut.sources.sum(axis=0), "mix_single": cut.sources[0] + cut.noise}
    return {**named, **dict(zip(source_names(len(cut.sources)), cut.sources, strict=True)), "noise": cut.noise}


def longest_silence(plan: Plan, mode: str) -> int:
    """The longest stretch, at either end of an exported mixture, in which a talker is planned to be silent.

    Args:
        plan: the mixture.
        mode: `max` or `min`, see `exported_length`.

    Returns:
        Samples.
    """
    end = exported_length(plan, mode)
    return max(max(source.offset, end - source.offset - source.num_samples) for source in plan.sources)
