import base64
import io

import numpy as np
import pytest
import soundfile
from finished import write_test_set, write_wavs

from wesep_mix.base.errors import UserError
from wesep_mix.mixing.plan import write_plans
from wesep_mix.report.examples import choose, listening


def test_four_of_each_kind_by_hand():
    means = {f"m{place:02}": float(place) for place in range(20)}
    chosen = choose(means)
    assert list(chosen) == [f"m{place:02}" for place in (19, 18, 17, 16, 11, 10, 9, 8, 3, 2, 1, 0)]
    assert list(chosen.values()) == ["best"] * 4 + ["median"] * 4 + ["worst"] * 4


@pytest.mark.parametrize(
    ("num", "kinds"), [(1, ["best"]), (2, ["best", "worst"]), (3, ["best", "median", "worst"]), (0, [])]
)
def test_of_few_mixtures_none_is_there_twice(num, kinds):
    assert list(choose({f"m{place}": -float(place) for place in range(num)}).values()) == kinds


def test_of_equal_mixtures_the_first_by_name_is_first():
    assert list(choose({"c": 1.0, "a": 1.0, "b": 1.0})) == ["a", "b", "c"]


@pytest.fixture
def heard(tmp_path):
    """Three mixtures of a and b with wavs of `net` and `net/wrong`, b's of the latter missing."""
    folder = tmp_path / "data"
    plans = write_test_set(folder, 3)
    folders = {"net": tmp_path / "matched" / "scores", "net/wrong": tmp_path / "wrong" / "scores"}
    for place in folders.values():
        write_wavs(place.parent / "wav", plans)
    for path in (tmp_path / "wrong" / "wav").glob("*-b.wav"):
        path.unlink()
    lines = [
        {"mix": plan.id, "speaker": spk, "si_sdri": float(plan.id[1:]) + (spk == "b")} for plan in plans for spk in "ab"
    ]
    return folder, "net", dict.fromkeys(folders, lines), folders, plans


def decoded(address):
    return soundfile.read(io.BytesIO(base64.b64decode(address.removeprefix("data:audio/mpeg;base64,"))))


@pytest.mark.parametrize(("seconds", "mixtures"), [(1e9, 3), (0, 1)])
def test_many_sounds_leave_fewer_mixtures_of_each_kind(heard, monkeypatch, seconds, mixtures):
    folder, row, scores, folders, _ = heard
    monkeypatch.setattr("wesep_mix.report.examples.MOST_SECONDS", seconds)
    monkeypatch.setattr("wesep_mix.report.examples.choose", lambda means, num: dict.fromkeys(list(means)[:num], "best"))
    assert len(listening(folder, row, scores, folders).chosen) == mixtures


def test_each_mixture_has_its_targets_extractions_and_the_controls_that_are_on_the_disk(heard):
    folder, row, scores, folders, plans = heard
    found = listening(folder, row, scores, folders)
    assert [(one.mix, one.kind, one.si_sdri) for one in found.chosen] == [
        ("m02", "best", 2.5),
        ("m01", "median", 1.5),
        ("m00", "worst", 0.5),
    ]
    a, b = sorted(found.chosen[0].talkers, key=lambda talker: talker.speaker)
    assert [each.name for each in a.extracted] == [each.name for each in b.extracted] == ["net"]
    assert [each.name for each in a.controls] == ["net/wrong"] and b.controls == []
    assert a.target.label == "m02: target, talker a" and a.controls[0].label == "m02: net/wrong, talker a"
    assert (a.extracted[0].si_sdri, b.extracted[0].si_sdri) == (2.0, 3.0)
    assert [one.mix for one in found.worst] == ["m00", "m01", "m02"] and found.num == 3
    assert all(talker.controls == [] for one in found.worst for talker in one.talkers)


def test_sounds_of_a_mixture_keep_their_levels_to_each_other(heard):
    folder, row, scores, folders, plans = heard
    example = listening(folder, row, scores, folders).chosen[0]
    assert np.abs(example.mixture.samples).max() == pytest.approx(0.9)
    talker = example.talkers[0]
    np.testing.assert_allclose(2 * talker.extracted[0].samples, talker.target.samples, atol=1e-3)


def test_a_sound_is_whole_and_at_its_rate_in_the_page(heard):
    folder, row, scores, folders, plans = heard
    sound = listening(folder, row, scores, folders).chosen[0].mixture
    samples, rate = decoded(sound.audio)
    assert rate == 16000 and len(samples) == 16000
    assert sound.picture.startswith("data:image/jpeg;base64,") and sound.wave.startswith("<svg")


def test_a_mixture_without_a_plan_is_named(heard):
    folder, row, scores, folders, plans = heard
    write_plans(folder / "plan.jsonl", plans[:2])
    with pytest.raises(UserError, match="wanted the scored mixture m02, found none"):
        listening(folder, row, scores, folders)
