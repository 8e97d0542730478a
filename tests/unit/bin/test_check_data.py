"""The entry point: status, what is printed, and the picture."""

import pytest

from wesep_mix.bin.check_data import main


def test_good_folder(prepared, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    assert main([str(prepared), "--out", str(picture)]) == 0
    out = capsys.readouterr().out
    assert f"{prepared}: no problem in 9 sets, 21 readable audio files and 21 plans (audio decoded, plans" in out
    assert "2mix/train" in out and "wanted" not in out
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def set_folder(prepared, tmp_path):
    """One set without mixing.json above it, whose second half of plans is damaged."""
    copy = tmp_path / "2mix" / "test"
    copy.mkdir(parents=True)
    for path in (prepared / "2mix" / "test").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def test_bad_folder(set_folder, capsys):
    plans = set_folder / "plan.jsonl"
    plans.write_text(plans.read_text().replace('"sample_rate":16000', '"sample_rate":8000'))
    assert main([str(set_folder), "--quick", "true", "--show", "1"]) == 1
    out = capsys.readouterr().out
    assert "plans: 3 problems" in out and "... and 2 more of plans" in out and "headers only, nothing rendered" in out
    assert (set_folder / "check_data.png").is_file()


def test_no_such_folder(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path / 'none'}: no such folder, wanted one that stage 1 or an export has made\n"
    )
