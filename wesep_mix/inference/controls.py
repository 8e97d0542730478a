"""Which embedding the extractor is given in each control. Pure functions: embeddings in, embeddings out.

An extractor that does as well with a wrong or random embedding as with the right one proves nothing about
embeddings. All tables are keyed `<mix>-<speaker>`: the key names the speaker whose speech is the reference.

The conditions of an extraction test: which model, which embeddings; all extracted and scored alike.

The condition `separated` is that of a separator, which takes no embedding.
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

Embeddings = Mapping[str, np.ndarray]
CONTROLS = ("none", "wrong", "random", "oracle")
SEPARATED, MIXTURE = "separated", "mixture"  # conditions beside them: a separator's outputs, nothing done at all


def model_of(extractor: Path, condition: str) -> Path:
    """The model file of a condition: the controls share the network of `matched`, but for `none`."""
    return extractor / (condition if condition in ("none", SEPARATED) else "matched") / "model.pt"


def control_embeddings(
    control: str, plans: Sequence[Plan], matched: Embeddings, clean: Embeddings, heads: Embeddings, seed: int
) -> dict[str, np.ndarray]:
    """The embeddings {`<mix>-<speaker>`: [D]} that a control conditions on, any but `none`.

    matched: the student's, by the speaker they were matched to; clean: those of the clean sources
    (io.embeddings.clean_scp); heads: all of the student's, `<mix>-<head>`.
    Raises: UserError when an embedding is missing, or there is no other talker or mixture to take one from.
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
    return {key: _unlike(key, other, matched[key], heads) for key, other in others.items()}


def embeddings_of(embeddings: Embeddings, keys: Mapping[str, str], scp: str) -> dict[str, np.ndarray]:
    """The embedding of `keys[key]` for every key; scp: as for `lookup`."""
    return dict(zip(keys, lookup(embeddings, keys.values(), scp), strict=True))


def _unlike(key: str, other: np.ndarray, own: np.ndarray, heads: Embeddings) -> np.ndarray:
    """The other talker's embedding; where both talkers share one (matching: nearest), that of the first other head."""
    if not np.array_equal(other, own):
        return other
    mix = key.rpartition("-")[0]
    for place in itertools.count():
        head = heads.get(f"{mix}-{place}")
        if head is None:
            raise UserError(f"control wrong: {key}: wanted a head of the student that says something else, found none")
        if not np.array_equal(head, own):
            return head


def wrong_keys(plans: Sequence[Plan]) -> dict[str, str]:
    """For every speaker of a mixture the next other talker of it, in the plan's order and around its end."""
    chosen = {}
    for plan in plans:
        keys = speaker_keys(plan)
        if len(keys) < 2:
            raise UserError(f"control wrong: mixture {plan.id} has one talker, wanted another one to take")
        chosen.update(zip(keys, keys[1:] + keys[:1], strict=True))
    return chosen


def random_keys(plans: Sequence[Plan], seed: int) -> dict[str, str]:
    """For every speaker one of another mixture who is not in this one, each such key equally likely.

    Each draw is seeded by its own key, so the order of the plans does not matter.
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
