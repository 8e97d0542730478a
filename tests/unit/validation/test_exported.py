"""An exported tree is held to its plan: every wav there, of the planned length, what the plan renders to."""

import numpy as np
import pytest
import soundfile

from wesep_mix.bin.export_data import main as export
from wesep_mix.mixing.plan import read_plans
from wesep_mix.validation.check import check_folder


@pytest.fixture(params=("max", "min"))
def tree(folder, request):
    """OUT/Libri2Mix/wav16k/MODE, with the set test-clean in it."""
    out = folder.parent / "export"
    assert (
        export(
            [
                "--format",
                "librimix",
                "--data",
                str(folder / "2mix"),
                "--set_name",
                "test",
                "--out",
                str(out),
                "--mode",
                request.param,
                "--subset",
                "test-clean",
            ]
        )
        == 0
    )
    return out / "Libri2Mix" / "wav16k" / request.param


def texts(tree, **options):
    """What is said of the audio beside its plans; that files are not as the export wrote them is said of folders."""
    problems = check_folder(tree.parents[2], **options).problems
    assert {problem.of for problem in problems} <= {"exported audio", "folders"}, problems
    return [problem.text for problem in problems if problem.of == "exported audio"]


def a_wav(tree, name):
    return sorted((tree / "test-clean" / name).iterdir())[1]


def test_a_good_tree(tree):
    assert texts(tree) == [] == texts(tree, quick=True)
    assert check_folder(tree).sets[0].title == f"Libri2Mix/{tree.name}/test-clean"


def test_another_sample(tree):
    path = a_wav(tree, "s2")
    samples, rate = soundfile.read(path, dtype="int16")
    samples[100] += 3
    soundfile.write(path, samples, rate)
    assert texts(tree, quick=True) == []
    [text] = texts(tree)
    assert text.startswith(f"{path}: wanted what the plan renders to, ") and "at sample 100, found" in text


def test_a_level_that_was_changed(tree):
    """As a normaliser would, 0.1 dB."""
    path = a_wav(tree, "mix_both")
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples * 10 ** (0.1 / 20), rate)
    assert [text.split(":")[0] for text in texts(tree)] == [str(path)]


@pytest.mark.parametrize("quick", (False, True))
def test_missing_cut_and_strange_wavs(tree, quick):
    missing, cut, strange = a_wav(tree, "noise"), a_wav(tree, "mix_clean"), tree / "test-clean" / "s1" / "other.wav"
    missing.unlink()
    samples, rate = soundfile.read(cut)
    soundfile.write(cut, samples[:-1], rate)
    soundfile.write(strange, np.zeros(10), rate)
    found = texts(tree, quick=quick)
    assert len(found) == 3
    assert found[0].startswith(f"{strange}: wanted wavs of mixtures in plan.jsonl alone")
    assert f"{missing}: wanted the wav of a mixture" in found[1] + found[2]
    assert f"{cut}: wanted {len(samples)} samples as planned, found {len(samples) - 1}" in found[1] + found[2]


def test_a_tree_of_another_plan(tree, folder, edit):
    """Same ids and lengths, another gain."""
    path = tree / "test-clean" / "plan.jsonl"
    row = edit(
        path,
        0,
        lambda row: row["sources"][0].update(
            gain=row["sources"][0]["gain"] * 2, lufs=row["sources"][0]["lufs"] + 20 * np.log10(2)
        ),
    )
    found = texts(tree)
    assert len(found) >= 4 and all(f"/{row['id']}.wav: wanted what the plan renders to" in text for text in found)
    assert read_plans(folder / "2mix" / "test" / "plan.jsonl")[0].id == row["id"]


def test_talkers_as_the_tree_is_called(tree, edit):
    row = edit(tree / "test-clean" / "plan.jsonl", 0, lambda row: row["sources"].pop())
    problems = [problem.text for problem in check_folder(tree).problems if problem.of == "plans"]
    assert any(f"mixture {row['id']}: wanted 2 sources in Libri2Mix/{tree.name}, found 1" in text for text in problems)
