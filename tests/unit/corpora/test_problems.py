import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.corpora.sources.entries import Problems


def test_nothing_is_wrong(capsys):
    Problems().refuse()
    assert capsys.readouterr().err == ""


def test_a_single_problem_is_the_error_itself(capsys):
    problems = Problems()
    problems.add("a: wanted b, found c", "do d")
    with pytest.raises(UserError, match="^a: wanted b, found c; do d$"):
        problems.refuse()
    assert capsys.readouterr().err == ""


def test_several_are_told_line_by_line_and_advice_once(capsys):
    problems = Problems()
    with problems.gathering():
        raise UserError("first")
    problems.add("second", "do this", "or that")
    problems.add("third", "do this")
    with pytest.raises(UserError, match="^3 problems with the corpus, each on a line above; do this; or that$"):
        problems.refuse()
    assert capsys.readouterr().err.splitlines() == ["problem: first", "problem: second", "problem: third"]


def test_other_errors_are_not_gathered():
    problems = Problems()
    with pytest.raises(KeyError), problems.gathering():
        raise KeyError("x")
    assert problems.lines == []
