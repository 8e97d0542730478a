import re

import numpy as np

from wesep_mix.corpora.synthesis.texts import draw_sentence


def test_sentences_are_varied_and_without_left_over_slots():
    rng = np.random.default_rng(0)
    sentences = [draw_sentence(rng) for _ in range(500)]
    assert len(set(sentences)) > 490
    for sentence in sentences:
        assert re.fullmatch(r"[A-Z][A-Za-z',\- ]+[.?]", sentence), sentence
        assert not re.search(r"\ba [aeiou]", sentence), sentence


def test_vocabulary_has_several_hundred_words():
    rng = np.random.default_rng(2)
    assert len({word for _ in range(5000) for word in re.findall("[a-z]+", draw_sentence(rng).lower())}) > 500


def test_short_sentences_are_short():
    rng = np.random.default_rng(1)
    assert max(len(draw_sentence(rng, "short").split()) for _ in range(300)) <= 22


def test_same_generator_same_sentences():
    first, second = (np.random.default_rng(7) for _ in range(2))
    assert [draw_sentence(first) for _ in range(20)] == [draw_sentence(second) for _ in range(20)]
