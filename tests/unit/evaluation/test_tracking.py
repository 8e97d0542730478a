"""Rows of tracking: choosing on dev, scoring, by hand and on synthetic voices."""

import dataclasses

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation import session_work, tracking
from wesep_mix.evaluation.session_space import drift, space
from wesep_mix.evaluation.session_work import Sessions, choose_rows, chosen_for, plain, read_row, setting_of, track_rows
from wesep_mix.evaluation.settings import TrackRow
from wesep_mix.evaluation.timeline import timeline
from wesep_mix.evaluation.tracking import Case, Setting, choose, like, measure, read_cases, spoken_by, track
from wesep_mix.evaluation.tracks import Track
from wesep_mix.inference.session_windows import Windows, write_windows
from wesep_mix.io.arrays import write_arrays
from wesep_mix.io.rttm import write_rttm
from wesep_mix.memory.online import Config
from wesep_mix.metrics.tracking import Return
from wesep_mix.mixing.session import Session, write_sessions

RATE, HOP, SIZE, DIM = 16000, 40000, 40000, 32


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def case_of(name, seed, num_talkers=3, num_windows=40, spread=0.9):
    """A session in which each window has two talkers all along, heard by two heads; a third one is hardly present."""
    rng = np.random.default_rng(seed)
    voices = unit(rng.standard_normal((num_talkers, DIM)))
    turns = [[] for _ in range(num_talkers)]
    embeddings = np.zeros((num_windows, 3, DIM), dtype=np.float32)
    references = np.full((num_windows, num_talkers, DIM), np.nan, dtype=np.float32)
    who = [rng.permutation(num_talkers)[:2] for _ in range(-(-num_windows // 4))]
    for place in range(num_windows):
        own = who[place // 4]
        noise = spread * rng.standard_normal((3, DIM)) / np.sqrt(DIM)
        embeddings[place] = unit(np.concatenate([voices[own], np.zeros((1, DIM))]) + noise)
        references[place, own] = voices[own]
        for talker in own:
            turns[talker].append((place * HOP, place * HOP + SIZE))
    presence = np.tile(np.array([0.95, 0.9, 0.3], dtype=np.float32), (num_windows, 1))
    windows = Windows(HOP * np.arange(num_windows), SIZE, np.ones(num_windows, dtype=bool), embeddings, presence)
    talkers = tuple(f"t{k}" for k in range(num_talkers))
    session = Session(name, "crowd", HOP * (num_windows - 1) + SIZE, talkers, (), (), 1.0)
    speech = np.array([[0, session.num_samples]])
    return Case(session, tuple(map(tuple, turns)), windows, references, voices, speech)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(tracking, "NUM_DRAWN", 40)
    monkeypatch.setattr(tracking, "NUM_NEAR", 10)


@pytest.fixture(scope="module")
def cases():
    return [case_of(f"s{seed}", seed) for seed in range(4)]


def test_thresholds_are_chosen_that_score_better_than_the_first_ones(cases):
    row = TrackRow("online", memory=Config(tau_match=0.9, tau_new=0.9, tau_update=0.9))
    found = choose(row, cases[:2])
    before, after = (
        np.mean([measure(case, track(row, setting, case))["identity"]["idf1"] for case in cases])
        for setting in (Setting(memory=row.memory), found)
    )
    assert before < 0.6 and after > 0.9 and found.memory.tau_match < 0.9
    assert choose(row, cases[:2]) == found  # nothing is drawn


def test_what_thresholds_are_chosen_by(cases, monkeypatch):
    """IDF1 .8 and .6, one and no talker miscounted, three of four returns right: .7 - .025 + .1875."""
    one, other = cases[:2]
    values = {
        id(one.truth): (0.8, 1, [(6.0, True), (20.0, True), (50.0, False)]),
        id(other.truth): (0.6, 0, [(15.0, True), (16.0, True)]),
    }

    def of(truth):
        return values[id(truth)]

    monkeypatch.setattr(tracking, "identity", lambda truth, *_: {"idf1": of(truth)[0]})
    monkeypatch.setattr(tracking, "count_error", lambda truth, _: {"final": of(truth)[1]})
    found = {key: [(Return(0, 1, away_s), right, True) for away_s, right in value[2]] for key, value in values.items()}
    monkeypatch.setattr(tracking, "reidentified", lambda truth, *_: found[id(truth)])
    row = TrackRow("online", memory=Config())
    assert tracking._score(row, Setting(memory=row.memory), [one, other], None) == pytest.approx(0.8625)


def test_an_ablation_has_the_thresholds_of_its_row_but_for_its_changes(cases):
    found = choose(TrackRow("online", memory=Config()), cases[:1])
    row = TrackRow("no gating", like="online", changes={"tau_update": -1.0})
    assert like(row, found) == dataclasses.replace(found, memory=dataclasses.replace(found.memory, tau_update=-1.0))
    with pytest.raises(TypeError, match="nothing"):
        like(TrackRow("x", like="online", changes={"nothing": 1}), found)


@pytest.mark.parametrize("how", ["average", "spectral", "voices", "enrolled"])
def test_what_knows_more_is_right_where_voices_are_easy(cases, how):
    row = TrackRow(how, how=how, known=True)
    setting = choose(row, cases[:2])
    found = [measure(case, track(row, setting, case)) for case in cases]
    assert min(one["errors"]["attribution"] for one in found) > 0.95
    assert {one["count"]["final"] for one in found} == {0}


def test_chance_is_worse(cases):
    row = TrackRow("chance", how="chance")
    found = [measure(case, track(row, Setting(), case)) for case in cases]
    assert max(one["errors"]["attribution"] for one in found) < 0.85


def test_a_slot_speaks_in_the_middle_of_its_windows_where_there_is_speech():
    case = dataclasses.replace(case_of("x", 0, num_windows=3), speech=np.array([[0, 35000], [45000, 100000]]))
    labels = np.array([[4, -1, -1], [4, 7, -1], [-1, -1, 7]])
    found = list(spoken_by(case, Track(labels, np.ones(3))))
    assert found == [
        (0.0, 35000 / RATE, "4"),
        (45000 / RATE, 80000 / RATE, "4"),
        (45000 / RATE, 80000 / RATE, "7"),
        (80000 / RATE, 100000 / RATE, "7"),
    ]


def test_a_perfect_track_has_no_errors(cases):
    case = cases[0]
    labels = np.full((40, 3), -1)
    for place, present in enumerate(case.truth == 1):
        labels[place, : present.sum()] = np.flatnonzero(present)[:3]
    counts = np.logical_or.accumulate(case.truth == 1).sum(1)
    found = measure(case, Track(labels, counts))
    assert found["errors"]["attribution"] > 0.99 and found["errors"]["false_alarm"] == 0
    assert found["count"] == {"mean_abs": 0.0, "final": 0, "exact": 1}
    assert found["der"]["confusion"] == 0 and found["num_talkers"] == 3


def test_rows_are_scored_into_files_and_kept(cases, tmp_path, monkeypatch):
    for set_name, own in (("dev", cases[:2]), ("test", cases[2:])):
        folder = tmp_path / "drawn" / set_name
        write_sessions(folder / "session.jsonl", [case.session for case in own])
        turns = {
            case.session.id: [(a / RATE, b / RATE, f"t{k}") for k, one in enumerate(case.turns) for a, b in one]
            for case in own
        }
        write_rttm(folder / "rttm", turns)
        for case in own:
            write_windows(tmp_path / "student" / set_name / f"{case.session.id}.npz", case.windows)
            known = {name: getattr(case, name) for name in ("references", "enrolled", "speech")}
            write_arrays(tmp_path / "references" / set_name / f"{case.session.id}.npz", known)
    sessions = Sessions(tmp_path / "drawn", {ear: tmp_path / ear for ear in ("student", "references")})
    (again, _) = read_cases(tmp_path / "drawn/dev", tmp_path / "student/dev", tmp_path / "references/dev")
    assert again.session == cases[0].session and np.array_equal(again.truth, cases[0].truth)
    rows = {
        "revised": TrackRow("revised", how="revised", like="online"),
        "online": TrackRow("online", memory=Config()),
        "chance": TrackRow("chance", how="chance"),
    }
    choose_rows(rows, [sessions, sessions], tmp_path / "chosen", 1)
    assert chosen_for(rows, "online", tmp_path / "chosen") == choose(rows["online"], [*cases[:2], *cases[:2]])
    assert chosen_for(rows, "revised", tmp_path / "chosen") == chosen_for(rows, "online", tmp_path / "chosen")
    assert "chance:" in (tmp_path / "chosen" / "chosen.yaml").read_text()
    track_rows(rows, tmp_path / "chosen", sessions, tmp_path / "out", 1)
    scored = read_row(tmp_path / "out", "online")
    assert [one["session"] for one in scored] == ["s2", "s3"]
    monkeypatch.setattr(session_work, "choose", lambda *_: pytest.fail("was chosen already"))
    monkeypatch.setattr(session_work, "measure", lambda *_: pytest.fail("was scored already"))
    choose_rows(rows, [sessions], tmp_path / "chosen", 1)
    track_rows(rows, tmp_path / "chosen", sessions, tmp_path / "out", 1)


def test_settings_are_read_as_they_were_written():
    for setting in (Setting(memory=Config(tau_match=0.3, tau_new=0.1)), Setting(tau_presence=0.2, join=0.7)):
        assert setting_of(plain(setting), "x") == setting
    with pytest.raises(UserError, match="here"):
        setting_of({"memory": {"name": "online", "tau": 1}, "tau_presence": 0.5, "join": 0.5}, "here")


def test_a_row_has_a_memory_if_one_is_asked():
    with pytest.raises(ValueError, match="wanted memory or like"):
        TrackRow("x")
    with pytest.raises(ValueError, match="wanted memory or like"):
        TrackRow("x", how="voices", memory=Config())
    with pytest.raises(ValueError, match="changes: wanted them"):
        TrackRow("x", memory=Config(), changes={"tau_match": 0.3})


def test_a_timeline_has_talkers_and_slots_in_one_order(cases):
    memory = choose(TrackRow("online", memory=Config()), cases[:2]).memory
    turns, heard, told = timeline(cases[0], memory, None)
    assert list(turns) == ["t0", "t1", "t2"] and len(heard) >= 3
    assert [what.split()[0] for _, what in told][:2] == ["new", "new"]

    def shared(talker, slot):
        return sum(max(0, min(b, d) - max(a, c)) for a, b in turns[talker] for c, d in heard[slot])

    for talker, slot in zip(turns, list(heard)[:3], strict=True):
        assert shared(talker, slot) == max(shared(talker, other) for other in heard)


def test_a_space_holds_where_voices_are_apart(cases):
    easy, hard = space(cases[0]), space(case_of("hard", 0, spread=8.0))
    assert easy["acc"] == 1.0 and easy["eer"] < 0.05 and 0.5 < easy["cos"] < 1 and easy["num"] > 75
    assert hard["acc"] < 0.8 and hard["eer"] > 0.2 and hard["cos"] < easy["cos"]
    nobody = dataclasses.replace(cases[0], references=np.full_like(cases[0].references, np.nan))
    assert space(nobody) | {"num": 0} == space(nobody) and space(nobody)["acc"] is None


def test_a_slot_that_leaves_its_talker_drifts(cases):
    case = cases[0]
    labels = np.where(case.truth == 1, np.arange(3), -1)
    voices = [own / np.linalg.norm(own) for own in (np.nanmean(case.references[:, k], axis=0) for k in range(3))]
    stays, leaves = dict(enumerate(voices)), {0: voices[0], 1: -voices[1], 2: voices[2]}
    middle = int((case.windows.starts + SIZE / 2 <= case.session.num_samples / 2).sum())
    means = (*(stays,) * middle, *(leaves,) * (40 - middle))
    rows = {row["talker"]: row for row in drift(case, Track(labels, np.full(40, 3), (), means))}
    assert rows["t0"]["before"] == pytest.approx(1) and rows["t0"]["after"] == pytest.approx(1)
    assert rows["t1"]["before"] == pytest.approx(1) and rows["t1"]["after"] == pytest.approx(-1)


def test_a_session_of_silence_has_no_errors_and_no_talkers(cases):
    case = cases[0]
    windows = dataclasses.replace(case.windows, heard=np.zeros(40, dtype=bool))
    silent = dataclasses.replace(case, windows=windows, turns=((), (), ()), speech=np.zeros((0, 2), dtype=int))
    for row in (TrackRow("x", memory=Config()), TrackRow("x", how="average"), TrackRow("x", how="voices")):
        found = measure(silent, track(row, choose(row, [silent]), silent))
        assert found["count"] == {"mean_abs": 0.0, "final": 0, "exact": 1}
        assert found["errors"]["num"] == found["errors"]["false_alarm"] == 0
        assert found["identity"]["idf1"] is None and found["der"]["der"] is None
    assert space(silent)["acc"] is None


def test_an_embedding_that_is_not_finite_ends_it_with_a_sentence(cases):
    bad = cases[0].windows.embeddings.copy()
    bad[3, 1, 0] = np.nan
    case = dataclasses.replace(cases[0], windows=dataclasses.replace(cases[0].windows, embeddings=bad))
    with pytest.raises(UserError, match="finite"):
        track(TrackRow("x", memory=Config()), Setting(memory=Config()), case)
