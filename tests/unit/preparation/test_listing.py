import dataclasses
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_jsonl
from wesep_mix.base.names import SETS
from wesep_mix.corpora import librispeech
from wesep_mix.corpora.sources.noise import NoiseConfig
from wesep_mix.corpora.sources.splits import Split
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.preparation import listing
from wesep_mix.preparation.activity import speech_frames, stretches_of
from wesep_mix.preparation.listing import _speech_entries, check_folders, prepare_lists
from wesep_mix.preparation.lists import read_noises, read_speech
from wesep_mix.preparation.settings import CorpusConfig, MixingConfig

RATE = 16000


@pytest.fixture
def speech(tmp_path, buzz):
    """Speech in LibriSpeech layout: six speakers, an utterance of 1.5 s and one of 0.9 s each."""
    root = tmp_path / "speech"
    for place in range(6):
        for number, seconds in enumerate((1.5, 0.9)):
            write_audio(root / f"{place}" / "7" / f"{place}-7-{number}.flac", buzz(100 + 15 * place, seconds))
    return root


@pytest.fixture(scope="module")
def many(tmp_path_factory, buzz):
    """200 utterances of 0.6 s of ten speakers."""
    root = tmp_path_factory.mktemp("many")
    for number in range(200):
        spk = f"{number % 10}"
        write_audio(root / spk / "7" / f"{spk}-7-{number:03d}.flac", buzz(90 + number, 0.6))
    return root


def settings_of(speech, max_bad=0, **mixing) -> CorpusConfig:
    corpus = librispeech.Config(
        speech_dir=str(speech), split=Split(dev=0.33, test=0.33), noise=NoiseConfig(files_per_kind=1, seconds=1.0)
    )
    return CorpusConfig(corpus=corpus, mixing=MixingConfig(**mixing), max_bad=max_bad)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def lists(folder, name):
    return folder / "corpus" / "lists" / name


# what is listed


def test_utterances_that_are_too_short_are_dropped_with_a_note(speech, tmp_path, capsys):
    prepare_lists(settings_of(speech, segment_s=1.0), tmp_path / "corpus", nj=1)
    said = capsys.readouterr().out
    for name in SETS:
        entries = read_speech(lists(tmp_path, name))
        assert len(entries) == 2 and all(entry.utt.endswith("-0") for entry in entries)
        assert f"note: {name} speech: 2 of 4 utterances lack 1 s with speech and are not used" in said


def test_unused_utterances_are_named_with_the_reason(speech, tmp_path):
    for name, seconds in (("0-7-2", 1.2), ("0-7-3", 0.4)):
        write_audio(speech / "0" / "7" / f"{name}.flac", np.zeros(round(seconds * RATE)))
    prepare_lists(settings_of(speech, segment_s=1.0), tmp_path / "corpus", nj=1)
    rows = [row for name in SETS for row in read_jsonl(lists(tmp_path, name) / "unused.jsonl")]
    assert {row["utt"]: row["reason"] for row in rows} == {
        "0-7-2": "silent",
        "0-7-3": "short",
        **{f"{place}-7-1": "short" for place in range(6)},
    }
    row = next(row for row in rows if row["utt"] == "0-7-2")
    assert row == {"utt": "0-7-2", "spk": "0", "path": "speech:0/7/0-7-2.flac", "reason": "silent"}
    used = {entry.utt for name in SETS for entry in read_speech(lists(tmp_path, name))}
    assert used == {f"{place}-7-0" for place in range(6)}


def test_where_all_are_used_the_list_of_the_others_is_empty(speech, tmp_path):
    prepare_lists(settings_of(speech, segment_s=0.5), tmp_path / "corpus", nj=1)
    assert all(read_jsonl(lists(tmp_path, name) / "unused.jsonl") == [] for name in SETS)


def test_every_crop_lies_in_its_file_and_noises_have_their_length(speech, tmp_path):
    prepare_lists(settings_of(speech, segment_s=0.5), tmp_path / "corpus", nj=1)
    for name in SETS:
        entries = read_speech(lists(tmp_path, name))
        assert len(entries) == 4
        for entry in entries:
            assert 1 <= len(entry.crops) <= 4
            assert all(0 <= crop.start <= soundfile.info(entry.path).frames - RATE // 2 for crop in entry.crops)
        noises = read_noises(lists(tmp_path, name))
        assert [noise.num_samples for noise in noises] == [RATE] * 3
        assert [noise.kind for noise in noises] == ["babble", "coloured", "modulated"]


def test_nothing_long_enough_is_an_error(speech, tmp_path):
    with pytest.raises(UserError, match="train speech: none of 4 utterances has 3 s with speech"):
        prepare_lists(settings_of(speech, segment_s=3.0), tmp_path / "corpus", nj=1)


def test_stereo_is_said_once_a_set_and_its_first_channel_is_used(speech, tmp_path, capsys):
    settings = settings_of(speech, segment_s=1.0)
    prepare_lists(settings, tmp_path / "mono" / "corpus", nj=1)
    capsys.readouterr()
    for entry in read_speech(lists(tmp_path / "mono", "train")):
        samples = read_audio(entry.path)
        soundfile.write(entry.path, np.stack([samples, 0 * samples], axis=1), RATE)
    prepare_lists(settings, tmp_path / "stereo" / "corpus", nj=1)
    said = [line for line in capsys.readouterr().out.splitlines() if "channels" in line]
    assert len(said) == 1
    assert said[0].startswith("note: train speech: 2 files have several channels, the first is used: ")
    mono, stereo = (contents(lists(tmp_path / name, "train")) for name in ("mono", "stereo"))
    assert mono["utterances.jsonl"] == stereo["utterances.jsonl"]


# files that are damaged


def spoilt(kind):
    def spoil(path):
        if kind == "truncated":
            path.write_bytes(path.read_bytes()[:2000])
        elif kind == "8 kHz":
            write_audio(path, read_audio(path), 8000)
        elif kind == "empty":
            path.write_bytes(b"")

    return spoil


@pytest.mark.parametrize("kind", ["truncated", "8 kHz", "empty"])
def test_a_damaged_file_is_named_and_up_to_max_bad_are_left_out(speech, tmp_path, kind, capsys):
    settings = settings_of(speech, segment_s=0.5)
    prepare_lists(settings, tmp_path / "good" / "corpus", nj=1)
    victim = read_speech(lists(tmp_path / "good", "dev"))[0]
    spoilt(kind)(speech / victim.spk / "7" / f"{victim.utt}.flac")
    noise_dir = str(tmp_path / "good" / "corpus" / "noise")
    settings = dataclasses.replace(settings, corpus=dataclasses.replace(settings.corpus, noise_dir=noise_dir))
    with pytest.raises(UserError, match=f"dev speech: .*{victim.utt}.flac: "):
        prepare_lists(settings, tmp_path / "corpus", nj=1)
    capsys.readouterr()
    prepare_lists(dataclasses.replace(settings, max_bad=1), tmp_path / "corpus", nj=1)
    assert [entry.utt for entry in read_speech(lists(tmp_path, "dev"))].count(victim.utt) == 0
    assert f"left out: {victim.path}: " in capsys.readouterr().err
    (row,), path = read_jsonl(lists(tmp_path, "dev") / "unused.jsonl"), f"speech:{victim.spk}/7/{victim.utt}.flac"
    assert row == {"utt": victim.utt, "spk": victim.spk, "path": path, "reason": "unreadable"}


def test_one_corrupt_flac_of_200_fails_the_run_unless_it_is_allowed(many, tmp_path, capsys):
    """Its header is right, and bytes in the middle are not: only decoding finds that."""
    victim = many / "4" / "7" / "4-7-134.flac"
    good = victim.read_bytes()
    half = len(good) // 2
    victim.write_bytes(good[:half] + bytes(300) + good[half + 300 :])
    try:
        with pytest.raises(UserError, match=r"4-7-134\.flac: ") as caught:
            prepare_lists(settings_of(many, segment_s=0.5), tmp_path / "corpus", nj=1)
        assert "\n" not in str(caught.value) and not (tmp_path / "corpus" / "lists" / "test").exists()
        prepare_lists(settings_of(many, max_bad=1, segment_s=0.5), tmp_path / "corpus", nj=1)
    finally:
        victim.write_bytes(good)
    assert "left out: " in capsys.readouterr().err
    used = [entry.utt for name in SETS for entry in read_speech(lists(tmp_path, name))]
    unused = [row["utt"] for name in SETS for row in read_jsonl(lists(tmp_path, name) / "unused.jsonl")]
    assert len(used) == 199 and unused == ["4-7-134"]


# going on after a kill


@pytest.fixture(scope="module")
def whole(many, tmp_path_factory):
    """The lists of an undisturbed run in one process."""
    folder = tmp_path_factory.mktemp("whole")
    prepare_lists(settings_of(many, segment_s=0.5), folder / "corpus", nj=1)
    return contents(folder / "corpus" / "lists")


def test_a_finished_run_keeps_no_journal(many, tmp_path):
    prepare_lists(settings_of(many, segment_s=0.5), tmp_path / "corpus", nj=1)
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == ["lists", "noise", "roots.json"]


def test_the_number_of_processes_changes_nothing(many, tmp_path):
    settings = settings_of(many, segment_s=0.5)
    utterances = librispeech.collect(settings.corpus, tmp_path, nj=1).speech["train"]
    one, three = (_speech_entries(utterances, settings, tmp_path / f"{nj}", nj, "train") for nj in (1, 3))
    assert one == three and len(one[0]) > 50
    journals = [(tmp_path / f"{nj}" / "examined" / "train.jsonl").read_bytes() for nj in (1, 3)]
    assert journals[0] == journals[1] and len(journals[0].splitlines()) == len(utterances)


@pytest.mark.parametrize("torn", [b"", b'{"id":"3-7-1', b"\0\0\0\0"])
def test_a_stopped_run_goes_on_with_what_it_has(many, whole, tmp_path, monkeypatch, capsys, torn):
    examined = []

    def examine(utterance, size, max_crops):
        if len(examined) == 30:
            raise KeyboardInterrupt
        examined.append(utterance.id)
        return real(utterance, size, max_crops)

    real = listing._examine
    monkeypatch.setattr(listing, "_examine", examine)
    settings, journal = settings_of(many, segment_s=0.5), tmp_path / "corpus" / "examined" / "train-speech.jsonl"
    with pytest.raises(KeyboardInterrupt):
        prepare_lists(settings, tmp_path / "corpus", nj=1)
    assert len(journal.read_bytes().splitlines()) == 30
    with open(journal, "ab") as file:
        file.write(torn)
    again = []
    monkeypatch.setattr(listing, "_examine", lambda u, **how: again.append(u.id) or real(u, **how))
    prepare_lists(settings, tmp_path / "corpus", nj=1)
    assert sorted(examined + again) == sorted(path.stem for path in many.rglob("*.flac"))
    assert "note: train speech: 30 of " in capsys.readouterr().out
    ours = contents(tmp_path / "corpus" / "lists")
    assert all(ours[name] == whole[name] for name in whole if not name.endswith("noises.jsonl"))


def test_a_run_that_was_killed_goes_on_to_the_same_lists(many, whole, tmp_path):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from wesep_mix.base.config import from_dict\n"
        "from wesep_mix.preparation import listing\n"
        "from wesep_mix.preparation.settings import CorpusConfig\n"
        "real = listing._examine\n"
        "listing._examine = lambda u, **how: time.sleep(0.02) or real(u, **how)\n"
        "corpus = {'name': 'librispeech', 'speech_dir': sys.argv[1], 'split': {'dev': 0.33, 'test': 0.33},\n"
        "          'noise': {'files_per_kind': 1, 'seconds': 1.0}}\n"
        "settings = from_dict(CorpusConfig, {'corpus': corpus, 'mixing': {'segment_s': 0.5}}, 'test')\n"
        "listing.prepare_lists(settings, Path(sys.argv[2]), 1)\n"
    )
    command = [sys.executable, "-c", code, many, tmp_path / "corpus"]
    journal = tmp_path / "corpus" / "examined" / "train-speech.jsonl"
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (journal.is_file() and journal.stat().st_size > 1000):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert not (tmp_path / "corpus" / "lists").exists()
    prepare_lists(settings_of(many, segment_s=0.5), tmp_path / "corpus", nj=1)
    ours = contents(tmp_path / "corpus" / "lists")
    assert all(ours[name] == whole[name] for name in whole if not name.endswith("noises.jsonl"))


# noise and offsets


@pytest.fixture
def noises(tmp_path):
    """Function: writes NAME.wav of levels by the second into each set's folder of noise, returns that folder."""
    rng = np.random.default_rng(0)

    def make(**files):
        for name in SETS:
            for file, levels in files.items():
                samples = np.repeat(levels, RATE) * rng.uniform(-0.3, 0.3, RATE * len(levels))
                write_audio(tmp_path / "noise" / name / f"{file}.wav", samples.astype(np.float32))
        return tmp_path / "noise"

    return make


def with_noise(speech, folder, **mixing):
    settings = settings_of(speech, segment_s=1.0, **mixing)
    return dataclasses.replace(settings, corpus=dataclasses.replace(settings.corpus, noise_dir=str(folder)))


def test_silent_noise_is_left_out_counted_and_told(speech, tmp_path, noises, capsys):
    folder = noises(good=(1, 1), silent=(0, 0), partly=(0, 0, 0, 1))
    prepare_lists(with_noise(speech, folder), tmp_path / "corpus", nj=1)
    said = capsys.readouterr().out
    for name in SETS:
        entries = {entry.id: entry.silent for entry in read_noises(lists(tmp_path, name))}
        assert entries == {f"{name}-good.wav": (), f"{name}-partly.wav": ((0, 3 * RATE), (4 * RATE - 160, 4 * RATE))}
        row = {"noise": f"{name}-silent.wav", "path": f"noise:{name}/silent.wav", "reason": "silent"}
        assert row in read_jsonl(lists(tmp_path, name) / "unused.jsonl")
        assert f"note: {name} noise: 1 of 3 files are silent and are not used, see unused.jsonl" in said
        assert f"note: {name} noise: 1 of 3 files have silent stretches" in said


def test_a_noise_that_sounds_is_listed_as_ever(speech, tmp_path, noises):
    folder = noises(good=(1, 1))
    prepare_lists(with_noise(speech, folder), tmp_path / "corpus", nj=1)
    (row,), path = read_jsonl(lists(tmp_path, "dev") / "noises.jsonl"), "noise:dev/good.wav"
    assert row == {"id": "dev-good.wav", "path": path, "num_samples": 2 * RATE, "kind": "dev"}


def test_a_set_whose_noise_is_all_silent_is_refused(speech, tmp_path, noises):
    with pytest.raises(UserError, match="train noise: wanted a file that sounds, found none among 2"):
        prepare_lists(with_noise(speech, noises(a=(0, 0), b=(0,))), tmp_path / "corpus", nj=1)


def test_offsets_of_speech_and_noise_are_listed(speech, tmp_path, noises):
    folder = noises(good=(1, 1))
    for path in (folder / "dev" / "good.wav", *speech.rglob("*-0.flac")):
        write_audio(path, read_audio(path) + np.float32(0.125))
    prepare_lists(with_noise(speech, folder), tmp_path / "corpus", nj=1)
    (noise,) = read_noises(lists(tmp_path, "dev"))
    assert noise.dc == pytest.approx(0.125, abs=0.005)
    for name in SETS:
        for entry in read_speech(lists(tmp_path, name)):
            samples = read_audio(entry.path)
            for crop in entry.crops:
                assert crop.dc == pytest.approx(samples[crop.start :][:RATE].mean(), abs=1e-6) and crop.dc > 0.1


def test_speech_with_rumble_is_told(speech, tmp_path, capsys):
    path = speech / "3" / "7" / "3-7-0.flac"
    samples = read_audio(path)
    write_audio(path, samples + 0.1 * np.sin(2 * np.pi * 5 * np.arange(len(samples)) / RATE).astype(np.float32))
    prepare_lists(settings_of(speech, segment_s=1.0), tmp_path / "corpus", nj=1)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "below 20 Hz" in line)
    assert "speech: 1 files have more than 10 % of their power below 20 Hz" in line and str(path) in line


def test_what_an_older_revision_examined_is_examined_again(speech, tmp_path, noises):
    folder = noises(partly=(0, 0, 0, 1))
    journal = tmp_path / "corpus" / "examined" / "dev-noise.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text('{"id":"dev-partly.wav","num_samples":64000,"channels":1}\n')
    prepare_lists(with_noise(speech, folder), tmp_path / "corpus", nj=1)
    assert read_noises(lists(tmp_path, "dev"))[0].silent


@pytest.mark.parametrize(
    "old, new",
    [
        ("1-7-0.flac", b"caf\xe9.flac"),
        ("1-7-0.flac", b"two\nlines.flac"),
        ("1-7-0.flac", b"1-7-0 .flac"),
        ("1-7-0.flac", b"a\x0cb.flac"),
    ],
)
def test_a_name_that_lists_cannot_hold_is_told_on_one_line_and_left_out(speech, tmp_path, old, new, capsys):
    os.rename(speech / "1" / "7" / old, os.fsencode(speech / "1" / "7") + b"/" + new)
    with pytest.raises(UserError) as caught:
        prepare_lists(settings_of(speech, segment_s=0.5), tmp_path / "corpus", nj=1)
    assert "wanted a name" in str(caught.value) and str(caught.value).isprintable()
    prepare_lists(settings_of(speech, segment_s=0.5, max_bad=1), tmp_path / "corpus", nj=1)
    used = {entry.utt for name in SETS for entry in read_speech(lists(tmp_path, name))}
    unused = [row for name in SETS for row in read_jsonl(lists(tmp_path, name) / "unused.jsonl")]
    assert len(used) == 11 and [row["reason"] for row in unused] == ["unreadable"]
    assert "left out: " in capsys.readouterr().err


def test_a_corpus_without_collect_is_told_with_its_file(monkeypatch):
    monkeypatch.delattr(librispeech, "collect")
    with pytest.raises(UserError, match=r"corpora/librispeech.py: wanted a function collect\(config, .*found none"):
        check_folders(librispeech.Config())


def test_lists_say_where_each_utterance_is_speech(speech, tmp_path):
    prepare_lists(settings_of(speech, segment_s=0.8), tmp_path / "corpus", 1)
    for entry in read_speech(lists(tmp_path, "train")):
        assert entry.speech == stretches_of(speech_frames(read_audio(entry.path))) != ()
