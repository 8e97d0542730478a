"""Recordings whose talkers are known, to measure a model's folder as people use it.

A conversation is a few mixtures of the same talkers in a row, each of other utterances, order, levels and noise, drawn
as those of training are (mixing.draw). The model is given its samples alone, like a recording of one's own.

S talkers, T samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from wesep_mix.base.seeds import rng_for
from wesep_mix.mixing.draw import Pool, draw_enrolment, plan_of
from wesep_mix.mixing.plan import Plan, Source
from wesep_mix.mixing.render import Rendered, render, render_source

CLEAN_DB = 100.0  # SNR of a noise that is not heard


@dataclass(frozen=True)
class Conversation:
    """A few mixtures of the same talkers in a row.

    Attributes:
        plans: the mixtures, each with all talkers.
        talkers: their names, sorted.
        enrolments: other speech of each.
    """

    plans: tuple[Plan, ...]
    talkers: tuple[str, ...]
    enrolments: tuple[Source, ...]


def draw_conversations(
    pool: Pool, num_spk: int, rounds: Sequence[int], count: int, noisy: bool, seed: int
) -> list[Conversation]:
    """Draw conversations of different speakers.

    Args:
        pool: what can be mixed.
        num_spk: talkers in each.
        rounds: how many mixtures in a row; conversations take these in turn.
        count: how many conversations.
        noisy: with the noise that is drawn, else as good as without.
        seed: of the draw.

    Returns:
        The conversations; the same ones, but for the noise's level, with and without noise.
    """
    return [
        _draw(pool, num_spk, rounds[place % len(rounds)], noisy, rng_for(seed, "conversation", num_spk, place))
        for place in range(count)
    ]


def _draw(pool: Pool, num_spk: int, rounds: int, noisy: bool, rng: np.random.Generator) -> Conversation:
    chosen = rng.choice(len(pool.speakers), size=num_spk, replace=False)
    talkers = sorted(pool.speakers[place] for place in chosen)
    plans = []
    for _ in range(rounds):
        order = [talkers[place] for place in rng.permutation(num_spk)]
        entries = [pool.speech[talker][int(rng.integers(len(pool.speech[talker])))] for talker in order]
        plan = plan_of(entries, pool, rng, best_crop=False)
        quiet = dataclasses.replace(plan.noise, snr_db=CLEAN_DB)
        plans.append(plan if noisy else dataclasses.replace(plan, noise=quiet))
    first = {source.spk: source for source in plans[0].sources}
    enrolments = tuple(draw_enrolment(pool, first[talker], rng) for talker in talkers)
    return Conversation(tuple(plans), tuple(talkers), enrolments)


def rendered(
    conversation: Conversation, effect: Callable[[Rendered], Rendered] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The samples of a conversation.

    Args:
        conversation: of S talkers.
        effect: what happens to each of its mixtures (mixing.effects); None: nothing.

    Returns:
        The mixture, float32 [T], and each talker alone, float32 [S, T], in the order of `talkers`.
    """
    parts = []
    for plan in conversation.plans:
        audio = render(plan) if effect is None else effect(render(plan))
        places = [[source.spk for source in plan.sources].index(talker) for talker in conversation.talkers]
        parts.append((audio.mix, audio.sources[places]))
    return np.concatenate([mix for mix, _ in parts]), np.concatenate([sources for _, sources in parts], axis=1)


def enrolled(conversation: Conversation) -> list[np.ndarray]:
    """Other speech of each talker, float32 [any number of samples]."""
    return [render_source(source, conversation.plans[0].sample_rate) for source in conversation.enrolments]
