import pickle

import pytest

from wesep_mix.base.errors import UserError


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a\nb", r"a\nb"),
        ("a\r\n", r"a\r\n"),
        ("caf\udce9", r"caf\xe9"),
        ("\u2029", r"\u2029"),
        ("\ud800", r"\ud800"),
        ("\x00\x7f", r"\x00\x7f"),
        ("naïve 日本 \\n", "naïve 日本 \\n"),
    ],
)
def test_a_message_is_one_line_that_can_be_printed(text, shown):
    err = UserError(f"{text}: wanted")
    assert str(err) == f"{shown}: wanted" == str(UserError(str(err))) == str(pickle.loads(pickle.dumps(err)))
    str(err).encode()
