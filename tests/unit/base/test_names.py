import os

import pytest

from wesep_mix.base.files import atomic_path
from wesep_mix.base.names import MAX_SPEAKER, bytes_of_file, mixture_id, path_problem, utterance_problem
from wesep_mix.io.audio import read_audio, write_audio

LIBRISPEECH = "reader_06709-book_00000-book_00000_chp_0009_reader_06709_0"


@pytest.mark.parametrize("utts", [["103-1240-0000"] * 2, ["8297-275156-0013"] * 3, [LIBRISPEECH] * 3, ["测" * 25] * 2])
def test_mixtures_whose_files_can_be_called_so_keep_their_names(utts):
    name = "_".join(utts)
    assert mixture_id(name, ["103"] * len(utts)) == name


@pytest.mark.parametrize(
    "utts, speaker",
    [
        ([LIBRISPEECH] * 5, "06709"),
        (["测" * 43] * 2, "12"),
        (["x" * 129, "y" * 129], "z" * MAX_SPEAKER),
        (["u" * 238], "s"),
        (["é" * 99] * 3, "ab"),
    ],
)
def test_a_mixture_of_long_names_gets_one_that_all_its_files_can_have(tmp_path, utts, speaker):
    whole, speakers = "_".join(utts), [speaker] * len(utts)
    name = mixture_id(whole, speakers)
    assert name == mixture_id(whole, speakers) != mixture_id(f"{whole}-1", speakers)
    assert name.encode().decode() == name and whole.startswith(name[:70]) and bytes_of_file(name, speakers) <= 255
    path = tmp_path / f"{name}-{speaker}.wav"
    with atomic_path(path) as temporary:
        assert len(os.fsencode(temporary.name)) <= 255
        temporary.touch()
    assert path.is_file()


def test_different_mixtures_that_begin_alike_have_different_names():
    names = {mixture_id("_".join(["a" * 200, "b" * 100 + str(k)]), ["s"]) for k in range(50)}
    assert len(names) == 50


@pytest.mark.parametrize(
    "name, shown",
    [
        ("caf\udce9", r"caf\xe9"),
        ("two\nlines", r"two\nlines"),
        ("f\x0cf", r"f\x0cf"),
        ("tab\t", r"tab\t"),
        ("sep\u2028", r"sep\u2028"),
        ("esc\x1b[31m", r"esc\x1b[31m"),
        ("nel\x85", r"nel\x85"),
    ],
)
def test_a_path_that_tables_cannot_hold_is_told_on_one_line(name, shown):
    problem = path_problem(f"/c/{name}/a.wav")
    assert problem.startswith(f"/c/{shown}/a.wav: wanted a name in UTF-8") and problem.isprintable()
    assert utterance_problem("1-a", "1", f"/c/{name}/a.wav") == problem
    assert shown in utterance_problem(f"1-{name}", "1", "/a.wav")


def test_other_names_are_no_problem():
    for name in ("plain", "two words", "日本語", "naïve", "a#b:c", "zero\u200djoiner", "x" * 255):
        assert path_problem(f"/c/{name}/a.wav") == ""


@pytest.mark.parametrize(
    "utt, speaker, wanted",
    [
        ("1-a b", "1", "without blanks"),
        ("1-a ", "1", "without blanks"),
        ("1-\u3000", "1", "without blanks"),
        ("s", "s" * (MAX_SPEAKER + 1), "at most 100 bytes, found 101"),
        ("s", "测" * 34, "found 102"),
    ],
)
def test_names_of_utterances_and_speakers(utt, speaker, wanted):
    assert wanted in utterance_problem(utt, speaker, "/c/a.wav")


def test_audio_of_a_name_that_is_not_utf_8_is_read_and_written(tmp_path, buzz):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    write_audio(path, buzz(100, 0.1))
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9.wav"] and len(read_audio(path)) == 1600
