"""Who is heard in recordings without sources, and what is extracted of them."""

import numpy as np
import pytest
import soundfile
import torch
from small_model import write_small_experiment

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_table
from wesep_mix.inference import recordings
from wesep_mix.inference.candidates import find_talkers
from wesep_mix.inference.listening import embed_voice, extract_talkers
from wesep_mix.inference.recordings import Hearing, embed_recordings, extract_recordings, read_heard
from wesep_mix.io.recording import read_recording
from wesep_mix.matching.speaker_set import SpeakerSet
from wesep_mix.models.folder import read_folder
from wesep_mix.models.networks import find_networks
from wesep_mix.preparation.recordings import RecordingEntry


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    exp = tmp_path_factory.mktemp("exp")
    write_small_experiment(exp)
    return exp / "model"


@pytest.fixture
def entries(tmp_path, buzz):
    """Two stretches of one recording at 48 kHz, the first with an enrolment."""
    talk = buzz(120, 5.0) + buzz(190, 5.0)
    at_rate = np.interp(np.arange(240000) / 48000, np.arange(len(talk)) / 16000, talk)
    soundfile.write(tmp_path / "talk.wav", at_rate, 48000)
    soundfile.write(tmp_path / "voice.wav", buzz(120, 2.0), 16000)
    first = RecordingEntry("talk-1", str(tmp_path / "talk.wav"), 0, 120000, 48000, str(tmp_path / "voice.wav"))
    return [first, RecordingEntry("talk-2", first.path, 120000, 120000, 48000)]


def test_all_heads_of_a_student_without_presence_are_heard_of_each_recording_whole(model, entries, tmp_path):
    embed_recordings(entries, Hearing(find_networks(model)), tmp_path / "out")
    heard, bundle = read_heard(tmp_path / "out"), read_folder(model)
    assert heard.keys == {"talk-1": ["talk-1-0", "talk-1-1"], "talk-2": ["talk-2-0", "talk-2-1"]}
    assert read_table(tmp_path / "out" / "reco2num_spk") == {"talk-1": "2", "talk-2": "2"}
    samples = np.array(read_recording(entries[0].path, "mix", 120000, 120000).samples)
    with torch.inference_mode():
        wanted = bundle.student(torch.from_numpy(samples)[None]).embeddings[0].numpy()
    assert np.array_equal(np.stack([heard.embeddings[key] for key in heard.keys["talk-2"]]), wanted)
    assert heard.presence == {} and list(heard.enrolments) == ["talk-1"]
    voice = embed_voice(bundle.teacher, read_recording(entries[0].enrolment).samples)
    assert np.array_equal(heard.enrolments["talk-1"], voice)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "enrolment.ark", "enrolment.scp", "reco2num_spk", "student.ark", "student.scp",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("presence", "least", "heads"),
    [([0.9, 0.2, 0.7], 0.5, [0, 2]), ([0.1, 0.3, 0.2], 0.5, [1]), ([0.1, 0.3, 0.2], 0.15, [1, 2])],
)
def test_heads_that_speak_for_a_talker_or_the_one_that_says_most(model, monkeypatch, presence, least, heads):
    class Student(torch.nn.Module):
        def forward(self, mix):
            return SpeakerSet(torch.eye(3)[None], torch.tensor(presence).logit()[None])

    monkeypatch.setattr(recordings, "_network", lambda *_: Student())
    hearing = Hearing(find_networks(model), use={"presence": least})
    found = recordings._heads(hearing, np.zeros(16000, dtype=np.float32))
    assert [number for number, _, _ in found] == heads
    assert [sure for _, _, sure in found] == pytest.approx([presence[head] for head in heads])


def test_talkers_are_those_of_a_recording_of_ones_own(model, entries, tmp_path):
    embed_recordings(entries[:1], Hearing(find_networks(model), "talkers"), tmp_path / "out")
    heard, bundle = read_heard(tmp_path / "out"), read_folder(model)
    wanted = find_talkers(bundle.student, entries[0].read("mix").samples, bundle.use)
    assert len(heard.keys["talk-1"]) == len(wanted) > 0
    for key, talker in zip(heard.keys["talk-1"], wanted, strict=True):
        assert np.allclose(heard.embeddings[key], talker.embedding, atol=1e-6)


def test_nobody_in_any_recording_is_an_error_and_in_one_is_counted(model, entries, tmp_path):
    soundfile.write(tmp_path / "hum.wav", 0.01 * np.sin(np.arange(48000) / 50), 16000)
    quiet = RecordingEntry("hum", str(tmp_path / "hum.wav"), 0, 48000, 16000)
    hearing = Hearing(find_networks(model), "talkers")
    with pytest.raises(UserError, match="wanted talkers in the recordings, found none in any of 1"):
        embed_recordings([quiet], hearing, tmp_path / "none")
    embed_recordings([quiet, entries[0]], hearing, tmp_path / "out")
    assert read_heard(tmp_path / "out").keys["hum"] == []
    assert read_table(tmp_path / "out" / "reco2num_spk")["hum"] == "0"


def test_extraction_is_that_of_a_recording_of_ones_own_in_chunks_and_files_that_are_there_stay(
    model, entries, tmp_path
):
    hearing, out = Hearing(find_networks(model), use={"chunk_s": 1.0, "overlap_s": 0.25}), tmp_path / "wav"
    embed_recordings(entries, hearing, tmp_path / "heard")
    heard, bundle = read_heard(tmp_path / "heard"), read_folder(model)
    extract_recordings(entries, heard, hearing, out)
    wanted = extract_talkers(
        bundle.extractor, entries[1].read("mix").samples, heard.embeddings["talk-2-1"][None], hearing.used()
    )[0]
    found, rate = soundfile.read(out / "talk-2-1.wav", dtype="float32")
    assert rate == 16000 and len(found) == 40000 and np.abs(found - wanted).max() < 2 / 32768
    scp = read_table(out / "wav.scp")
    assert scp == {key: str(out / f"{key}.wav") for keys in heard.keys.values() for key in keys}
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("talk-1*.wav")}
    (out / "talk-2-0.wav").unlink()
    extract_recordings(entries, heard, hearing, out)
    assert (out / "talk-2-0.wav").is_file()
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("talk-1*.wav")} == times


def test_two_processes_give_the_same_files(model, entries, tmp_path):
    hearing = Hearing(find_networks(model))
    for nj in (1, 2):
        embed_recordings(entries, hearing, tmp_path / f"heard{nj}", nj)
        extract_recordings(entries, read_heard(tmp_path / f"heard{nj}"), hearing, tmp_path / f"wav{nj}", nj)
    for name in ("heard{}/student.ark", "wav{}/talk-1-0.wav", "wav{}/talk-2-1.wav"):
        assert (tmp_path / name.format(1)).read_bytes() == (tmp_path / name.format(2)).read_bytes()


def test_a_wrong_setting_of_use_is_told(model):
    with pytest.raises(UserError, match="recordings.yaml: use: chunks: unknown key, did you mean chunk_s"):
        Hearing(find_networks(model), use={"chunks": 3}).used()
