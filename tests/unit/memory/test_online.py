"""The online memory on synthetic talkers: directions on a sphere, and embeddings around them."""

import json

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.memory.observing import NOBODY
from wesep_mix.memory.online import Config
from wesep_mix.memory.online import Model as Memory

DIM, HOP_S, SPREAD = 64, 2.5, 1.45  # the spread gives d' 2.8 between cosines of the same and of other talkers


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class Voices:
    """Talkers who may be heard: `window(3, 0)` is one in which talkers 3 and 0 speak, and one head that does not."""

    def __init__(self, count, seed=0, spread=SPREAD):
        self.rng, self.spread = np.random.default_rng(seed), spread
        self.centres = unit(self.rng.standard_normal((count, DIM)))

    def window(self, *talkers, heads=3):
        noise = self.rng.standard_normal((heads, DIM)) / np.sqrt(DIM)
        found = noise
        found[: len(talkers)] = self.centres[list(talkers)] + self.spread * noise[: len(talkers)]
        presence = np.where(np.arange(heads) < len(talkers), 0.9, 0.1)
        return unit(found), presence


def test_the_voices_are_as_hard_to_tell_apart_as_those_of_a_student():
    voices = Voices(20)
    heard = np.stack([voices.window(talker)[0][0] for talker in range(20) for _ in range(50)])
    cosines, talker = heard @ heard.T, np.repeat(np.arange(20), 50)
    same = (talker[:, None] == talker) & ~np.eye(len(talker), dtype=bool)
    own, others = cosines[same], cosines[talker[:, None] != talker]
    apart = (own.mean() - others.mean()) / np.sqrt((own.var() + others.var()) / 2)
    assert apart == pytest.approx(2.8, abs=0.3)


@pytest.fixture
def config():
    return Config(tau_match=0.25, tau_new=0.2, tau_update=0.25, tau_merge=0.5)


def run(memory, voices, turns, start=0):
    """{talker: its labels} over windows in which `turns` speak."""
    labels = {}
    for place, talkers in enumerate(turns):
        answer = memory.observe(*voices.window(*talkers), (start + place) * HOP_S)
        for talker, label in zip(talkers, answer.labels, strict=False):
            labels.setdefault(talker, []).append(label)
    return labels


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_talkers_keep_their_slots_and_are_counted(config, count, seed):
    voices, memory = Voices(count, seed), Memory(config)
    turns = [voices.rng.permutation(count)[: 1 + voices.rng.integers(min(3, count))].tolist() for _ in range(200)]
    labels = run(memory, voices, turns)
    usual = {talker: max(set(own), key=own.count) for talker, own in labels.items()}
    right = sum(own.count(usual[talker]) for talker, own in labels.items())
    assert right / sum(map(len, labels.values())) > 0.95
    assert len(memory.means()) == count == len(set(usual.values()))
    for talker, slot in usual.items():
        assert memory.means()[slot] @ voices.centres[talker] > 0.9


def test_two_heads_never_share_a_slot_and_silent_heads_are_nobody(config):
    voices, memory = Voices(4, 2), Memory(config)
    for place in range(100):
        talkers = voices.rng.permutation(4)[:3].tolist()[: 1 + place % 3]
        labels = memory.observe(*voices.window(*talkers), place * HOP_S).labels
        known = [label for label in labels if label != NOBODY]
        assert len(set(known)) == len(known) and set(labels[len(talkers) :]) <= {NOBODY}


def test_who_comes_back_after_a_hundred_windows_is_told_and_has_the_same_slot(config):
    voices, memory = Voices(3, 3), Memory(config)
    before = run(memory, voices, [(0, 1)] * 8)
    run(memory, voices, [(1, 2)] * 100, start=8)
    answer = memory.observe(*voices.window(0), 108 * HOP_S)
    assert answer.labels[0] == before[0][-1]
    (back,) = [event for event in answer.events if event.kind == "back"]
    assert back.slot == before[0][-1] and back.away_s == 101 * HOP_S


def test_a_sound_that_passes_is_nobody_after_a_while_and_confirmed_talkers_stay(config):
    voices, memory = Voices(3, 4), Memory(config)
    run(memory, voices, [(0,), (0,), (0, 1)])
    assert list(memory.means()) == [0] and sorted(memory.slots) == [0, 1]
    gone = [
        event.slot
        for place in range(3, 12)
        for event in memory.observe(*voices.window(0), place * HOP_S).events
        if event.kind == "gone"
    ]
    assert gone == [1] and list(memory.slots) == [0]
    run(memory, voices, [()] * 400, start=12)
    assert list(memory.means()) == [0]


def test_where_all_slots_are_taken_the_lightest_passing_one_goes(config):
    voices = Voices(5, 5, spread=0.3)
    memory = Memory(Config(max_slots=3, tau_match=0.5, tau_new=0.45))
    run(memory, voices, [(0, 1), (0, 1), (2,), (3,)])
    assert sorted(memory.means()) == [0, 1] and sorted(memory.slots) == [0, 1, 3]
    run(memory, voices, [(3,)], start=4)
    answer = memory.observe(*voices.window(4), 5 * HOP_S)  # all three are confirmed
    assert answer.labels[0] == NOBODY and sorted(memory.means()) == [0, 1, 3]


def test_slots_of_one_talker_are_merged_and_those_heard_together_are_not():
    voices, memory = Voices(2, 6, spread=0.2), Memory(Config(tau_match=1.1, tau_new=1.1, merge_every=0))
    labels = run(memory, voices, [(0,), (0,), (0, 1)])  # nothing matches: each is a slot of its own
    (first, again, beside), (other,) = labels[0], labels[1]
    assert sorted(memory.slots) == [0, 1, 2, 3] and [first, again] == [0, 1]
    memory.config = Config(merge_every=4)
    answer = memory.observe(*voices.window(), 3 * HOP_S)
    assert [(event.kind, event.slot, event.other) for event in answer.events] == [
        ("merged", first, again),
        ("merged", first, beside),
    ]
    assert sorted(memory.slots) == [first, other]
    assert memory.slots[other].beside == {first} and memory.slots[first].beside == {other}


def test_the_order_of_heads_changes_nothing(config):
    one, other, voices = Memory(config), Memory(config), Voices(3, 7)
    for place in range(60):
        found, presence = voices.window(*voices.rng.permutation(3)[: 1 + place % 3].tolist())
        order = voices.rng.permutation(3)
        first = one.observe(found, presence, place * HOP_S)
        second = other.observe(found[order], presence[order], place * HOP_S)
        assert [first.labels[head] for head in order] == list(second.labels) and first.events == second.events
    assert all(np.array_equal(one.slots[number].total, other.slots[number].total) for number in one.slots)


def test_it_goes_on_from_its_state_as_if_nothing_had_been(config, tmp_path):
    whole, stopped, voices = Memory(config), Memory(config), Voices(4, 8)
    windows = [voices.window(*voices.rng.permutation(4)[: place % 4].tolist()) for place in range(80)]
    for place, window in enumerate(windows):
        if place == 37:
            state, arrays = stopped.state()
            (tmp_path / "state.json").write_text(json.dumps(state))
            np.savez(tmp_path / "state.npz", **arrays)
            stopped = Memory(config)
            with np.load(tmp_path / "state.npz", allow_pickle=False) as loaded:
                stopped.load(json.loads((tmp_path / "state.json").read_text()), loaded)
        first, second = (memory.observe(*window, place * HOP_S) for memory in (whole, stopped))
        assert first.labels == second.labels and first.events == second.events
    assert json.dumps(whole.state()[0]) == json.dumps(stopped.state()[0])


def test_exemplars_are_the_best_and_apart_in_time():
    voices, memory = Voices(1, 9, spread=0.2), Memory(Config(exemplars=3, exemplar_gap_s=5.0))
    for place, sure in enumerate([0.7, 0.9, 0.95, 0.8, 0.6, 0.99, 0.65, 0.97, 0.7]):
        found, _ = voices.window(0)
        memory.observe(found, np.array([sure, 0.0, 0.0]), place * HOP_S)
    slot = memory.slots[0]
    assert len(slot.exemplars) == 3 and sorted(slot.qualities) == pytest.approx([0.95, 0.97, 0.99])
    assert np.diff(sorted(slot.times)).min() >= 5.0


@pytest.mark.parametrize(
    ("found", "presence", "said"),
    [
        (np.zeros((2, 3, 4)), [1, 1], "wanted embeddings and presence"),
        (np.eye(2, 4), [1, 1, 1], "wanted embeddings and presence"),
        (np.eye(2, 5), [1, 1], r"\[N, 4\]"),
        (np.full((1, 4), np.nan), [1], "wanted finite"),
        (np.eye(1, 4), [1.5], "wanted a presence from 0 to 1"),
        (np.zeros((1, 4)), [1], "length 0"),
    ],
)
def test_what_is_no_observation_is_refused(found, presence, said):
    memory = Memory(Config())
    memory.observe(np.eye(1, 4), [1.0], 0.0)
    with pytest.raises(UserError, match=said):
        memory.observe(found, presence, 1.0)


def test_time_goes_on():
    memory = Memory(Config())
    memory.observe(np.eye(1, 4), [1.0], 5.0)
    with pytest.raises(UserError, match="wanted a window later than 5 s, found 5 s"):
        memory.observe(np.eye(1, 4), [1.0], 5.0)


def test_thresholds_that_cross_are_refused():
    with pytest.raises(ValueError, match="tau_new: wanted at most tau_match, 0.5, found 0.6"):
        Config(tau_new=0.6)
