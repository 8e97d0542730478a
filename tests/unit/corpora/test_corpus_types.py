from pathlib import Path

import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.corpora.sources.entries import Corpus, NoiseFile, Utterance, check_corpus


def _corpus(speech=None, noise=None):
    utterances = {
        name: [Utterance(f"{name}-b", name, "F", Path("b")), Utterance(f"{name}-a", name, "F", Path("a"))]
        for name in ("train", "dev", "test")
    }
    noises = {name: [NoiseFile(f"n-{name}", Path("n"), "babble")] for name in utterances}
    return Corpus(utterances | (speech or {}), noises | (noise or {}))


def test_lists_are_sorted_by_id():
    assert [utterance.id for utterance in check_corpus(_corpus()).speech["dev"]] == ["dev-a", "dev-b"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"speech": {"dev": [Utterance("x", "train", "F", Path("x"))]}},
            "speaker train: .* found in train and dev",
        ),
        (
            {"speech": {"dev": [Utterance("train-a", "d", "F", Path("x"))]}},
            "speech train-a: .* found a and x",
        ),
        ({"noise": {"test": [NoiseFile("n-train", Path("x"), "")]}}, "noise n-train"),
        ({"speech": {"test": []}}, "set test: wanted at least one speech file"),
        ({"noise": {"test": []}}, "set test: wanted at least one noise file"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        check_corpus(_corpus(**change))
