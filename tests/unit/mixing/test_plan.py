import dataclasses
import json

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.mixing.draw import draw_plan
from wesep_mix.mixing.plan import read_plans, write_plans
from wesep_mix.mixing.render import render


@pytest.fixture
def plans(pool):
    return [draw_plan(pool, num_spk, np.random.default_rng(num_spk)) for num_spk in (3, 1, 2)]


def test_plans_come_back_and_render_bit_for_bit(plans, tmp_path):
    write_plans(tmp_path / "plan.jsonl", plans)
    back = read_plans(tmp_path / "plan.jsonl")
    assert back == plans
    for one, other in zip(plans, back, strict=True):
        first, second = render(one), render(other)
        for field in dataclasses.fields(first):
            assert np.array_equal(getattr(first, field.name), getattr(second, field.name))


def test_a_line_says_all_that_the_docstring_promises(plans, tmp_path):
    write_plans(tmp_path / "plan.jsonl", plans)
    row = json.loads((tmp_path / "plan.jsonl").read_text().splitlines()[0])
    assert set(row) == {"id", "sample_rate", "num_samples", "overlaps", "sources", "noise"}
    assert set(row["sources"][0]) == {"utt", "spk", "sex", "path", "start", "num_samples", "offset", "gain", "lufs"}
    assert set(row["noise"]) == {"id", "path", "start", "num_samples", "snr_db"}
    assert len(row["sources"]) == 3 and len(row["overlaps"]) == 2 and row["sample_rate"] == 16000


def test_sexes_say_which_pair_it_is(plans):
    one = dataclasses.replace(plans[2].sources[0], sex="M")
    other, unknown = dataclasses.replace(one, sex="F"), dataclasses.replace(one, sex="U")
    sexes = [
        dataclasses.replace(plans[2], sources=sources).sexes
        for sources in ((one, other), (other, one), (one, one), (unknown, one, other), (other,))
    ]
    assert sexes == ["FM", "FM", "MM", "FMU", "F"]


def lacking(row):
    del row["sources"][0]["gain"]


def unknown(row):
    row["colour"] = "blue"


def without_noise(row):
    del row["noise"]


def no_sources(row):
    row["sources"] = 3


@pytest.mark.parametrize("spoil", [lacking, unknown, without_noise, no_sources])
def test_a_line_that_is_no_plan_is_named(plans, tmp_path, spoil):
    rows = [dataclasses.asdict(plan) for plan in plans]
    spoil(rows[1])
    (tmp_path / "plan.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match="plan.jsonl, line 2: not a mixture plan .*redo stage 1"):
        read_plans(tmp_path / "plan.jsonl")


def test_a_source_and_a_noise_have_an_offset_where_there_is_one(plans, tmp_path):
    plan = plans[2]
    sources = (dataclasses.replace(plan.sources[0], dc=0.0123456789), plan.sources[1])
    moved = dataclasses.replace(plan, sources=sources, noise=dataclasses.replace(plan.noise, dc=-0.5))
    write_plans(tmp_path / "plan.jsonl", [moved])
    assert read_plans(tmp_path / "plan.jsonl") == [moved]
    row = json.loads((tmp_path / "plan.jsonl").read_text())
    assert [source.get("dc") for source in row["sources"]] == [0.0123456789, None] and row["noise"]["dc"] == -0.5


def test_a_source_has_a_speed_where_it_is_not_as_it_was_spoken(plans, tmp_path):
    sources = (dataclasses.replace(plans[2].sources[0], speed=1.1), plans[2].sources[1])
    write_plans(tmp_path / "plan.jsonl", [dataclasses.replace(plans[2], sources=sources)])
    assert read_plans(tmp_path / "plan.jsonl")[0].sources == sources
    row = json.loads((tmp_path / "plan.jsonl").read_text())
    assert [source.get("speed") for source in row["sources"]] == [1.1, None]


def test_a_mixture_of_long_names_is_called_so_that_files_can_be(pool):
    long = {
        spk: [dataclasses.replace(entry, utt=f"{entry.utt}-{'n' * 130}") for entry in own]
        for spk, own in pool.speech.items()
    }
    drawn = draw_plan(dataclasses.replace(pool, speech=long), 2, np.random.default_rng(0))
    name = f"{drawn.sources[0].utt}_{drawn.sources[1].utt}"
    assert len(name) > 255 >= len(f".{drawn.id}-eva.1234567.tmp.wav") and drawn.id[:150] == name[:150]
