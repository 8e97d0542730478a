import os

import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.corpora.synthesis.espeak import call_forked


def test_result_comes_back_and_state_does_not():
    state = []
    assert call_forked(lambda: state.append(1) or len(state)) == 1
    assert state == []
    assert call_forked(os.getpid) != os.getpid()


def test_errors_come_back_as_they_are():
    def refuse(error):
        raise error

    with pytest.raises(UserError, match="wanted a, found b"):
        call_forked(refuse, UserError("wanted a, found b"))
    with pytest.raises(OSError) as caught:
        call_forked(refuse, OSError(28, "No space left on device"))
    assert caught.value.errno == 28 and "refuse" in str(caught.value.__cause__)


def test_a_child_that_dies_is_told():
    with pytest.raises(RuntimeError, match="without an answer"):
        call_forked(os._exit, 3)
