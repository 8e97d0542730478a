"""Between two embeddings: a toy extractor that mixes the sources as the embedding says, and curves by hand."""

import numpy as np
import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation import interpolation
from wesep_mix.evaluation.interpolation import STEPS, between, drawn_mixtures, interpolate, summarise_curves
from wesep_mix.inference.settings import WHOLE
from wesep_mix.metrics.si_sdr import si_sdr
from wesep_mix.mixing.render import render
from wesep_mix.models import checkpoint

NORTH, EAST = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


class Toy(torch.nn.Module):
    """Gives the first two sources of its one mixture, each as loud as its place in the embedding says."""

    def __init__(self, plan):
        super().__init__()
        sources = torch.from_numpy(render(plan).sources[:2])
        self.unit = sources / sources.norm(dim=1, keepdim=True)

    def forward(self, mix, emb, longer=None):
        assert mix.shape == (len(STEPS), self.unit.shape[1])  # all steps at once
        return emb @ self.unit


@pytest.fixture
def toy(monkeypatch):
    def use(plan):
        monkeypatch.setattr(checkpoint, "load_model", lambda path, kind: Toy(plan))
        return plan

    return use


def test_an_extractor_that_mixes_by_the_embedding_crosses_in_the_middle(toy, mixture_of):
    plan = toy(mixture_of("a", "b"))
    rows = interpolate("model", [plan], {"a_b-a": NORTH, "a_b-b": EAST}, WHOLE)
    assert [row["a"] for row in rows] == list(STEPS) and {row["speaker_b"] for row in rows} == {"b"}
    found = summarise_curves(rows, [plan])
    assert found["by_si_sdr"]["of_means"]["value"] == pytest.approx(0.5, abs=1e-4)
    assert found["mixtures"]["a_b"]["by_si_sdr"] == pytest.approx(0.5, abs=1e-4)
    assert found["monotone"]["value"] == 1 and found["setback_db"] == 0
    a, b = Toy(plan).unit.numpy()
    sources, mix = render(plan).sources, render(plan).mix
    quarter = next(row for row in rows if row["a"] == 0.2)
    wanted = si_sdr(0.8 * a + 0.2 * b, sources[0])
    assert quarter["si_sdr_a"] == pytest.approx(wanted, abs=1e-3)
    assert quarter["si_sdri_a"] == pytest.approx(wanted - si_sdr(mix, sources[0]), abs=1e-3)


def test_of_three_talkers_the_first_two_are_taken(toy, mixture_of):
    plan = toy(mixture_of("c", "a", "b"))
    matched = {"c_a_b-c": NORTH, "c_a_b-a": EAST, "c_a_b-b": NORTH}
    rows = interpolate("model", [plan], matched, WHOLE)
    assert {(row["speaker_a"], row["speaker_b"]) for row in rows} == {("c", "a")}
    assert summarise_curves(rows, [plan])["num_speakers"] == 3


def test_what_goes_wrong_names_the_mixture(toy, mixture_of):
    plan = toy(mixture_of("a", "b"))
    with pytest.raises(UserError, match="a_b: interpolation: .* found opposite ones"):
        interpolate("model", [plan], {"a_b-a": NORTH, "a_b-b": -NORTH}, WHOLE)
    with pytest.raises(UserError, match="a_b-b is not among"):
        interpolate("model", [plan], {"a_b-a": NORTH}, WHOLE)


def test_the_way_keeps_the_length_that_embeddings_have():
    way = between(NORTH, EAST)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 1, atol=1e-6)
    assert way.dtype == np.float32
    np.testing.assert_allclose(way[[0, 5, 10]], [NORTH, [0.5**0.5, 0.5**0.5], EAST], atol=1e-6)
    longer = between(2 * NORTH, 4 * EAST, [0, 0.5, 1])
    np.testing.assert_allclose(longer, [2 * NORTH, 3 * np.array([1, 2]) / 5**0.5, 4 * EAST], atol=1e-6)


def test_mixtures_are_drawn_by_their_ids(mixture_of):
    plans = [mixture_of("a", "b", mix=f"m{number}") for number in range(6)] + [mixture_of("a", mix="alone")]
    drawn = drawn_mixtures(plans, 3, seed=0)
    assert len(drawn) == 3 and [plan for plan in plans if plan in drawn] == drawn
    assert {plan.id for plan in drawn_mixtures(plans[::-1], 3, seed=0)} == {plan.id for plan in drawn}
    assert {plan.id for plan in drawn_mixtures(plans[1:], 3, seed=0)} >= {plan.id for plan in drawn} - {"m0"}
    assert drawn_mixtures(plans, 99, seed=0) == plans[:-1] and drawn_mixtures(plans, 0, seed=0) == []
    assert any(drawn_mixtures(plans, 3, seed) != drawn for seed in range(1, 9))


def rows_of(plan, falling, offset=0.0):
    """The curve to the second talker is that to the first the other way round."""
    pairs = zip(falling, falling[::-1], strict=True)
    columns = interpolation.CURVES
    return [
        {"mix": plan.id, "a": step} | dict(zip(columns, (down, up, down + offset, up - offset), strict=True))
        for step, (down, up) in zip(STEPS, pairs, strict=True)
    ]


def test_curves_that_go_back_or_do_not_cross_are_counted(mixture_of):
    plans = [mixture_of(*names) for names in ("ab", "bc", "ca")]
    smooth = [5.0, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5]
    back = [5.0, 4, 3, 2, 2.6, 0, -1, -2, -3, -4, -5]  # by 0.6 dB, more than the tolerance
    rows = [*rows_of(plans[0], smooth, offset=1.0), *rows_of(plans[1], back), *rows_of(plans[2], smooth[::-1])]
    found = summarise_curves(rows, plans)
    assert found["monotone"]["value"] == pytest.approx(1 / 3) and found["tolerance_db"] == 0.5
    assert found["mixtures"]["b_c"] == {"by_si_sdr": 0.5, "by_si_sdri": 0.5, "setback_db": pytest.approx(0.6)}
    assert found["mixtures"]["a_b"] == {"by_si_sdr": 0.5, "by_si_sdri": pytest.approx(0.6), "setback_db": 0}
    assert found["mixtures"]["c_a"] == {"by_si_sdr": None, "by_si_sdri": None, "setback_db": 10}
    by_gain = found["by_si_sdri"]
    assert by_gain["num_uncrossed"] == 1 and by_gain["mean"]["value"] == pytest.approx(0.55)
    assert by_gain["near_middle"]["value"] == pytest.approx(2 / 3)
    assert found["steps"][0]["si_sdr_a"]["value"] == pytest.approx(5 / 3)
    assert (found["num"], found["num_speakers"]) == (3, 3)
