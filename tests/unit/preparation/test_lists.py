from wesep_mix.base.files import read_table
from wesep_mix.preparation.activity import Crop
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry, read_noises, read_speech, write_lists

SPEECH = [
    SpeechEntry("bob-2", "bob", "M", "/s/bob 2.wav", (Crop(480, 0.9, -27.123456789), Crop(0, 0.85, -30.5))),
    SpeechEntry("ann-1", "ann", "F", "/s/ann-1.wav", (Crop(0, 1.0, -20.0),), ((480, 960), (1440, 9600))),
    SpeechEntry("bob-1", "bob", "M", "/s/bob-1.wav", (Crop(0, 1.0, -20.0),)),
]
NOISES = [NoiseEntry("n1", "/n/1.wav", 5), NoiseEntry("n0", "/n/0.wav", 7)]


def test_lists_come_back(tmp_path):
    write_lists(tmp_path, SPEECH, NOISES)
    assert read_speech(tmp_path) == SPEECH and read_noises(tmp_path) == NOISES


def test_kaldis_files_agree_and_are_sorted(tmp_path):
    write_lists(tmp_path, SPEECH, NOISES)
    assert (tmp_path / "utt2spk").read_text() == "ann-1 ann\nbob-1 bob\nbob-2 bob\n"
    assert (tmp_path / "spk2utt").read_text() == "ann ann-1\nbob bob-1 bob-2\n"
    assert read_table(tmp_path / "wav.scp") == {entry.utt: entry.path for entry in SPEECH}
