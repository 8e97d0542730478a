"""MUSAN and WHAM! as they are unpacked, and noise of each set chosen from them by kind."""

import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.corpora.sources import noise_parts, splits
from wesep_mix.corpora.sources.entries import Problems
from wesep_mix.corpora.sources.noise_parts import check_choice, read_noises

CHOICE = {"train": ("musan/noise/free-sound", "musan/music"), "dev": ("wham/cv",), "test": ("wham/tt",)}


def _touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.fixture
def musan_folder(tmp_path):
    return _touch(
        tmp_path / "musan", "README", "noise/LICENSE", "noise/ANNOTATIONS",
        *(f"noise/free-sound/noise-free-sound-{n:04d}.wav" for n in range(3)),
        "noise/sound-bible/noise-sound-bible-0001.wav", "music/fma/music-fma-0002.wav",
        "music/jamendo/music-j-0002.wav", "speech/us-gov/speech-us-gov-0001.wav",
    )  # fmt: skip


@pytest.fixture
def wham_folder(tmp_path):
    return _touch(
        tmp_path / "wham_noise", "metadata/noise_meta_tr.csv",
        "tr/40na010x_1.9857_01xo031a_-1.9857.wav", "tr/40na010x_1.9857_01xo031a_-1.9857sp08.wav",
        "tr/40na010x_1.9857_01xo031a_-1.9857sp12.wav", "cv/40n_0.1_b_-0.1.wav", "tt/40n_0.1_b_-0.1.wav",
    )  # fmt: skip


def _choose(noises, whole=False, **folders):
    problems = Problems()
    folders = {"musan": "", "wham": ""} | {name: str(folder) for name, folder in folders.items()}
    return read_noises(noises, folders, whole, problems), problems


def test_musan_is_listed_by_part_from_its_folder_or_the_one_above(musan_folder):
    files = noise_parts.musan_files(musan_folder)
    assert {(file.id, file.kind) for file in files if file.id.startswith("music")} == {
        ("music-fma-0002", "musan/music/fma"), ("music-j-0002", "musan/music/jamendo"),
    }  # fmt: skip
    assert sorted(file.kind for file in files) == [
        "musan/music/fma", "musan/music/jamendo", *["musan/noise/free-sound"] * 3, "musan/noise/sound-bible",
        "musan/speech/us-gov",
    ]  # fmt: skip
    assert noise_parts.musan_files(musan_folder.parent) == files
    assert all(file.path.is_file() for file in files)


def test_wham_is_listed_without_the_copies_of_other_speed(wham_folder):
    files = noise_parts.wham_files(wham_folder)
    assert [(file.id, file.kind) for file in files] == [
        ("tr-40na010x_1.9857_01xo031a_-1.9857", "wham/tr"),
        ("cv-40n_0.1_b_-0.1", "wham/cv"),
        ("tt-40n_0.1_b_-0.1", "wham/tt"),
    ]
    assert noise_parts.wham_files(wham_folder.parent) == files


@pytest.mark.parametrize(
    ("reader", "option"), [(noise_parts.musan_files, "--musan DIR"), (noise_parts.wham_files, "--wham DIR")]
)
def test_another_folder_is_told(reader, option, tmp_path):
    with pytest.raises(UserError, match=f"wanted a folder with .* in it .{option}"):
        reader(tmp_path)
    with pytest.raises(UserError, match="absent: wanted a folder, found nothing"):
        reader(tmp_path / "absent")


def test_each_set_has_the_kinds_under_its_prefixes(musan_folder, wham_folder):
    noise, problems = _choose(CHOICE, musan=musan_folder, wham=wham_folder)
    problems.refuse()
    assert {name: sorted({file.kind for file in files}) for name, files in noise.items()} == {
        "train": ["musan/music/fma", "musan/music/jamendo", "musan/noise/free-sound"],
        "dev": ["wham/cv"], "test": ["wham/tt"],
    }  # fmt: skip
    assert len(noise["train"]) == 5


def test_a_corpus_that_nobody_chose_from_need_not_be_there(wham_folder):
    noise, problems = _choose({"train": ("wham/tr",), "dev": ("wham/cv",), "test": ("wham/tt",)}, wham=wham_folder)
    assert problems.lines == [] and [len(files) for files in noise.values()] == [1, 1, 1]


def test_folders_that_are_not_named_and_kinds_that_match_nothing(musan_folder):
    noises = CHOICE | {"train": ("musan/noise/free", "musan/noise/sound-bible")}
    _, problems = _choose(noises, musan=musan_folder)
    kind, folder = problems.lines
    assert f"--musan {musan_folder}: no noise of kind musan/noise/free (there are: musan/music/fma, " in kind
    assert "wham_dir is not set, and its noise is wanted: name the folder with --wham DIR" in folder


def test_whole_corpora_have_their_published_numbers(musan_folder, wham_folder):
    _, problems = _choose(CHOICE | {"train": ("musan/noise",)}, whole=True, musan=musan_folder, wham=wham_folder)
    assert [line.split(": ", 1)[1] for line in problems.lines] == [
        "musan/noise/free-sound: wanted 843 files, found 3", "musan/noise/sound-bible: wanted 87 files, found 1",
        "wham/cv: wanted 5000 files, found 1", "wham/tt: wanted 3000 files, found 1",
    ]  # fmt: skip
    assert _choose(CHOICE, whole=False, musan=musan_folder, wham=wham_folder)[1].lines == []
    (musan_folder / "noise/sound-bible/noise-sound-bible-0001.wav").unlink()
    _, problems = _choose(CHOICE | {"train": ("musan/noise",)}, whole=True, musan=musan_folder, wham=wham_folder)
    assert any("sound-bible: wanted 87 files, found 0" in line for line in problems.lines)


def test_a_part_of_a_published_part_is_checked_with_the_whole_of_it(musan_folder):
    assert splits.noise_shortfalls(noise_parts.musan_files(musan_folder), ["musan/music/fma"]) == [
        "musan/music: wanted 660 files, found 2"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": ()}, "wanted kinds for each of train, dev, test"),
        ({"tests": ("wham/tt",)}, "wanted kinds for each of train, dev, test"),
        ({"test": ("demand/bus",)}, "wanted kinds such as .*, found 'demand/bus'"),
        ({"test": ("wham/cv",)}, "wanted each kind once, found wham/cv in dev, wham/cv in test"),
        ({"test": ("musan",)}, "found musan/noise/free-sound in train, musan in test"),
        ({"test": ("musan/music/fma",)}, "found musan/music in train, musan/music/fma in test"),
    ],
)
def test_choices_that_make_no_sense(change, message):
    check_choice(CHOICE)
    with pytest.raises(ValueError, match=message):
        check_choice(CHOICE | change)
