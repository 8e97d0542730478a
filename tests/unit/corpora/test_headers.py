import numpy as np
import pytest

from wesep_mix.corpora.sources.folders import bad_headers
from wesep_mix.io.audio import write_audio


@pytest.mark.parametrize("nj", [1, 2])
def test_damaged_files_are_found_in_their_lists(tmp_path, nj):
    good, slow, empty, text, absent = (tmp_path / f"{name}.wav" for name in "good slow empty text absent".split())
    write_audio(good, np.zeros(160, np.float32))
    write_audio(slow, np.zeros(80, np.float32), 8000)
    empty.touch()
    text.write_text("no audio")
    bad = bad_headers({"dev speech": [good, slow, empty], "dev noise": [text, absent, good], "test noise": [good]}, nj)
    assert {title: list(files) for title, files in bad.items()} == {
        "dev speech": [slow, empty], "dev noise": [text, absent], "test noise": [],
    }  # fmt: skip
    assert f"{slow}: wanted 16000 Hz, found 8000 Hz" in bad["dev speech"][slow]
    assert f"{empty}: empty" in bad["dev speech"][empty]
    assert f"{text}: cannot be read as audio" in bad["dev noise"][text]


def test_no_files_at_all():
    assert bad_headers({}, 1) == {}
    assert bad_headers({"dev speech": []}, 1) == {"dev speech": {}}
