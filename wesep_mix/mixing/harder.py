"""Noisy single speech made harder to tell apart by voice: the same utterances and noises, shorter and noisier."""

from __future__ import annotations

import dataclasses

from wesep_mix.base.errors import UserError
from wesep_mix.mixing.plan import Plan


def harder(plan: Plan, length_s: float = 0.0, snr_db: float | None = None) -> Plan:
    """The plan with the middle of its speech alone, and at another SNR; the noise begins where it did.

    Its id stays, and with it the trials: what is measured on both is measured on the same pairs.

    Args:
        plan: of single speech.
        length_s: seconds that are left; 0: all.
        snr_db: of speech over noise; None: the plan's own.

    Returns:
        The harder plan.

    Raises:
        UserError: the plan has less speech than that.
    """
    (source,), noise = plan.sources, plan.noise
    size = round(length_s * plan.sample_rate) or source.num_samples
    if size > source.num_samples:
        raise UserError(
            f"{plan.id}: wanted at least {length_s:g} s of speech (embeddings.single.length_s), found "
            f"{source.num_samples / plan.sample_rate:g} s; lower it, or leave it out for all there is"
        )
    start = source.start + round((source.num_samples - size) // 2 * source.speed)
    return dataclasses.replace(
        plan,
        num_samples=size,
        sources=(dataclasses.replace(source, start=start, num_samples=size),),
        noise=dataclasses.replace(noise, snr_db=noise.snr_db if snr_db is None else snr_db),
    )
