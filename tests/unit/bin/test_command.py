import subprocess
import sys

import pytest

from wesep_mix import __main__ as command


def test_every_entry_point_is_a_command_with_a_line_of_help(capsys):
    assert command.main([]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines()[2:] if line.startswith("  ")]
    names = [line.split()[0] for line in lines]
    assert (
        {"prepare_data", "train_student", "score", "report"} <= set(names)
        and names[:2] == ["candidates", "extract"]
        and "options" not in names
    )
    assert all(len(line.split()) > 3 for line in lines)


def test_options_go_to_the_entry_point(capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["score", "--help"])
    assert end.value.code == 0 and "usage: wesep-mix score [-h] [--set KEY=VALUE]" in capsys.readouterr().out


def test_its_status_is_the_commands(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "wesep_mix", "check_data", str(tmp_path / "none")], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.startswith("error: ")


def test_an_unknown_command_names_those_there_are(capsys):
    assert command.main(["scores"]) == 2
    assert capsys.readouterr().err.startswith(
        "wesep-mix: no command 'scores'; there are: analyse, candidates, check_config,"
    )


def test_an_option_is_not_guessed_from_its_beginning(capsys):
    """`--embedding` was an option once; as the beginning of `--embeddings` it would be taken for a folder."""
    given = ["--config=c", "--data=d", "--embeddings=e", "--extractor=x", "--embedding", "wrong"]
    with pytest.raises(SystemExit) as end:
        command.main(["extract_speech", *given])
    assert end.value.code == 2 and "unrecognized arguments: --embedding wrong" in capsys.readouterr().err
