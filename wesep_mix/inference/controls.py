"""The conditions of a test of extraction: which network, and which embeddings it is given.

`matched` is the system as meant. The controls show whether the embedding matters: an extractor that does as well with a
wrong or random embedding as with the right one proves nothing about embeddings. `oracle` and the enrolments have the
right talker's embedding from elsewhere than the mixture. `separated` is a separator, which takes no embedding;
`mixture` is the mixture itself, unprocessed.

Pure functions: embeddings in, embeddings out. Tables have the keys `<mix>-<speaker>`; the key names the speaker whose
speech is the reference, whoever's embedding is given.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.io.embeddings import MATCHED, lookup
from wesep_mix.mixing.plan import Plan, speaker_keys

Embeddings = Mapping[str, np.ndarray]  # {key: [D]}
ENROLMENTS = ("enrolment", "enrolment_noisy")  # another utterance of the talker, alone or in noise
CONTROLS = ("none", "wrong", "random", "oracle", *ENROLMENTS)
SEPARATED, MIXTURE = "separated", "mixture"


def model_of(extractor: Path, condition: str) -> Path:
    """The model file of a condition: the controls but for `none` share the network of `matched`.

    Args:
        extractor: folder of the trained extractor or separator.
        condition: `matched`, a control or `separated`.

    Returns:
        The path.
    """
    return extractor / (condition if condition in ("none", SEPARATED) else "matched") / "model.pt"


def control_embeddings(
    control: str, plans: Sequence[Plan], matched: Embeddings, clean: Embeddings, heads: Embeddings, seed: int
) -> dict[str, np.ndarray]:
    """The embeddings that the extractor is given under a control that takes them from stage 4.

    Args:
        control: `wrong`, `random` or `oracle`.
        plans: the test mixtures.
        matched: the student's embeddings, by the speaker that they were matched to.
        clean: embeddings of the clean sources (io.embeddings.clean_scp).
        heads: all of the student's embeddings, keys `<mix>-<head>`.
        seed: of the random choice.

    Returns:
        {`<mix>-<speaker>`: [D]}.

    Raises:
        UserError: an embedding is missing, or there is no other talker or mixture to take one from.
    """
    if control == "oracle":
        return embeddings_of(
            clean, {key: key for plan in plans for key in speaker_keys(plan)}, "embeddings of clean sources"
        )
    if control == "random":
        return embeddings_of(matched, random_keys(plans, seed), MATCHED)
    if control != "wrong":
        raise UserError(f"control: wanted wrong, random or oracle, found {control}")
    others = embeddings_of(matched, wrong_keys(plans), MATCHED)
    mixes = {key: plan.id for plan in plans for key in speaker_keys(plan)}
    return {
        key: other if not np.array_equal(other, matched[key]) else _other_head(mixes[key], key, matched[key], heads)
        for key, other in others.items()
    }


def embeddings_of(embeddings: Embeddings, keys: Mapping[str, str], scp: str) -> dict[str, np.ndarray]:
    """The embedding of `keys[key]` for every key.

    Args:
        embeddings: {key: [D]}.
        keys: {key of the result: key in `embeddings`}.
        scp: file that the embeddings were read from, for messages.

    Returns:
        {key: [D]}.
    """
    return dict(zip(keys, lookup(embeddings, keys.values(), scp), strict=True))


def _other_head(mix: str, key: str, own: np.ndarray, heads: Embeddings) -> np.ndarray:
    """The first head of the mixture with an embedding other than `own`.

    Needed where two talkers share an embedding (matching: nearest): the other talker's is then not wrong.
    """
    for number in itertools.count():
        head = heads.get(f"{mix}-{number}")
        if head is None:
            raise UserError(f"control wrong: {key}: wanted a head of the student with another embedding, found none")
        if not np.array_equal(head, own):
            return head


def wrong_keys(plans: Sequence[Plan]) -> dict[str, str]:
    """For every talker of a mixture the next one in the plan's order; for the last one the first.

    Args:
        plans: the test mixtures.

    Returns:
        {key: key of the other}.

    Raises:
        UserError: a mixture has one talker.
    """
    chosen = {}
    for plan in plans:
        keys = speaker_keys(plan)
        if len(keys) < 2:
            raise UserError(f"control wrong: mixture {plan.id} has one talker, wanted another one to take")
        chosen.update(zip(keys, keys[1:] + keys[:1], strict=True))
    return chosen


def random_keys(plans: Sequence[Plan], seed: int) -> dict[str, str]:
    """For every talker a speaker of another mixture who is not in this one, each such key equally likely.

    Each draw is seeded by its own key, so the order of the plans does not matter.

    Args:
        plans: the test mixtures.
        seed: of the draws.

    Returns:
        {key: key of the other}.

    Raises:
        UserError: no mixture has a talker who is not in this one.
    """
    pool = sorted(
        (key, source.spk, plan.id)
        for plan in plans
        for key, source in zip(speaker_keys(plan), plan.sources, strict=True)
    )
    chosen = {}
    for plan in plans:
        present = {source.spk for source in plan.sources}
        others = [key for key, spk, mix in pool if mix != plan.id and spk not in present]
        if not others:
            raise UserError(f"control random: {len(plans)} mixtures have no talker who is not in {plan.id}")
        for key in speaker_keys(plan):
            chosen[key] = others[rng_for(seed, "random", key).integers(len(others))]
    return chosen
