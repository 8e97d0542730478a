import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_json
from wesep_mix.io.roots import Roots, name_corpus, read_roots, roots_of, write_roots

FOLDERS = {"speech": "/c/LS", "noise": "/c/LS/noise", "generated": "data/x/corpus"}


@pytest.mark.parametrize(
    "path, short",
    [
        ("/c/LS/84/a b.flac", "speech:84/a b.flac"),
        ("/c/LS/noise/n:1.wav", "noise:n:1.wav"),  # of the innermost
        ("/c/LS2/84/a.flac", "/c/LS2/84/a.flac"),
        ("data/x/corpus/noise/b.wav", "generated:noise/b.wav"),
        ("/d:e/f.wav", "/d:e/f.wav"),
        ("d/e:f.wav", "d/e:f.wav"),
    ],
)
def test_paths_go_and_come_back(tmp_path, path, short):
    roots = Roots(tmp_path / "roots.json", FOLDERS)
    assert roots.short(path) == short and roots.full(short) == path


def test_a_root_that_has_moved_is_one_edited_line(tmp_path):
    write_roots(tmp_path, FOLDERS)
    text = (tmp_path / "roots.json").read_text()
    assert '\n  "speech": "/c/LS"\n' in text
    (tmp_path / "roots.json").write_text(text.replace('"/c/LS"', '"/new/place/"'))
    assert read_roots(tmp_path).full("speech:84/a.flac") == "/new/place/84/a.flac"


def test_an_unknown_root_is_told_with_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r'^musan:a.wav: wanted .* folder of musan, write "musan": "FOLDER" into '):
        Roots(tmp_path / "roots.json", FOLDERS).full("musan:a.wav")


def test_an_older_relative_path_with_a_colon_is_that_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b.wav").touch()
    assert Roots(tmp_path / "roots.json").full("a:b.wav") == "a:b.wav"


@pytest.mark.parametrize("text, said", [("{", "not valid JSON .*; mend it"), ("[1]", "wanted a folder for each"),
                                        ('{"speech": 3}', "wanted a folder for each name.*; mend it")])  # fmt: skip
def test_a_damaged_file_is_told(tmp_path, text, said):
    (tmp_path / "roots.json").write_text(text)
    with pytest.raises(UserError, match=said):
        read_roots(tmp_path)


def test_a_set_finds_the_roots_of_its_corpus(tmp_path):
    shared, own = tmp_path / "one", tmp_path / "two"
    write_roots(shared / "corpus", FOLDERS)
    name_corpus(own / "2mix", shared / "corpus")
    for folder in (shared / "2mix" / "dev", shared / "corpus" / "lists" / "dev", own / "2mix" / "dev"):
        assert roots_of(folder).folders == FOLDERS and roots_of(folder).file == shared / "corpus" / "roots.json"
    assert roots_of(own / "3mix" / "dev").folders == {}


def test_decoded_audio_takes_the_place_of_its_files(tmp_path):
    write_roots(tmp_path, FOLDERS)
    write_json(tmp_path / "decoded" / "originals.json", ["noise:n.wav"])
    roots = read_roots(tmp_path)
    for short, full in {"speech:84/a.flac": f"{tmp_path}/decoded/speech/84/a.flac.wav",
                        "noise:n.wav": "/c/LS/noise/n.wav", "/other/a.wav": "/other/a.wav"}.items():  # fmt: skip
        assert roots.full(short) == full and roots.short(full) == short


def test_decoded_audio_of_an_older_revision_is_told(tmp_path):
    (tmp_path / "decoded").mkdir()
    (tmp_path / "decoded" / "index.npy").touch()
    with pytest.raises(UserError, match="decoded: holds decoded audio in the form of an older revision; remove that "):
        read_roots(tmp_path)
