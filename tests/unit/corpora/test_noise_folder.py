import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.corpora.sources.noise import noise_files
from wesep_mix.corpora.sources.splits import Split
from wesep_mix.io.folders import existing_folder


def _touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def _ids(files):
    return {name: [file.id for file in items] for name, items in files.items()}


def test_files_are_split_for_good(tmp_path):
    root = _touch(tmp_path, *(f"street/{number:02d}.wav" for number in range(20)), "notes.txt", ".hidden.wav")
    files = noise_files(root, Split(dev=0.1, test=0.2), seed=0)
    assert [len(files[name]) for name in ("train", "dev", "test")] == [14, 2, 4]
    assert len({file.path for items in files.values() for file in items}) == 20
    assert files == noise_files(root, Split(dev=0.1, test=0.2), seed=0)
    assert {file.kind for file in files["train"]} == {"street"}


def test_wham_keeps_its_own_split(tmp_path):
    root = _touch(tmp_path, "tr/a.wav", "tr/b c.wav", "cv/a.wav", "tt/a.wav")
    assert _ids(noise_files(root, Split(), 0)) == {
        "train": ["tr-a.wav", "tr-b_c.wav"], "dev": ["cv-a.wav"], "test": ["tt-a.wav"],
    }  # fmt: skip


def test_musan_is_taken_without_its_speech(tmp_path):
    root = _touch(tmp_path, *(f"{kind}/x/{n}.flac" for kind in ("music", "noise", "speech") for n in range(4)))
    kinds = {file.kind for items in noise_files(root, Split(), 0).values() for file in items}
    assert kinds == {"music", "noise"}


def test_too_little_noise_is_told(tmp_path):
    with pytest.raises(UserError, match="wanted a folder"):
        noise_files(tmp_path / "absent", Split(), 0)
    with pytest.raises(UserError, match="found no such file"):
        noise_files(tmp_path, Split(), 0)
    with pytest.raises(UserError, match="noise files: wanted at least 3 .* found 2"):
        noise_files(_touch(tmp_path, "a.wav", "b.wav"), Split(), 0)


def test_no_name_is_not_the_working_directory():
    with pytest.raises(UserError, match="^corpus: wanted the name of a folder, found none; set it in corpus.yaml"):
        existing_folder("")
