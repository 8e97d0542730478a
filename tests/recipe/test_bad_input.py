"""What a user may hand in by mistake: one line that says where, what was wanted and what was found; nothing lost."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from places import ROOT
from tiny import SETTINGS, run_sh, the_error

from wesep_mix.bin import prepare_data

RATE = 16000
LIBRISPEECH = {key: value for key, value in SETTINGS.items() if not key.startswith("corpus.corpus")}


@pytest.fixture(scope="module")
def speech(tmp_path_factory, buzz):
    """Eight speakers in LibriSpeech layout, one utterance of 6 s each, FLAC."""
    folder = tmp_path_factory.mktemp("speech")
    for place, spk in enumerate(range(101, 109)):
        path = folder / str(spk) / "1" / f"{spk}-1-0000.flac"
        path.parent.mkdir(parents=True)
        soundfile.write(path, buzz(90 + 15 * place, 6), RATE)
    return folder


@pytest.fixture
def damaged(speech, tmp_path):
    """A copy of the speech to damage, and its first file."""
    shutil.copytree(speech, tmp_path / "speech")
    return tmp_path / "speech", tmp_path / "speech" / "101" / "1" / "101-1-0000.flac"


@pytest.fixture
def stage_1(tmp_path, capfd):
    """Function: folder of speech, number of talkers, settings -> status and output of stage 1's entry point in this
    process, in one job and with the lists in the data folder itself.
    """

    def run(folder, num_spk=2, **settings):
        given = {
            "corpus.corpus.speech_dir": folder,
            "corpus.corpus.noise": "{files_per_kind: 1, seconds: 8}",
            "corpus.corpus.split": "{dev: 0.25, test: 0.25}",
        }
        chosen = [f"--set={key}={value}" for key, value in (LIBRISPEECH | given | settings).items()]
        status = prepare_data.main(
            [
                f"--config={ROOT}/egs/libri_small/conf/corpus.yaml",
                f"--data={tmp_path}/data/libri_small",
                f"--num_spk={num_spk}",
                *chosen,
            ]
        )
        out, err = capfd.readouterr()
        return SimpleNamespace(returncode=status, stdout=out, stderr=err)

    return run


def nothing_is_done(tmp_path):
    assert not list(tmp_path.glob("data/*/*mix/**/plan.jsonl"))


def test_good_speech_passes(tmp_path, speech, stage_1):
    done = stage_1(speech)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data/libri_small/2mix/test/plan.jsonl").is_file()


def test_run_sh_ends_with_the_stages_error(tmp_path):
    done = run_sh(
        tmp_path,
        "--stop_stage",
        2,
        settings={"corpus.corpus.speech_dir": tmp_path / "nowhere"},
        corpus="libri_small",
        base=LIBRISPEECH,
    )
    assert "nowhere" in the_error(done)
    assert "stage 1 (prepare_data) failed (status 1)" in done.stderr and "stage 2" not in done.stdout
    nothing_is_done(tmp_path)


def test_named_subsets_and_a_noise_folder_keep_their_own_split(tmp_path, speech, buzz, stage_1):
    corpus, noise = tmp_path / "LibriSpeech", tmp_path / "wham_noise"
    for subset, speakers in {"train-clean-360": "1234", "dev-clean": "56", "test-clean": "78"}.items():
        for digit in speakers:
            shutil.copytree(speech / f"10{digit}", corpus / subset / f"10{digit}")
    for part in ("tr", "cv", "tt"):
        (noise / part).mkdir(parents=True)
        soundfile.write(noise / part / "a.wav", buzz(50, 3), RATE)
    done = stage_1(
        corpus,
        **{
            "corpus.corpus.noise_dir": noise,
            "corpus.corpus.subsets": "{train: [train-clean-360], dev: [dev-clean], test: [test-clean]}",
        },
    )
    assert done.returncode == 0, done.stderr
    sets = tmp_path / "data/libri_small/2mix"
    assert [line.split()[0] for line in (sets / "test/spk2utt").read_text().splitlines()] == ["107", "108"]
    assert '"path":"noise:cv/a.wav"' in (sets / "dev/noises.jsonl").read_text()


def test_empty_folder(tmp_path, stage_1):
    (tmp_path / "nothing").mkdir()
    assert "nothing: wanted speech as [subset/]speaker/chapter" in the_error(stage_1(tmp_path / "nothing"))
    nothing_is_done(tmp_path)


def test_missing_folder(tmp_path, stage_1):
    assert "nowhere" in the_error(stage_1(tmp_path / "nowhere"))
    nothing_is_done(tmp_path)


def test_truncated_flac(tmp_path, damaged, stage_1):
    folder, file = damaged
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    assert "101-1-0000.flac" in (line := the_error(stage_1(folder))) and "truncated" in line
    nothing_is_done(tmp_path)


def test_other_sampling_rate(tmp_path, damaged, buzz, stage_1):
    folder, file = damaged
    soundfile.write(file, buzz(100, 6), 8000)
    line = the_error(stage_1(folder))
    assert "101-1-0000.flac: wanted 16000 Hz, found 8000 Hz" in line
    nothing_is_done(tmp_path)


def test_stereo_is_accepted_and_said_once(tmp_path, damaged, buzz, stage_1):
    folder, file = damaged
    for spk in ("101", "102"):
        left = buzz(100 + int(spk), 6)
        soundfile.write(folder / spk / "1" / f"{spk}-1-0000.flac", np.stack([left, np.zeros_like(left)], 1), RATE)
    done = stage_1(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 files have several channels, the first is used") == 1


def test_zero_length(tmp_path, damaged, stage_1):
    folder, file = damaged
    file.write_bytes(b"")
    assert "101-1-0000.flac: empty" in the_error(stage_1(folder))
    file.unlink()
    soundfile.write(file.with_suffix(".wav"), np.zeros(0), RATE)
    assert "101-1-0000.wav: empty" in the_error(stage_1(folder))
    nothing_is_done(tmp_path)


def test_not_a_number(tmp_path, damaged, buzz, stage_1):
    folder, file = damaged
    samples = buzz(100, 6)
    samples[1234] = np.nan
    file.unlink()
    soundfile.write(file.with_suffix(".wav"), samples, RATE, subtype="FLOAT")
    assert "101-1-0000.wav: sample 1234 is not finite" in the_error(stage_1(folder))
    nothing_is_done(tmp_path)


def test_damaged_files_up_to_max_bad_are_left_out(tmp_path, damaged, stage_1):
    folder, file = damaged
    file.write_bytes(b"no audio")
    done = stage_1(folder, **{"corpus.max_bad": 1})
    assert done.returncode == 0, done.stderr
    assert "left out" in done.stderr and "101-1-0000.flac" in done.stderr


def test_too_few_speakers_for_the_mixtures(tmp_path, speech, stage_1):
    line = the_error(stage_1(speech, 5))
    assert "5-talker mixtures need at least 5 speakers" in line and "found" in line
    nothing_is_done(tmp_path)
