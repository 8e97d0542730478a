"""The second half of stage 1: lists -> fixed plans of every set, as plain text; no mixture audio is written.

Stage 1's folders are parts (base.stage): here stands which settings define the content of each.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from wesep_mix.base import config
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json, write_json
from wesep_mix.base.names import SETS, bytes_of_file
from wesep_mix.base.seeds import rng_for
from wesep_mix.base.stage import Need, Part
from wesep_mix.io.roots import name_corpus
from wesep_mix.mixing.draw import Pool, check_enough_speakers, plan_of
from wesep_mix.mixing.grouping import draw_groups
from wesep_mix.mixing.librimix import Rules, plans_of, read_lists
from wesep_mix.mixing.plan import PLANS, Plan, write_plans
from wesep_mix.preparation.lists import SpeechEntry, copy_lists, read_noises, read_speech, read_unused
from wesep_mix.preparation.relocation import as_made
from wesep_mix.preparation.settings import CorpusConfig, MixingConfig

MIXING = "mixing.json"
LISTING = ("segment_s", "max_crops")  # settings of `mixing` that the lists depend on
SINGLE = ("seed", "mixing", "single", "single_noise")  # settings that the single-speaker plans depend on
MIXTURES = ("seed", "mixing", "mixtures", "metadata_dir", "short", "max_bad")


def lists_part(corpus: Path, settings: Mapping[str, Any], now: Mapping[str, str]) -> Part:
    """The lists of a corpus as a part of stage 1.

    `max_bad` does not define them: if it is raised, the run goes on with what was examined, and finished lists stay.

    Args:
        corpus: the lists' folder.
        settings: conf/corpus.yaml as plain values.
        now: where the corpus lies now (preparation.relocation.folders_now).

    Returns:
        The part.
    """
    mixing = {key: settings["mixing"][key] for key in LISTING}
    return Part(1, "lists", corpus, as_made({"corpus": settings["corpus"], "mixing": mixing}, corpus, now))


def plans_part(
    folder: Path, num_spk: int, settings: Mapping[str, Any], keys: Sequence[str], corpus: Path, now: Mapping[str, str]
) -> Part:
    """The plans of one kind of mixtures as a part of stage 1.

    Args:
        folder: where they are written.
        num_spk: talkers in a mixture.
        settings: conf/corpus.yaml as plain values.
        keys: the settings that define the plans: SINGLE or MIXTURES.
        corpus: the lists' folder.
        now: where the corpus lies now.

    Returns:
        The part.
    """
    title = f"plans, {num_spk} talker{'s' * (num_spk > 1)}"
    own = {key: settings[key] for key in keys} | {"num_spk": num_spk}
    return Part(1, title, folder, as_made(own, folder, now), [Need(corpus, 1)])


def refuse_others(part: Part, config: Path) -> None:
    """Refuse to redo a folder that belongs to another recipe.

    Args:
        part: a shared part of stage 1.
        config: this recipe's corpus.yaml, for the error.

    Raises:
        UserError: the folder was made with other settings.
    """
    if part.is_other():
        raise UserError(
            f"{part.out} was made with other settings than those of {config}, and both recipes share it; give them the "
            "same settings, or make it anew with the recipe that it belongs to"
        )


def prepare_plans(settings: CorpusConfig, lists: Path, folder: Path, num_spk: int) -> None:
    """Write lists and fixed plans of every set.

    Args:
        settings: conf/corpus.yaml.
        lists: the corpus's lists, a folder for each set.
        folder: where to write.
        num_spk: talkers in a mixture; 1: the single-speaker noisy set.

    Raises:
        UserError: a set has too few speakers, or no noise of the wanted kind; official lists are missing, damaged, or
            of another corpus.
    """
    pools = {name: _pool(lists / name, settings.mixing) for name in SETS}
    if num_spk == 1:
        pools = {name: _with_single_noise(pool, settings, f"{lists / name}", name) for name, pool in pools.items()}
    for name, pool in pools.items():
        check_enough_speakers(pool, num_spk, f"{lists / name}")
    plans = {name: _plans(pool, lists / name, settings, num_spk, name) for name, pool in pools.items()}
    _check_names(folder, [plan for own in plans.values() for plan in own])
    write_json(folder / MIXING, config.to_dict(settings.mixing))
    name_corpus(folder, lists.parent)
    for name, pool in pools.items():
        copy_lists(lists / name, folder / name, pool.noises)
        write_plans(folder / name / PLANS, plans[name])


def load_pool(folder: Path) -> Pool:
    """What can be mixed in a prepared set, and how its plans were drawn, so that more can be drawn."""
    mixing = config.from_dict(MixingConfig, read_json(folder.parent / MIXING), str(folder.parent / MIXING))
    return _pool(folder, mixing)


def _check_names(folder: Path, plans: Sequence[Plan]) -> None:
    """Raises: UserError if this disk takes only file names that are too short for a mixture's files."""
    folder.mkdir(parents=True, exist_ok=True)
    limit = os.pathconf(folder, "PC_NAME_MAX")
    sizes = {plan.id: bytes_of_file(plan.id, [source.spk for source in plan.sources]) for plan in plans}
    longest = max(sizes, key=sizes.__getitem__)
    if sizes[longest] > limit:
        raise UserError(
            f"{folder}: wanted a disk that takes file names of {sizes[longest]} bytes (mixture {longest}), "
            f"found one that takes {limit}; use another --data_dir and --exp_dir, or shorter names"
        )


def _pool(folder: Path, mixing: MixingConfig) -> Pool:
    return Pool.of(read_speech(folder), read_noises(folder), mixing)


def _with_single_noise(pool: Pool, settings: CorpusConfig, where: str, name: str) -> Pool:
    """The pool, with only the noises that the single-speaker set of that name takes."""
    kinds = settings.single_noise.get(name)
    if kinds is None:
        return pool
    noises = [noise for noise in pool.noises if any(PurePosixPath(noise.kind).is_relative_to(kind) for kind in kinds)]
    if not noises:
        found = ", ".join(sorted({noise.kind for noise in pool.noises}))
        raise UserError(f"{where}: wanted noise of kind {', '.join(kinds)} (single_noise: {name}), found {found}")
    return dataclasses.replace(pool, noises=noises)


def _plans(pool: Pool, lists: Path, settings: CorpusConfig, num_spk: int, name: str) -> list[Plan]:
    if num_spk == 1:
        return _single_plans(pool, settings.single[name], settings.seed, name)
    if settings.metadata_dir:
        return _official_plans(pool, lists, settings, num_spk, name)
    return _mixture_plans(pool, num_spk, settings.mixtures[name], settings.seed, name)


def _official_plans(pool: Pool, lists: Path, settings: CorpusConfig, num_spk: int, name: str) -> list[Plan]:
    subsets = getattr(settings.corpus, "subsets", {})
    if not subsets:
        raise UserError(
            f"metadata_dir {settings.metadata_dir}: LibriMix's lists are of subsets of LibriSpeech, found "
            'none named in the corpus (subsets); name them, or have mixtures drawn with metadata_dir ""'
        )
    rows = read_lists(settings.metadata_dir, num_spk, subsets[name])[: settings.mixtures[name]]
    rules = Rules(settings.seed, settings.short, settings.max_bad)
    return plans_of(rows, pool, read_unused(lists), rules, name)


def _mixture_plans(pool: Pool, num_spk: int, count: int, seed: int, name: str) -> list[Plan]:
    """`count` plans with different utterances; fewer if the set is too small."""
    groups = draw_groups(pool.speech, num_spk, count, seed, name)
    if len(groups) < count:
        num_utts = sum(map(len, pool.speech.values()))
        print(
            f"note: {name}: {num_utts} utterances make {len(groups)} different {num_spk}-talker mixtures, not {count}"
        )
    ids = ["_".join(entry.utt for entry in group) for group in groups]
    plans = [
        plan_of(group, pool, rng_for(seed, "mixture", name, key), best_crop=True)
        for key, group in zip(ids, groups, strict=True)
    ]
    return sorted(plans, key=lambda plan: plan.id)


def _single_plans(pool: Pool, count: int, seed: int, name: str) -> list[Plan]:
    """One plan for each crop, first every utterance's first crop, then the second ones, until there are `count`."""
    entries = sorted((entry for speaker in pool.speech.values() for entry in speaker), key=lambda entry: entry.utt)
    rounds = range(max(len(entry.crops) for entry in entries))
    crops = [(entry, turn) for turn in rounds for entry in entries if turn < len(entry.crops)]
    if count < len(entries):  # spread over all speakers, whose utterances sort together
        crops = [crops[round(k)] for k in np.linspace(0, len(entries) - 1, count)]
    return [_single_plan(entry, turn, pool, seed, name) for entry, turn in crops[:count]]


def _single_plan(entry: SpeechEntry, turn: int, pool: Pool, seed: int, name: str) -> Plan:
    only = SpeechEntry(entry.utt, entry.spk, entry.sex, entry.path, (entry.crops[turn],))
    rng = rng_for(seed, "single", name, entry.utt, turn)
    return plan_of([only], pool, rng, best_crop=True, name=f"{entry.utt}-{turn}")
