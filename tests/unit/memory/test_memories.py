"""What every memory promises; new ones are found by their files."""

import copy
import json

import numpy as np
import pytest
from voices import HOP_S, Voices, hear

from wesep_mix.base import plugins
from wesep_mix.base.config import from_dict
from wesep_mix.base.errors import UserError
from wesep_mix.memory.observing import NOBODY

SETTINGS = {
    "online": {"tau_match": 0.25, "tau_new": 0.2, "tau_update": 0.25, "tau_merge": 0.5},
    "leader": {"tau": 0.2},
    "stitch": {"tau": 0.15},
    "incremental": {"delta_new": 0.8},
}


@pytest.fixture(params=plugins.names("memory"))
def build(request):
    """Function: a new memory, of each plugin."""
    config = from_dict(
        plugins.load("memory", request.param).Config, {"name": request.param, **SETTINGS.get(request.param, {})}, "test"
    )
    return lambda: plugins.build("memory", config)


def windows_of(voices, count, num_talkers):
    return [voices.window(*voices.rng.permutation(num_talkers)[: place % 4].tolist()) for place in range(count)]


def same(one, other):
    return one.labels == other.labels and one.events == other.events and np.array_equal(one.margins, other.margins)


def test_one_who_speaks_on_keeps_the_slot_beside_others(build):
    """Even where the window before is all that counts."""
    voices = Voices(3, 1, spread=0.3)
    labels = hear(build(), voices, [(0, 1), (1, 0), (0, 1, 2), (2, 0, 1), (1, 2)])
    assert len(set(labels[0])) == 1 and len(set(labels[1])) == 1 and len(set(labels[2])) == 1
    assert {labels[0][0], labels[1][0]} == {0, 1} and labels[2][0] == 2


def test_two_heads_never_share_a_slot_and_silent_heads_are_nobody(build):
    voices, memory = Voices(4, 2), build()
    for place in range(60):
        talkers = voices.rng.permutation(4)[:3].tolist()[: 1 + place % 3]
        labels = memory.observe(*voices.window(*talkers), place * HOP_S).labels
        known = [label for label in labels if label != NOBODY]
        assert len(set(known)) == len(known) and set(labels[len(talkers) :]) <= {NOBODY}


def test_two_heads_of_one_talker_are_one(build):
    (found, _), memory = Voices(2, 3, spread=0.1).window(0, 0, 1), build()
    assert found[0] @ found[1] > 0.9
    assert memory.observe(found, np.array([0.8, 0.9, 0.85]), 0.0).labels == (NOBODY, 0, 1)


def test_the_order_of_heads_changes_nothing(build):
    one, other, voices = build(), build(), Voices(3, 7)
    for place, (found, presence) in enumerate(windows_of(voices, 60, 3)):
        order = voices.rng.permutation(3)
        first = one.observe(found, presence, place * HOP_S)
        second = other.observe(found[order], presence[order], place * HOP_S)
        assert [first.labels[head] for head in order] == list(second.labels) and first.events == second.events
        assert np.array_equal(first.margins[order], second.margins)
    assert one.means(False).keys() == other.means(False).keys()
    assert all(np.array_equal(mean, other.means(False)[number]) for number, mean in one.means(False).items())


def test_the_length_of_an_embedding_changes_nothing(build):
    one, other, voices = build(), build(), Voices(3, 4)
    for place, (found, presence) in enumerate(windows_of(voices, 40, 3)):
        scale = 2.0 ** voices.rng.integers(-3, 4, size=(3, 1))
        assert same(one.observe(found, presence, place * HOP_S), other.observe(scale * found, presence, place * HOP_S))


def test_it_goes_on_from_its_state_as_if_nothing_had_been(build, tmp_path):
    whole, stopped, voices = build(), build(), Voices(4, 8)
    for place, window in enumerate(windows_of(voices, 80, 4)):
        if place == 37:
            state, arrays = stopped.state()
            (tmp_path / "state.json").write_text(json.dumps(state, allow_nan=False))
            np.savez(tmp_path / "state.npz", **arrays)
            stopped = build()
            with np.load(tmp_path / "state.npz", allow_pickle=False) as loaded:
                stopped.load(json.loads((tmp_path / "state.json").read_text()), loaded)
        assert same(*(memory.observe(*window, place * HOP_S) for memory in (whole, stopped)))
    assert json.dumps(whole.state()[0]) == json.dumps(stopped.state()[0])


def test_a_new_memory_can_be_saved_too(build):
    one, other, voices = build(), build(), Voices(2, 9)
    other.load(*json.loads(json.dumps(one.state(), allow_nan=False)))
    window = voices.window(0, 1)
    assert same(one.observe(*window, 0.0), other.observe(*window, 0.0))


def test_a_state_is_of_its_moment(build):
    """Neither the memory that gave it nor one that took it changes it."""
    memory, other, voices = build(), build(), Voices(3, 5)
    windows = windows_of(voices, 30, 3)
    for place, window in enumerate(windows[:10]):
        memory.observe(*window, place * HOP_S)
    given = memory.state()
    before = copy.deepcopy(given)
    other.load(*given)
    for place, window in enumerate(windows[10:], start=10):
        memory.observe(*window, place * HOP_S)
        other.observe(*window, place * HOP_S)
    assert given[0] == before[0] and given[1].keys() == before[1].keys()
    assert all(np.array_equal(array, before[1][name]) for name, array in given[1].items())


def test_a_window_without_heads_is_a_window(build):
    memory, voices = build(), Voices(2, 6, spread=0.3)
    nothing = np.zeros((0, 64)), np.zeros(0)
    assert memory.observe(*nothing, 0.0).labels == ()
    hear(memory, voices, [(0, 1), (0, 1)], start=1)
    answer = memory.observe(*nothing, 3 * HOP_S)
    assert answer.labels == () and answer.margins.shape == (0,) and answer.events == ()
    assert memory.num_talkers == 2 and memory.time_s == 3 * HOP_S and memory.num_windows == 4
    with pytest.raises(UserError, match="wanted embeddings and presence"):
        memory.observe(np.zeros(0), np.zeros(0), 4 * HOP_S)


def test_talkers_are_counted_and_their_means_are_unit_vectors(build):
    memory, voices = build(), Voices(3, 7, spread=0.3)
    assert memory.num_talkers == 0 and memory.means() == {} and memory.nbytes == 0
    hear(memory, voices, [(0, 1, 2)] * 3)
    means = memory.means()
    assert memory.num_talkers == len(means) == 3
    assert all(np.linalg.norm(mean) == pytest.approx(1) for mean in means.values())
    assert {int(np.argmax(voices.centres @ mean)) for mean in means.values()} == {0, 1, 2}
    assert memory.nbytes >= 3 * 64 * 8


@pytest.mark.parametrize(
    ("found", "presence", "said"),
    [
        (np.zeros((2, 3, 4)), [1, 1], "wanted embeddings and presence"),
        (np.eye(2, 4), [1, 1, 1], "wanted embeddings and presence"),
        (np.eye(2, 5), [1, 1], r"\[N, 4\]"),
        (np.full((1, 4), np.nan), [1], "wanted finite"),
        (np.eye(1, 4), [1.5], "wanted a presence from 0 to 1"),
        (np.eye(1, 4), [np.nan], "wanted a presence from 0 to 1"),
        (np.zeros((1, 4)), [1], "length 0"),
    ],
)
def test_what_is_no_observation_is_refused_and_changes_nothing(found, presence, said, build):
    memory = build()
    memory.observe(np.eye(1, 4), [1.0], 0.0)
    before = json.dumps(memory.state()[0])
    with pytest.raises(UserError, match=said):
        memory.observe(found, presence, 1.0)
    assert json.dumps(memory.state()[0]) == before


def test_time_goes_on(build):
    memory = build()
    memory.observe(np.eye(1, 4), [1.0], 5.0)
    with pytest.raises(UserError, match="wanted a window later than 5 s, found 5 s"):
        memory.observe(np.eye(1, 4), [1.0], 5.0)
