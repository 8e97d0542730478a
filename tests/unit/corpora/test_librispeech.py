import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from places import SHARED

from wesep_mix.base import config
from wesep_mix.base.errors import UserError
from wesep_mix.corpora import librispeech
from wesep_mix.corpora.librispeech import Config, collect
from wesep_mix.corpora.sources import splits
from wesep_mix.corpora.sources.noise import NoiseConfig
from wesep_mix.io.audio import write_audio

NOISE = NoiseConfig(files_per_kind=1, seconds=1.0)
REAL = SHARED / "data" / "LibriSpeech"


def _speakers(corpus):
    return {name: {utterance.speaker for utterance in items} for name, items in corpus.speech.items()}


def test_speakers_of_all_subsets_are_split_and_noise_is_generated(speech_folder, tmp_path):
    corpus = collect(Config(speech_dir=str(speech_folder), noise=NOISE), tmp_path / "work", nj=1)
    sets = _speakers(corpus)
    assert sorted(speaker for names in sets.values() for speaker in names) == [
        "11",
        "12",
        "13",
        "14",
        "21",
        "22",
    ]
    assert [len(sets[name]) for name in ("train", "dev", "test")] == [4, 1, 1]
    utterance = next(item for items in corpus.speech.values() for item in items if item.id == "12-7-0001")
    assert (utterance.sex, utterance.path.name) == ("F", "12-7-0001.flac")
    assert {file.kind for file in corpus.noise["dev"]} == {"babble", "coloured", "modulated"}
    assert all(file.path.is_relative_to(tmp_path / "work" / "noise") for file in corpus.noise["train"])


def test_the_speakers_of_another_corpus_are_added_under_names_of_their_own(speech_folder, tmp_path):
    more = tmp_path / "other corpus"
    for speaker in ("11", "99"):  # one of them is called as one of the first corpus
        (more / speaker / "0").mkdir(parents=True)
        soundfile.write(
            more / speaker / "0" / f"{speaker}-0-0000.opus", np.zeros(1600), 16000, format="OGG", subtype="OPUS"
        )
    named = Config(speech_dir=str(speech_folder), more_speech_dir=str(more), noise=NOISE)
    corpus = collect(named, tmp_path / "work", nj=1)
    speakers = set().union(*_speakers(corpus).values())
    assert speakers == {"11", "12", "13", "14", "21", "22", "other_corpus_11", "other_corpus_99"}
    ids = [item.id for items in corpus.speech.values() for item in items if item.speaker == "other_corpus_11"]
    assert ids == ["other_corpus_11-0-11-0-0000"]
    with pytest.raises(UserError, match="gone: wanted a folder"):
        librispeech.check_folders(dataclasses.replace(named, more_speech_dir=str(tmp_path / "gone")))
    with pytest.raises(ValueError, match="more_speech_dir and subsets: wanted one of them"):
        dataclasses.replace(named, subsets={name: ("dev-clean",) for name in ("train", "dev", "test")})


def test_split_depends_on_the_seed_alone(speech_folder, tmp_path):
    def split(seed, root=speech_folder):
        return _speakers(collect(Config(speech_dir=str(root), seed=seed, noise=NOISE), tmp_path / str(seed), nj=1))

    copy = shutil.copytree(speech_folder, tmp_path / "elsewhere")
    assert split(0) == split(0, copy)
    assert len({str(sorted(split(seed)["test"])) for seed in range(8)}) > 1


def test_the_folder_above_and_a_single_subset_are_accepted(speech_folder):
    assert set(librispeech.read_speech_folder(speech_folder.parent)) == {"train-clean-100", "dev-clean"}
    one = librispeech.read_speech_folder(speech_folder / "dev-clean")
    assert {(item.speaker, item.sex) for item in one[""]} == {("21", "M"), ("22", "F")}


def test_files_that_are_not_named_after_their_speaker(speech_folder):
    chapter = speech_folder / "dev-clean" / "21" / "7"
    (chapter / "21-7-0000.flac").rename(chapter / "hello.FLAC")
    (speech_folder / "SPEAKERS.TXT").unlink()
    found = librispeech.read_speech_folder(speech_folder)["dev-clean"]
    assert ("21-7-hello", "U") in {(item.id, item.sex) for item in found}
    (chapter / "hello.FLAC").rename(chapter / "hello there.flac")
    subsets = {"train": ("train-clean-100",), "dev": ("dev-clean",), "test": ("train-clean-100",)}
    with pytest.raises(UserError, match="hello there.flac: wanted a name without blanks"):
        collect(Config(speech_dir=str(speech_folder), noise=NOISE, subsets=subsets), chapter / "work", nj=1)


def test_named_subsets(speech_folder, tmp_path):
    third = shutil.copytree(speech_folder / "dev-clean" / "22", speech_folder / "test-clean" / "31")
    for path in third.rglob("*.flac"):
        path.rename(path.with_name(path.name.replace("22-", "31-")))
    subsets = {"train": ["train-clean-100"], "dev": ["dev-clean"], "test": ["test-clean"]}
    raw = {
        "name": "librispeech",
        "speech_dir": str(speech_folder),
        "subsets": subsets,
        "noise": {"files_per_kind": 1},
    }
    corpus = collect(config.from_dict(Config, raw, "conf"), tmp_path / "work", nj=1)
    assert _speakers(corpus) == {"train": {"11", "12", "13", "14"}, "dev": {"21", "22"}, "test": {"31"}}
    raw["subsets"] = subsets | {"test": ["test-other"]}
    with pytest.raises(UserError, match=r"wanted subset test-other, found dev-clean, test-clean, train-clean-100"):
        collect(config.from_dict(Config, raw, "conf"), tmp_path / "work", nj=1)
    with pytest.raises(UserError, match="subsets: wanted names"):
        config.from_dict(Config, raw | {"subsets": {"train": ["train-clean-100"]}}, "conf")


def test_bad_folders_are_told_in_one_line(speech_folder, tmp_path):
    def message(**settings):
        with pytest.raises(UserError) as caught:
            collect(Config(noise=NOISE, **settings), tmp_path / "work", nj=1)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    (tmp_path / "empty").mkdir()
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(next(speech_folder.rglob("*.flac")), flat / "a.flac")
    lone = shutil.copytree(speech_folder / "dev-clean", tmp_path / "lone" / "dev-clean")
    assert "--librispeech DIR" in message()
    assert "nothing of that name" in message(speech_dir=str(tmp_path / "absent"))
    assert "found a file" in message(speech_dir=str(speech_folder / "SPEAKERS.TXT"))
    assert "speaker/chapter/*.flac" in message(speech_dir=str(tmp_path / "empty"))
    assert "1 audio files elsewhere, such as a.flac" in message(speech_dir=str(flat))
    assert "speakers: wanted at least 3" in message(speech_dir=str(lone))


def _named(speech_folder, tmp_path, **settings):
    """Config of named subsets, MUSAN and WHAM! noise; the folders hold one noise of each kind."""
    third = speech_folder / "test-clean" / "31" / "7"
    third.mkdir(parents=True, exist_ok=True)
    shutil.copy(speech_folder / "dev-clean/22/7/22-7-0000.flac", third / "31-7-0000.flac")
    for place in ("musan/noise/free-sound", "musan/music/fma", "wham_noise/cv", "wham_noise/tt"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        write_audio(tmp_path / place / f"{Path(place).name}-0.wav", np.zeros(1600, np.float32))
    subsets = {"train": ("train-clean-100",), "dev": ("dev-clean",), "test": ("test-clean",)}
    noises = {"train": ("musan/noise",), "dev": ("wham/cv",), "test": ("wham/tt",)}
    given = {"speech_dir": str(speech_folder), "musan_dir": str(tmp_path), "wham_dir": str(tmp_path / "wham_noise"),
             "subsets": subsets, "noises": noises}  # fmt: skip
    return Config(**given | settings)


def test_noise_is_chosen_by_kind(speech_folder, tmp_path):
    corpus = collect(_named(speech_folder, tmp_path), tmp_path / "work", nj=1)
    assert {name: [(file.id, file.kind) for file in files] for name, files in corpus.noise.items()} == {
        "train": [("free-sound-0", "musan/noise/free-sound")], "dev": [("cv-cv-0", "wham/cv")],
        "test": [("tt-tt-0", "wham/tt")],
    }  # fmt: skip
    assert _speakers(corpus)["test"] == {"31"}
    assert not (tmp_path / "work" / "noise").exists()


def test_everything_that_is_wrong_is_told_at_once(speech_folder, tmp_path, capsys):
    config_ = _named(speech_folder, tmp_path, wham_dir="", whole=True)
    shutil.rmtree(speech_folder / "test-clean")
    shutil.copytree(speech_folder / "dev-clean", speech_folder / "dev-other")
    (tmp_path / "musan/noise/free-sound/free-sound-0.wav").write_bytes(b"")
    (speech_folder / "dev-clean/21/7/21-7-0000.flac").write_text("no audio")
    with pytest.raises(UserError) as caught:
        collect(config_, tmp_path / "work", nj=1)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("problem: ")]
    wanted = (
        "wanted subset test-clean, found dev-clean, dev-other, train-clean-100",
        "train-clean-100: wanted 28539 files of 251 speakers, found 8 of 4",
        "dev-clean: wanted 2703 files of 40 speakers, found 4 of 2", "wham_dir is not set",
        "musan/noise/free-sound: wanted 843 files, found 1", "sound-bible: wanted 87 files, found 0",
        "dev speech: ", "21-7-0000.flac: cannot be read as audio",
        "train noise: ", "free-sound-0.wav: empty",
    )  # fmt: skip
    assert [part for part in wanted if not any(part in line for line in told)] == []
    assert len(told) == 8 and not any("dev-other:" in line for line in told)
    message = str(caught.value)
    assert message.startswith("8 problems") and "\n" not in message
    for advice in ("download_corpora.sh", "corpus.corpus.whole=false", "corpus.max_bad=1"):
        assert message.count(advice) == 1
    assert not (tmp_path / "work").exists()


def test_a_whole_corpus_passes_and_others_pass_when_whole_is_not_wanted(speech_folder, tmp_path, monkeypatch):
    config_ = _named(speech_folder, tmp_path)
    collect(config_, tmp_path / "work", nj=1)
    published = {"train-clean-100": (8, 4), "dev-clean": (4, 2), "test-clean": (1, 1), "dev-other": (9, 9)}
    monkeypatch.setattr(splits, "LIBRISPEECH", published)
    monkeypatch.setattr(splits, "NOISE", {"musan/noise/free-sound": 1, "musan/music": 9, "wham/cv": 1, "wham/tt": 1})
    collect(dataclasses.replace(config_, whole=True), tmp_path / "work", nj=1)
    monkeypatch.setattr(splits, "LIBRISPEECH", published | {"dev-clean": (4, 3)})
    with pytest.raises(UserError, match="dev-clean: wanted 4 files of 3 speakers, found 4 of 2"):
        collect(dataclasses.replace(config_, whole=True), tmp_path / "work", nj=1)


def test_as_many_damaged_files_a_list_as_max_bad_says(speech_folder, tmp_path):
    config_ = _named(speech_folder, tmp_path)
    bad = [speech_folder / f"train-clean-100/11/7/11-7-000{n}.flac" for n in range(2)]
    bad[0].write_bytes(b"")
    with pytest.raises(UserError, match=f"train speech: {bad[0]}: empty.*corpus.max_bad=1 leaves them out"):
        collect(config_, tmp_path / "work", nj=1)
    corpus = collect(config_, tmp_path / "work", nj=1, max_bad=1)
    assert bad[0] in {item.path for item in corpus.speech["train"]}  # stage 1 names it and leaves it out
    bad[1].write_bytes(b"")
    with pytest.raises(UserError, match="^2 problems.*corpus.max_bad=2"):
        collect(config_, tmp_path / "work", nj=1, max_bad=1)


def test_of_many_damaged_files_the_first_are_told(speech_folder, tmp_path, capsys):
    config_ = _named(speech_folder, tmp_path)
    folder = speech_folder / "train-clean-100/11/7"
    for number in range(30):
        (folder / f"11-7-{number:04d}.flac").write_bytes(b"")
    with pytest.raises(UserError, match="^21 problems.*corpus.max_bad=30"):
        collect(config_, tmp_path / "work", nj=1)
    assert "problem: train speech: 10 more damaged files" in capsys.readouterr().err


def test_settings_that_contradict_each_other(speech_folder, tmp_path):
    with pytest.raises(ValueError, match="noise_dir and noises: wanted one of them"):
        _named(speech_folder, tmp_path, noise_dir="x")
    with pytest.raises(ValueError, match="noises: wanted each kind once"):
        _named(speech_folder, tmp_path, noises={"train": ("wham/tt",), "dev": ("wham/cv",), "test": ("wham/tt",)})


def test_only_the_subsets_that_are_wanted_are_looked_into(speech_folder):
    locked = speech_folder / "dev-clean" / "21" / "7"
    (locked / "one-more.flac").touch()
    assert set(librispeech.read_speech_folder(speech_folder, ["train-clean-100"])) == {"train-clean-100"}
    both = librispeech.read_speech_folder(speech_folder, ["train-clean-100", "dev-clean"])
    assert "21-7-one-more" in {item.id for item in both["dev-clean"]}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_unreadable_folder_is_named(speech_folder, tmp_path):
    locked = speech_folder / "dev-clean" / "21"
    locked.chmod(0)
    try:
        with pytest.raises(UserError, match="21: cannot be read"):
            collect(Config(speech_dir=str(speech_folder), noise=NOISE), tmp_path / "work", nj=1)
    finally:
        locked.chmod(0o755)


@pytest.mark.skipif(not REAL.is_dir(), reason="no LibriSpeech in ../shared/data")
def test_real_speech(tmp_path):
    corpus = collect(Config(speech_dir=str(REAL), noise=NOISE), tmp_path, nj=1)
    sets = _speakers(corpus)
    assert [len(sets[name]) for name in ("train", "dev", "test")] == [188, 25, 38]
    assert {utterance.sex for utterance in corpus.speech["test"]} == {"F", "M"}


@pytest.mark.skipif(not REAL.is_dir(), reason="no LibriSpeech in ../shared/data")
def test_published_numbers_of_speakers_are_those_of_the_real_table():
    lines = (REAL / "SPEAKERS.TXT").read_text(encoding="utf-8").splitlines()
    subsets = [line.split("|")[2].strip() for line in lines if not line.startswith(";")]
    assert {name: subsets.count(name) for name in set(subsets)} == {
        name: num_speakers for name, (_, num_speakers) in splits.LIBRISPEECH.items()
    }


@pytest.mark.parametrize("speakers, names", [
    (["12", "13", "12a"], {}), (["a-b", "c"], {}), (["12", "12+"], {"12+": "12_"}), (["a", "a#1", "a-b", "b"],
     {"a#1": "a_1", "a-b": "a_b"}), (["x", "x y"], {"x y": "x_y"}), (["12", "12.1", "12_1"], {}),
    (["a", "a-b", "a-b-c"], {"a-b": "a_b", "a-b-c": "a_b_c"}),
])  # fmt: skip
def test_speakers_are_renamed_where_utterances_would_not_sort_as_they_do(speakers, names):
    found = librispeech.kaldi_names(speakers)
    assert found == {speaker: speaker for speaker in speakers} | names
    by_utterance = sorted((f"{name}-{rest}", name) for name in found.values() for rest in ("0", "z"))
    assert by_utterance == sorted(by_utterance, key=lambda row: (row[1], row[0]))


def test_two_speakers_that_would_be_called_alike_are_refused():
    for others in (["a", "a-b", "a_b"], ["a", "a-b", "a+b"]):
        with pytest.raises(UserError, match="speaker a-b: wanted a name whose utterances sort|and a_b is another"):
            librispeech.kaldi_names(others)


def test_utterances_of_a_renamed_speaker_begin_with_the_new_name(speech_folder, capsys):
    (speech_folder / "dev-clean" / "21").rename(speech_folder / "dev-clean" / "22+")
    found = librispeech.read_speech_folder(speech_folder)["dev-clean"]
    assert {(item.id, item.speaker) for item in found if item.path.parts[-3] == "22+"} == {
        ("22_-7-21-7-0000", "22_"),
        ("22_-7-21-7-0001", "22_"),
    }
    assert (
        "note: 1 speakers get other names, so that their utterances sort as Kaldi wants: 22+ is 22_"
        in capsys.readouterr().out
    )


def test_another_layout_is_told_by_what_was_taken_for_a_speaker(speech_folder, tmp_path):
    """VCTK's: wav48/p225/p225_001.wav."""
    for place, path in enumerate(sorted(speech_folder.rglob("*.flac"))):
        (tmp_path / "vctk" / "wav48" / f"p{place}").mkdir(parents=True)
        shutil.copy(path, tmp_path / "vctk" / "wav48" / f"p{place}" / "a.flac")
    with pytest.raises(UserError) as caught:
        collect(Config(speech_dir=str(tmp_path / "vctk"), noise=NOISE), tmp_path / "work", nj=1)
    said = str(caught.value)
    assert f"found 1; taken for a speaker: wav48 of {tmp_path}/vctk/wav48/p0/a.flac; wanted speech as [subset/]" in said


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines"])
def test_a_folder_whose_name_lists_cannot_hold_is_told_once(speech_folder, tmp_path, name):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    shutil.copytree(speech_folder, folder)
    with pytest.raises(UserError) as caught:
        librispeech.check_folders(Config(speech_dir=folder))
    assert "wanted a name in UTF-8" in str(caught.value) and str(caught.value).isprintable()
