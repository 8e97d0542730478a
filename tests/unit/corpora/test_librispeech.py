import os
import shutil
from pathlib import Path

import pytest

from wesep_mix import config
from wesep_mix.corpora import librispeech
from wesep_mix.corpora.librispeech import Config, collect
from wesep_mix.corpora.noise import NoiseConfig
from wesep_mix.errors import UserError

NOISE = NoiseConfig(files_per_kind=1, seconds=1.0)
REAL = Path(__file__).parents[3] / ".." / "shared" / "data" / "LibriSpeech"


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


def test_split_depends_on_the_seed_alone(speech_folder, tmp_path):
    def split(seed, root=speech_folder):
        return _speakers(
            collect(Config(speech_dir=str(root), seed=seed, noise=NOISE), tmp_path / str(seed), nj=1)
        )

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
    with pytest.raises(UserError, match="hello there.flac: wanted a name without blanks"):
        librispeech.read_speech_folder(speech_folder)


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
    with pytest.raises(
        UserError, match=r"wanted subset test-other, found dev-clean, test-clean, train-clean-100"
    ):
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
