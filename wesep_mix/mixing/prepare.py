"""The second half of stage 1: lists -> fixed plans of every set. Plain text; no mixture audio is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wesep_mix import config
from wesep_mix.io.files import read_json, write_json
from wesep_mix.mixing.draw import MixingConfig, Pool, check_enough_speakers, draw_plan, plan_of
from wesep_mix.mixing.lists import SpeechEntry, read_noises, read_speech, write_lists
from wesep_mix.mixing.plan import Plan, write_plans
from wesep_mix.mixing.settings import SETS, CorpusConfig
from wesep_mix.seeds import rng_for

MIXING = "mixing.json"


def prepare_plans(settings: CorpusConfig, lists: Path, folder: Path, num_spk: int) -> None:
    """Write lists and fixed plans of `num_spk`-talker mixtures (1: the single-speaker noisy set) of every set.

    Raises: UserError when a set has too few speakers.
    """
    pools = {name: _pool(lists / name, settings.mixing) for name in SETS}
    for name, pool in pools.items():
        check_enough_speakers(pool, num_spk, f"{lists / name}")
    write_json(folder / MIXING, config.to_dict(settings.mixing))
    for name, pool in pools.items():
        entries = [entry for speaker in pool.speech.values() for entry in speaker]
        write_lists(folder / name, entries, pool.noises)
        sizes = settings.single if num_spk == 1 else settings.mixtures
        draw = _single_plans if num_spk == 1 else _mixture_plans
        write_plans(folder / name / "plan.jsonl", draw(pool, num_spk, sizes[name], settings.seed, name))


def load_pool(folder: Path) -> Pool:
    """What can be mixed in a prepared set, and how its plans were drawn, for drawing more."""
    mixing = config.from_dict(MixingConfig, read_json(folder.parent / MIXING), str(folder.parent / MIXING))
    return _pool(folder, mixing)


def _pool(folder: Path, mixing: MixingConfig) -> Pool:
    return Pool.of(read_speech(folder), read_noises(folder), mixing)


def _mixture_plans(pool: Pool, num_spk: int, count: int, seed: int, name: str) -> list[Plan]:
    """Up to `count` plans with different ids; a small set may have fewer different ones."""
    plans: dict[str, Plan] = {}
    for index in range(20 * count):
        plan = draw_plan(pool, num_spk, rng_for(seed, "mixture", name, num_spk, index), best_crop=True)
        plans.setdefault(plan.id, plan)
        if len(plans) == count:
            break
    return [plans[key] for key in sorted(plans)]


def _single_plans(pool: Pool, num_spk: int, count: int, seed: int, name: str) -> list[Plan]:
    """One plan for every crop of every utterance, taken in turn over utterances, until there are `count`."""
    entries = sorted((entry for speaker in pool.speech.values() for entry in speaker), key=lambda entry: entry.utt)
    rounds = range(max(len(entry.crops) for entry in entries))
    crops = [(entry, turn) for turn in rounds for entry in entries if turn < len(entry.crops)]
    if count < len(entries):  # spread over all speakers, which sort together
        crops = [crops[round(k)] for k in np.linspace(0, len(entries) - 1, count)]
    return [_single_plan(entry, turn, pool, seed, name) for entry, turn in crops[:count]]


def _single_plan(entry: SpeechEntry, turn: int, pool: Pool, seed: int, name: str) -> Plan:
    only = SpeechEntry(entry.utt, entry.spk, entry.sex, entry.path, (entry.crops[turn],))
    rng = rng_for(seed, "single", name, entry.utt, turn)
    return plan_of([only], pool, rng, best_crop=True, name=f"{entry.utt}-{turn}")
