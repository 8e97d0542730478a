import errno
import os
import pickle
import signal
import subprocess
import sys

import pytest
from places import ROOT

from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import guarded


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


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_program_whose_output_nobody_reads_ends_in_silence(unbuffered):
    """As with `wesep-mix --help | head -1`."""
    reads, writes = os.pipe()
    os.close(reads)
    variables = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "wesep_mix", "--help"]
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True, env=variables, cwd=ROOT)
    os.close(writes)
    assert done.returncode == 128 + signal.SIGPIPE and done.stderr == ""


def test_another_pipe_that_is_closed_is_an_error(capsys):
    def write():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe", "ffmpeg")

    assert guarded(write, "extract") == 1
    assert capsys.readouterr().err == "error: extract: Broken pipe (ffmpeg)\n"
