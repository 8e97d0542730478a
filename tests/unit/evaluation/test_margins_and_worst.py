"""Margins of talkers and the worst mixtures, by hand."""

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.margins import margin_rows, summarise_margins
from wesep_mix.evaluation.worst import summarise_worst, worst_rows, write_worst_wavs
from wesep_mix.io.audio import read_audio
from wesep_mix.mixing.render import render


def at(*degrees):
    angles = np.radians(degrees)
    return [np.array([np.cos(angle), np.sin(angle)], np.float32) for angle in angles]


def score(mix, speaker, si_sdri, **more):
    return {"mix": mix, "speaker": speaker, "si_sdri": si_sdri, **more}


def test_margins_of_a_mixture_by_hand(mixture_of):
    heads = dict(zip(("a_b-0", "a_b-1"), at(90, 0), strict=True))
    matched = {"a_b-a": heads["a_b-1"], "a_b-b": heads["a_b-0"]}
    clean = dict(zip(("a_b-a", "a_b-b"), at(30, 60), strict=True))
    rows = margin_rows([mixture_of("a", "b")], matched, heads, clean, [score("a_b", "b", 4.0), score("a_b", "a", -2.0)])
    half, root = 0.5, 3**0.5 / 2
    wanted = {"cos_own": root, "cos_other": half, "margin": root - half, "cos_talker": half}
    wanted["margin_talkers"] = root - half
    assert rows == [
        {"mix": "a_b", "speaker": speaker, **{name: pytest.approx(value, abs=1e-6) for name, value in wanted.items()}}
        | {"si_sdri": gain}
        for speaker, gain in (("b", 4.0), ("a", -2.0))
    ]


def test_a_margin_has_no_sign_and_counts_heads_that_nobody_was_given(mixture_of):
    heads = dict(zip(("a_b-0", "a_b-1", "a_b-2"), at(0, 90, 40), strict=True))
    matched = {"a_b-a": heads["a_b-0"], "a_b-b": heads["a_b-1"]}
    clean = dict(zip(("a_b-a", "a_b-b"), at(40, 90), strict=True))
    first = margin_rows([mixture_of("a", "b")], matched, heads, clean, [score("a_b", "a", 1.0)])[0]
    assert first["cos_other"] == 1 and first["margin"] == pytest.approx(1 - np.cos(np.radians(40)), abs=1e-6)


def test_talkers_who_share_a_head_have_the_other_head_as_rival(mixture_of):
    heads = dict(zip(("a_b-0", "a_b-1"), at(0, 90), strict=True))
    matched = dict.fromkeys(("a_b-a", "a_b-b"), heads["a_b-0"])  # matching: nearest
    clean = dict(zip(("a_b-a", "a_b-b"), at(0, 30), strict=True))
    rows = margin_rows([mixture_of("a", "b")], matched, heads, clean, [score("a_b", spk, 0.0) for spk in "ab"])
    assert [row["cos_other"] for row in rows] == [pytest.approx(0, abs=1e-6), pytest.approx(0.5)]


def test_an_embedding_that_is_no_head_is_told(mixture_of):
    heads = dict(zip(("a_b-0", "a_b-1"), at(0, 90), strict=True))
    clean = matched = dict(zip(("a_b-a", "a_b-b"), at(0, 10), strict=True))
    with pytest.raises(UserError, match="a_b-b: its embedding in matched.scp is none of the mixture's"):
        margin_rows([mixture_of("a", "b")], matched, heads, clean, [score("a_b", "a", 0.0)])


def test_margins_that_order_the_gains_correlate_wholly(mixture_of):
    pairs = ["ab", "bc", "cd", "de", "ea"]
    plans = [mixture_of(*pair) for pair in pairs]
    talkers = [(plan.id, source.spk) for plan in plans for source in plan.sources]
    rows = [
        {"mix": mix, "speaker": spk, "margin": place / 10, "margin_talkers": -place, "si_sdri": float(place)}
        for place, (mix, spk) in enumerate(talkers)
    ]
    found = summarise_margins(rows, plans)
    assert found["margin"]["spearman"] == pytest.approx({"value": 1, "low": 1, "high": 1})
    assert found["margin_talkers"]["spearman"]["value"] == pytest.approx(-1)
    bins = found["margin"]["bins"]
    assert [one["num"] for one in bins] == [2] * 5 and found["num"] == 10 and found["num_speakers"] == 5
    assert [(one["low_end"], one["high_end"]) for one in bins][1] == (0.2, 0.3)
    assert [one["si_sdri"]["value"] for one in bins] == [0.5, 2.5, 4.5, 6.5, 8.5]


def test_the_worst_mixtures_have_the_lowest_means():
    scores = [
        score(mix, spk, gain) for mix, spk, gain in (("m1", "a", 9), ("m1", "b", -5), ("m2", "a", 1), ("m3", "c", 2))
    ]
    assert worst_rows(scores, 2) == [{"mix": "m2", "si_sdri": 1}, {"mix": "m1", "si_sdri": 2}]  # before m3 by its name
    assert len(worst_rows(scores, 9)) == 3


def test_what_the_worst_have_in_common(mixture_of):
    plans = [mixture_of("a", "b"), mixture_of("c", "d")]
    clean = dict(zip(("a_b-a", "a_b-b", "c_d-c", "c_d-d"), at(0, 60, 0, 90), strict=True))
    scores = [score("a_b", "a", -1.0, wrong_talker=1.0), score("a_b", "b", 1.0, wrong_talker=0.0)]
    scores += [score("c_d", spk, 6.0, wrong_talker=0.0) for spk in "cd"]
    found = summarise_worst(worst_rows(scores, 1), scores, plans, clean)
    assert found["worst"] == {
        "num": 1,
        "si_sdri": 0,
        "wrong_talker": 0.5,
        "same_sex": 1,
        "cosine": pytest.approx(0.5),
        "snr_db": 10,
        "overlap": pytest.approx(0.9),
    }
    assert found["all"]["si_sdri"] == 3 and found["all"]["cosine"] == pytest.approx(0.25, abs=1e-6)


def test_audio_of_the_worst_is_what_the_plan_renders(mixture_of, tmp_path):
    plan = mixture_of("a", "b")
    write_worst_wavs([plan], tmp_path)
    rendered = render(plan)
    assert np.allclose(read_audio(tmp_path / "mixtures" / "a_b.wav"), rendered.mix, atol=1e-4)
    assert np.allclose(read_audio(tmp_path / "targets" / "a_b-b.wav"), rendered.sources[1], atol=1e-4)
