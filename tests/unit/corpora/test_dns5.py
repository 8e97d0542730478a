import pytest

from wesep_mix.corpora.dns5 import Clip, read_clips
from wesep_mix.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """V5_dev_testset: three clips, whose enrolments are named in the three ways that are understood."""
    for name in (
        "Track1_Headset/noisy/a_mic.wav", "Track1_Headset/enrol/a_mic.wav",
        "Track1_Headset/noisy/b.wav", "Track1_Headset/enrol/enrol_b.wav", "Track1_Headset/enrol/nobody.wav",
        "Track2_Speakerphone/noisy/a_mic.wav", "Track2_Speakerphone/enrol/a_mic_enroll.wav",
        "Track2_Speakerphone/noisy/notes.txt",
    ):  # fmt: skip
        path = tmp_path / "V5_dev_testset" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "V5_dev_testset"


def test_clips_have_their_enrolments(folder):
    headset, phone = folder / "Track1_Headset", folder / "Track2_Speakerphone"
    clips = read_clips(folder)
    assert clips == [
        Clip("headset-a_mic", "headset", headset / "noisy/a_mic.wav", headset / "enrol/a_mic.wav"),
        Clip("headset-b", "headset", headset / "noisy/b.wav", headset / "enrol/enrol_b.wav"),
        Clip("speakerphone-a_mic", "speakerphone", phone / "noisy/a_mic.wav", phone / "enrol/a_mic_enroll.wav"),
    ]
    assert read_clips(folder.parent) == clips
    assert read_clips(folder, ["speakerphone"]) == clips[2:]


def test_all_clips_without_an_enrolment_are_told(folder, capsys):
    (folder / "Track1_Headset/enrol/enrol_b.wav").unlink()
    with pytest.raises(UserError, match="noisy/b.wav: no enrolment of that name in .*Track1_Headset/enrol"):
        read_clips(folder)
    (folder / "Track1_Headset/enrol/a_mic.wav").unlink()
    (folder / "Track1_Headset/noisy/c.wav").touch()
    with pytest.raises(UserError, match="^4 problems"):
        read_clips(folder)
    told = capsys.readouterr().err
    assert [name for name in ("a_mic.wav", "b.wav", "c.wav") if f"noisy/{name}: no enrolment" not in told] == []


def test_missing_folders(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="V5_dev_testset.zip"):
        read_clips(tmp_path / "empty")
    for path in (folder / "Track2_Speakerphone/enrol").iterdir():
        path.unlink()
    (folder / "Track2_Speakerphone/enrol").rmdir()
    with pytest.raises(UserError, match="Track2_Speakerphone: wanted folders noisy and enrol, found no enrol"):
        read_clips(folder)
    assert len(read_clips(folder, ["headset"])) == 2
