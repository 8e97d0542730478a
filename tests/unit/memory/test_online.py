"""The online memory on synthetic talkers: directions on a sphere, and embeddings around them."""

import numpy as np
import pytest
import yaml
from voices import HOP_S, Voices, hear

from wesep_mix.base.config import from_dict, to_dict
from wesep_mix.base.errors import UserError
from wesep_mix.memory.observing import NOBODY
from wesep_mix.memory.online import Config
from wesep_mix.memory.online import Model as Memory


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


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_talkers_keep_their_slots_and_are_counted(config, count, seed):
    voices, memory = Voices(count, seed), Memory(config)
    turns = [voices.rng.permutation(count)[: 1 + voices.rng.integers(min(3, count))].tolist() for _ in range(200)]
    labels = hear(memory, voices, turns)
    usual = {talker: max(set(own), key=own.count) for talker, own in labels.items()}
    right = sum(own.count(usual[talker]) for talker, own in labels.items())
    assert right / sum(map(len, labels.values())) > 0.95
    assert len(memory.means()) == count == len(set(usual.values()))
    for talker, slot in usual.items():
        assert memory.means()[slot] @ voices.centres[talker] > 0.9


def test_who_comes_back_after_a_hundred_windows_is_told_and_has_the_same_slot(config):
    voices, memory = Voices(3, 3), Memory(config)
    before = hear(memory, voices, [(0, 1)] * 8)
    hear(memory, voices, [(1, 2)] * 100, start=8)
    answer = memory.observe(*voices.window(0), 108 * HOP_S)
    assert answer.labels[0] == before[0][-1]
    (back,) = [event for event in answer.events if event.kind == "back"]
    assert back.slot == before[0][-1] and back.away_s == 101 * HOP_S


def test_a_sound_that_passes_is_nobody_after_a_while_and_confirmed_talkers_stay(config):
    voices, memory = Voices(3, 4), Memory(config)
    hear(memory, voices, [(0,), (0,), (0, 1)])
    assert list(memory.means()) == [0] and sorted(memory.slots) == [0, 1]
    gone = [
        event.slot
        for place in range(3, 12)
        for event in memory.observe(*voices.window(0), place * HOP_S).events
        if event.kind == "gone"
    ]
    assert gone == [1] and list(memory.slots) == [0]
    hear(memory, voices, [()] * 400, start=12)
    assert list(memory.means()) == [0]


def test_where_all_slots_are_taken_the_lightest_passing_one_goes(config):
    voices = Voices(5, 5, spread=0.3)
    memory = Memory(Config(max_slots=3, tau_match=0.5, tau_new=0.45))
    hear(memory, voices, [(0, 1), (0, 1), (2,), (3,)])
    assert sorted(memory.means()) == [0, 1] and sorted(memory.slots) == [0, 1, 3]
    hear(memory, voices, [(3,)], start=4)
    answer = memory.observe(*voices.window(4), 5 * HOP_S)  # all three are confirmed
    assert answer.labels[0] == NOBODY and sorted(memory.means()) == [0, 1, 3]


def test_slots_of_one_talker_are_merged_and_those_heard_together_are_not():
    voices, memory = Voices(2, 6, spread=0.2), Memory(Config(tau_match=1.1, tau_new=1.1, merge_every=0))
    labels = hear(memory, voices, [(0,), (0,), (0, 1)])  # nothing matches: each is a slot of its own
    (first, again, beside), (other,) = labels[0], labels[1]
    assert sorted(memory.slots) == [0, 1, 2, 3] and [first, again] == [0, 1]
    memory.config = Config(merge_every=4)
    answer = memory.observe(*voices.window(), 3 * HOP_S)
    assert [(event.kind, event.slot, event.other) for event in answer.events] == [
        ("merged", first, again),
        ("merged", first, beside),
    ]
    assert sorted(memory.slots) == [first, other]
    assert memory.slots[other].beside == {first: 1} and memory.slots[first].beside == {other: 1}


@pytest.mark.parametrize(("sure", "matched"), [(0.8, True), (0.4, False)])
def test_who_hardly_seems_to_speak_has_to_be_nearer(sure, matched):
    """Cosine .8, less doubt .3 times .2 (.74) or .6 (.62), against tau_match .7."""
    memory = Memory(Config(tau_match=0.7, doubt=0.3, tau_presence=0.1, continuity=0, exemplars=0))
    memory.observe(np.array([[1.0, 0.0]]), np.array([1.0]), 0.0)
    answer = memory.observe(np.array([[0.8, 0.6]]), np.array([sure]), HOP_S)
    assert answer.labels == ((0,) if matched else (NOBODY,))


def test_exemplars_are_the_best_and_apart_in_time():
    voices, memory = Voices(1, 9, spread=0.2), Memory(Config(exemplars=3, exemplar_gap_s=5.0))
    for place, sure in enumerate([0.7, 0.9, 0.95, 0.8, 0.6, 0.99, 0.65, 0.97, 0.7]):
        found, _ = voices.window(0)
        memory.observe(found, np.array([sure, 0.0, 0.0]), place * HOP_S)
    slot = memory.slots[0]
    assert len(slot.exemplars) == 3 and sorted(slot.qualities) == pytest.approx([0.95, 0.97, 0.99])
    assert np.diff(sorted(slot.times)).min() >= 5.0


def test_thresholds_that_cross_are_refused():
    with pytest.raises(ValueError, match="tau_new: wanted at most tau_match, 0.5, found 0.6"):
        Config(tau_new=0.6)


@pytest.mark.parametrize("exemplars", [0, 1, 2, 3, 5])
def test_a_score_is_of_the_mean_and_the_nearest_three_exemplars(exemplars):
    settings = {"exemplars": exemplars, "exemplar_gap_s": 0.0, "continuity": 0.0, "half_life_s": np.inf}
    voices, memory = Voices(2, 10, spread=0.5), Memory(Config(**settings))
    hear(memory, voices, [(0, 1)] * 6)
    found, presence = voices.window(1)
    scores = []
    for number, slot in sorted(memory.slots.items()):
        cosine = found[0] @ memory.means()[number]
        near = sorted(found[0] @ one for one in slot.exemplars)[-3:]
        scores.append(0.7 * cosine + 0.3 * np.mean(near) if near else cosine)
        assert len(slot.exemplars) == exemplars
    answer = memory.observe(found, presence, 6 * HOP_S)
    assert answer.labels[0] == np.argmax(scores) and answer.margins[0] == pytest.approx(max(scores) - min(scores))


@pytest.fixture
def cohort():
    """Embeddings of two hundred training talkers."""
    voices = Voices(200, 99)
    return np.concatenate([voices.window(talker)[0][:1] for talker in range(200)])


NORMED = {"as_norm": True, "tau_match": 2.5, "tau_new": 2.3, "tau_update": 2.5, "tau_merge": 0.5, "continuity": 0.4}


def test_a_normed_score_is_told_in_deviations_from_the_cohorts(cohort):
    voices = Voices(2, 11, spread=0.5)
    settings = {**NORMED, "exemplars": 0, "continuity": 0.25}
    memory = Memory(Config(**settings), 3 * cohort)
    hear(memory, voices, [(0, 1), (0, 1), (1,)])
    found, presence = voices.window(0)
    with_cohort = [float(found[0] @ one) for one in cohort]
    mean = sum(with_cohort) / 200
    deviation = (sum((cosine - mean) ** 2 for cosine in with_cohort) / 200) ** 0.5
    own, other = ((found[0] @ memory.means()[number] - mean) / deviation for number in (0, 1))
    answer = memory.observe(found, presence, 3 * HOP_S)
    assert answer.labels[0] == 0 and answer.margins[0] == pytest.approx(own - (other + 0.25))  # the other spoke last


def test_talkers_keep_their_slots_by_normed_scores(cohort):
    voices, memory = Voices(3, 12), Memory(Config(**NORMED), cohort)
    turns = [voices.rng.permutation(3)[: 1 + voices.rng.integers(3)].tolist() for _ in range(150)]
    labels = hear(memory, voices, turns)
    usual = {talker: max(set(own), key=own.count) for talker, own in labels.items()}
    assert len(memory.means()) == 3 == len(set(usual.values()))
    assert sum(own.count(usual[talker]) for talker, own in labels.items()) / sum(map(len, labels.values())) > 0.95


def test_the_cohort_is_saved_and_may_come_later(cohort):
    first, later, loaded = Memory(Config(**NORMED), cohort), Memory(Config(**NORMED)), Memory(Config(**NORMED))
    later.cohort = cohort
    loaded.load(*first.state())
    window = Voices(2, 13).window(0, 1)
    assert len({memory.observe(*window, 0.0).labels for memory in (first, later, loaded)}) == 1
    assert first.nbytes == loaded.nbytes > cohort.nbytes
    later.load(*Memory(Config()).state())
    assert later.cohort is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "as_norm: there is no cohort"),
        (np.eye(5), r"wanted a cohort \[C, 64\], found \(5, 5\)"),
        (np.ones((4, 64)), "a head is equally near to all 4 embeddings of the cohort"),
        (np.eye(1, 64), "a head is equally near to all 1 embeddings"),
    ],
)
def test_a_cohort_that_says_nothing_is_refused(given, said):
    memory = Memory(Config(**NORMED), given)
    with pytest.raises(UserError, match=said):
        memory.observe(*Voices(1, 14).window(0), 0.0)
    with pytest.raises(UserError, match="length 0"):
        memory.cohort = np.zeros((3, 64))


WITHOUT = {
    "continuity": {"continuity": 0.0},
    "exemplars": {"exemplars": 0},
    "gating": {"tau_update": -1.0},
    "confirmation": {"confirm_hits": 1},
    "merge": {"merge_every": 0},
    "decay": {"half_life_s": float("inf")},
}


@pytest.mark.parametrize("part", WITHOUT)
def test_it_works_without_each_of_its_parts(part, config):
    raw = yaml.safe_load(yaml.safe_dump({**to_dict(config), **WITHOUT[part]}))  # as from a file
    voices, memory = Voices(3, 15), Memory(from_dict(Config, raw, part))
    turns = [voices.rng.permutation(3)[: 1 + voices.rng.integers(3)].tolist() for _ in range(100)]
    labels = hear(memory, voices, turns)
    usual = {talker: max(set(own), key=own.count) for talker, own in labels.items()}
    assert len(set(usual.values())) == 3
    assert sum(own.count(usual[talker]) for talker, own in labels.items()) / sum(map(len, labels.values())) > 0.9


def slots_of(*heads, **settings):
    """Slots after heads of presence 0.9, one a window of a second, or the seconds that stand before one."""
    memory, time_s = Memory(Config(**{"tau_match": 0.3, "tau_new": 0.3, "tau_update": 0.6, **settings})), 0.0
    for head in heads:
        time_s += head if isinstance(head, float) else 1.0
        if not isinstance(head, float):
            memory.observe(np.array([head]), [0.9], time_s)
    return memory.slots


def test_what_its_parts_do_is_left_out_with_them():
    x, near = [1.0, 0, 0], [0.5, 0.75**0.5, 0]
    assert slots_of(x, near)[0].total == pytest.approx([0.9, 0, 0])  # 0.5 is not sure enough
    assert slots_of(x, near, tau_update=-1.0)[0].total == pytest.approx([0.9 * 1.5, 0.9 * 0.75**0.5, 0], rel=0.01)
    assert slots_of(x, 119.0, x, half_life_s=120.0, expire_s=999.0)[0].weight == pytest.approx(0.9 * 1.5)
    assert slots_of(x, 119.0, x, half_life_s=np.inf, expire_s=999.0)[0].weight == pytest.approx(0.9 * 2)
    assert not slots_of(x)[0].confirmed and slots_of(x, confirm_hits=1)[0].confirmed
    assert len(slots_of(x)[0].exemplars) == 1 and len(slots_of(x, exemplars=0)[0].exemplars) == 0


def test_who_spoke_last_is_ahead_by_the_continuity():
    voices = Voices(2, 16, spread=0.2)
    margins = []
    for continuity in (0.0, 0.05):
        memory = Memory(Config(continuity=continuity))
        for place, heads in enumerate(([0, 1], [0, 1], [0])):
            memory.observe(voices.centres[heads], [0.9] * len(heads), place * HOP_S)
        margins.append(memory.observe(voices.centres[[0]], [0.9], 3 * HOP_S).margins[0])
    assert margins[1] - margins[0] == pytest.approx(0.05)


def test_slots_that_are_merged_have_faded_to_the_same_time():
    config = Config(tau_match=1.1, tau_new=1.1, merge_every=0, half_life_s=10, exemplars=0, expire_s=99)
    memory, one = Memory(config), np.eye(2)[:1]
    for time_s in (0.0, 20.0):  # nothing matches: two slots of one talker
        memory.observe(one, np.array([0.8]), time_s)
    memory.config = Config(merge_every=1, half_life_s=10, expire_s=99)
    memory.observe(np.zeros((0, 2)), np.zeros(0), 20.5)
    (slot,) = memory.slots.values()
    assert slot.weight == pytest.approx(0.8 * 0.5**2 + 0.8) and slot.updated_s == 20.0


def test_exemplars_of_a_merged_slot_are_near_in_time_whichever_is_older(config):
    memory = Memory(config)
    slot = next(iter(with_a_slot(memory).slots.values()))
    times = (100.0, 50.0, 98.0)
    for time_s, quality in zip(times, (0.5, 0.4, 0.9), strict=True):
        memory._keep_exemplar(slot, np.eye(4)[1], quality, time_s)
    assert sorted(slot.times) == [0.0, 50.0, 98.0]


def with_a_slot(memory):
    memory.observe(np.eye(4)[:1], np.array([0.9]), 0.0)
    return memory


def test_a_talker_cannot_be_asked_for_more_often_than_there_are_windows():
    with pytest.raises(ValueError, match="confirm_hits: wanted at most confirm_windows, 4, found 5"):
        Config(confirm_hits=5)


def test_a_second_head_on_a_talker_whose_slot_is_taken_is_nobody_new():
    near = np.array([0.8, 0.6])
    for tau_taken, labels in ((0.75, (0, NOBODY)), (0.85, (0, 1))):
        memory = Memory(Config(tau_taken=tau_taken, tau_duplicate=0.95, continuity=0))
        memory.observe(np.eye(2)[:1], np.array([0.9]), 0.0)
        answer = memory.observe(np.stack([np.eye(2)[0], near]), np.array([0.9, 0.9]), 2.5)
        assert answer.labels == labels


def test_slots_that_were_hardly_ever_heard_together_may_be_merged():
    def slots_after(merge_share):
        config = Config(tau_taken=2, tau_duplicate=0.95, merge_every=10, tau_merge=0.7, merge_share=merge_share)
        memory, near = Memory(config), np.array([0.75, 0.66])
        memory.observe(np.stack([np.eye(2)[0], near]), np.array([0.9, 0.9]), 0.0)  # both of one talker
        for place in range(1, 20):
            memory.observe(np.eye(2)[:1] if place % 2 else near[None], np.array([0.9]), 2.5 * place)
        return sorted(memory.slots)

    assert slots_after(0.0) == [0, 1] and slots_after(0.3) == [0]
