import dataclasses

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.exports.signals import exported_length, longest_silence, signals
from wesep_mix.mixing.render import render


def test_mode_max_is_the_plan_rendered(case):
    plan = case.plans["test"][0]
    audio, whole = signals(plan, "max"), render(plan)
    assert list(audio) == ["mix_both", "mix_clean", "mix_single", "s1", "s2", "noise"]
    for name, wanted in (
        ("mix_both", whole.mix),
        ("s1", whole.sources[0]),
        ("s2", whole.sources[1]),
        ("noise", whole.noise),
        ("mix_clean", whole.sources[0] + whole.sources[1]),
        ("mix_single", whole.sources[0] + whole.noise),
    ):
        np.testing.assert_array_equal(audio[name], wanted)


def test_mode_min_ends_with_the_talker_who_ends_first(case):
    plan = case.plans["test"][0]
    assert exported_length(plan, "max") == plan.num_samples == 480 + 1600
    assert exported_length(plan, "min") == 1600
    whole, cut = signals(plan, "max"), signals(plan, "min")
    for name in whole:
        np.testing.assert_array_equal(cut[name], whole[name][:1600])


def test_mode_min_refuses_a_mixture_in_which_a_talker_would_be_silent(case):
    plan = case.plans["test"][0]
    late = dataclasses.replace(plan, sources=(plan.sources[0], dataclasses.replace(plan.sources[1], offset=1600)))
    with pytest.raises(UserError, match=f"mixture {plan.id}: .*--mode max"):
        exported_length(late, "min")


def test_longest_silence_is_a_late_start_or_an_early_end(case):
    plan = case.plans["test"][0]  # starts at 0 and 480, 1600 samples each
    assert longest_silence(plan, "max") == longest_silence(plan, "min") == 480
    early = dataclasses.replace(plan, sources=(dataclasses.replace(plan.sources[0], num_samples=900), plan.sources[1]))
    assert longest_silence(early, "max") == plan.num_samples - 900
    assert longest_silence(early, "min") == 480
