"""`candidates`, `extract` and `models` as a user calls them, on networks without training."""

import json
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from places import ROOT
from small_model import write_small_experiment

import wesep_mix
from wesep_mix.__main__ import main
from wesep_mix.base.errors import UserError
from wesep_mix.io.embeddings import read_embeddings
from wesep_mix.io.rttm import read_rttm
from wesep_mix.models.folder import About, UseConfig, bundle_of, read_folder, write_folder

RATE = 44100


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Model files as an experiment has them, and the folder of a model made of them."""
    exp = tmp_path_factory.mktemp("exp")
    write_small_experiment(exp)
    return exp


@pytest.fixture
def recording(tmp_path, buzz):
    """Two seconds and a half of two voices, in stereo at 44.1 kHz."""
    talk = buzz(120, 2.5) + buzz(190, 2.5)
    at_rate = np.interp(np.arange(round(2.5 * RATE)) / RATE, np.arange(len(talk)) / 16000, talk)
    soundfile.write(tmp_path / "talk.wav", np.stack([at_rate, at_rate], 1), RATE)
    return tmp_path / "talk.wav"


def run(capsys, *argv):
    status = main([str(one) for one in argv])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_candidates_are_told_and_can_be_listened_to(models, recording, tmp_path, capsys):
    out = tmp_path / "heard"
    status, told, _ = run(capsys, "candidates", recording, "--model", models / "model", "--out", out, "--json")
    assert status == 0
    heard = json.loads(told)
    assert heard == json.loads((out / "candidates.json").read_text())
    assert (heard["recording"], heard["sample_rate"], heard["channels"]) == ("talk", RATE, 2)
    numbers = [talker["number"] for talker in heard["talkers"]]
    assert numbers == list(range(1, len(numbers) + 1)) and numbers
    vectors = read_embeddings(out / "talkers.scp")
    for number in numbers:
        assert soundfile.info(out / f"talker-{number}.wav").samplerate == RATE
        assert np.array_equal(np.load(out / f"talker-{number}.npy"), vectors[f"talk-{number}"])
    (out / "talker-9.wav").touch()  # of another recording
    soundfile.write(tmp_path / "silence.wav", np.zeros(32000), 16000)
    assert run(capsys, "candidates", tmp_path / "silence.wav", "--model", models / "model", "--out", out)[0] == 0
    assert [path.name for path in out.iterdir()] == ["candidates.json"]
    status, told, _ = run(capsys, "candidates", recording, "--model", models / "model")
    assert status == 0 and told.startswith(f"talk: 2.5 s, {len(numbers)} talker") and "talker 1: " in told


def test_picked_all_and_given_talkers_are_written_at_the_recordings_rate(models, recording, tmp_path, capsys):
    heard, model = tmp_path / "heard", ["--model", models / "model"]
    run(capsys, "candidates", recording, *model, "--out", heard)
    assert run(capsys, "extract", recording, *model, "--all", "--out", tmp_path / "all")[0] == 0
    assert run(capsys, "extract", recording, *model, "--pick", "1", "--out", tmp_path / "one")[0] == 0
    given = ["--embedding", heard / "talker-1.npy", "--out", tmp_path / "given"]
    assert run(capsys, "extract", recording, *model, *given)[0] == 0
    status, told, _ = run(capsys, "extract", recording, *model, "--like", recording, "--out", tmp_path / "like")
    assert status == 0 and "this model does not say from where on it is the same voice" in told
    assert "at 44100 Hz, made at 16000 Hz inside" in told
    alone = wesep_mix.load(models / "model")
    mixed, rate = soundfile.read(recording, dtype="float32")
    wanted = alone.extract(mixed.T, alone.embed(mixed.T, rate), rate)
    assert np.allclose(soundfile.read(tmp_path / "like/like.wav")[0], wanted, atol=2e-4)
    wavs = [tmp_path / name for name in ("all/talker-1.wav", "one/talker-1.wav", "given/embedding.wav")]
    first, *others = (soundfile.read(wav)[0] for wav in wavs)
    assert len(first) == round(2.5 * RATE) and np.isfinite(first).all() and np.abs(first).max() > 0
    assert all(np.array_equal(first, other) for other in others)


def test_all_talkers_have_their_turns_beside_their_speech(models, recording, tmp_path, capsys):
    argv = ["extract", recording, "--model", models / "model", "--out", tmp_path / "o", "--json"]
    told = json.loads(run(capsys, *argv, "--all")[1])
    assert told["rttm"] == str(tmp_path / "o" / "talk.rttm")
    (name, segments), *others = read_rttm(told["rttm"]).items()
    assert name == "talk" and not others
    assert {one.speaker for one in segments} <= {Path(each["path"]).stem for each in told["written"]}
    wav, rate = soundfile.read(recording, dtype="float32")
    model = wesep_mix.load(models / "model")
    turns = model.turns(wav.T, model.extract(wav.T, model.candidates(wav.T, rate), rate), rate)
    assert np.allclose(sorted(one[:2] for one in segments), sorted(turn for own in turns for turn in own), atol=0.05)
    (tmp_path / "o" / "talk.rttm").unlink()
    assert json.loads(run(capsys, *argv, "--pick", "1")[1])["rttm"] is None
    assert not (tmp_path / "o" / "talk.rttm").exists()


def test_a_voice_that_is_hardly_there_is_said_where_the_extractor_gives_the_level(models, recording, tmp_path, capsys):
    bundle = read_folder(models / "model")
    torch.nn.init.constant_(bundle.extractor.mask[1].bias, -20.0)  # everything is masked
    write_folder(replace(bundle, use=replace(bundle.use, level="own")), tmp_path / "quiet")
    argv = ["extract", recording, "--model", tmp_path / "quiet", "--pick", "1", "--out", tmp_path / "out"]
    status, told, _ = run(capsys, *argv)
    assert status == 0 and re.search(r"talker 1; hardly there: \d\d+ dB below the recording", told)
    (written,) = json.loads(run(capsys, *argv, "--json")[1])["written"]
    assert written["level_db"] < -15
    argv[3] = models / "model"
    (written,) = json.loads(run(capsys, *argv, "--json")[1])["written"]
    assert written["level_db"] > -15 and "hardly" not in written["what"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["extract", "talk.wav", "--pick", "7", "--out", "o"], r"--pick 7: talk.wav has the candidates 1"),
        (["extract", "talk.wav", "--all", "--out", "talk.wav"], "talk.wav: wanted a folder to write to, found a file"),
        (["extract", "silence.wav", "--all", "--out", "o"], "silence.wav: nobody was heard in it; nothing is written"),
        (["extract", "talk.wav", "--embedding", "e.npy", "--out", "o"], "e.npy: no such file"),
        (
            ["extract", "talk.wav", "--embedding", "five.npy", "--out", "o"],
            r"five.npy: wanted an embedding of 6 numbers, found shape \[5\]",
        ),
        (["extract", "talk.wav", "--embedding", "talk.wav", "--out", "o"], "talk.wav: wanted an npy file of numbers"),
        (
            ["extract", "talk.wav", "--embedding", "zero.npy", "--out", "o"],
            "wanted an embedding of finite numbers that are",
        ),
        (["candidates", "talk.wav", "--device", "warp"], "--device warp: torch cannot compute there"),
        (["candidates", "talk.wav", "--channel", "3"], "channel: wanted mix or a number from 1 to 2, found 3"),
        (["candidates", "."], r"\.: wanted a recording, found a folder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(argv, said, models, recording, monkeypatch, capsys):
    monkeypatch.chdir(recording.parent)
    monkeypatch.setenv("WESEP_MIX_MODEL", str(models / "model"))
    soundfile.write("silence.wav", np.zeros(32000), 16000)
    np.save("five.npy", np.ones(5))
    np.save("zero.npy", np.zeros(6))
    status, _, error = run(capsys, *argv)
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert status == 1 and len(lines) == 1 and "Traceback" not in error
    assert __import__("re").search(said, lines[0]), lines
    assert not (recording.parent / "o").exists()


@pytest.mark.parametrize("kilobytes", [20, 200])
def test_a_disk_that_is_full_leaves_no_half_written_file(kilobytes, models, recording, tmp_path):
    """As full as a limit on the size of files makes it: for the estimates, or only for the wavs at 44.1 kHz."""
    argv = [sys.executable, "-m", "wesep_mix", "extract", recording, "--model", models / "model", "--all"]

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1000, kilobytes * 1000))

    done = subprocess.run(
        [*map(str, argv), "--out", str(tmp_path / "o")], cwd=ROOT, capture_output=True, text=True, preexec_fn=limit
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1 and len(errors) == 1 and "Traceback" not in done.stderr, done.stderr
    assert not list(tmp_path.glob("o/*")) and not list(tmp_path.glob("o/.*"))


def test_an_output_folder_that_cannot_be_made(models, recording, capsys):
    argv = ["extract", recording, "--model", models / "model", "--all", "--out", recording / "o"]
    status, _, error = run(capsys, *argv)
    assert status == 1 and error.splitlines()[-1].startswith("error: extract: Not a directory"), error


def test_silence_has_nobody(models, tmp_path, capsys):
    soundfile.write(tmp_path / "silence.wav", np.zeros(32000), 16000)
    status, told, _ = run(capsys, "candidates", tmp_path / "silence.wav", "--model", models / "model")
    assert status == 0 and told == "silence: 2.0 s, nobody was heard\n"


def test_a_voice_that_is_not_there_is_refused(models, recording, tmp_path, capsys):
    bundle = bundle_of(
        models / "teacher/model.pt",
        models / "2mix/student/model.pt",
        models / "2mix/net/matched/model.pt",
        About("strict"),
        UseConfig(like=1.0),
    )
    write_folder(bundle, tmp_path / "strict")
    status, _, error = run(
        capsys, "extract", recording, "--model", tmp_path / "strict", "--like", recording, "--out", tmp_path / "o"
    )
    assert status == 1 and "is not there: the nearest candidate, " in error and not (tmp_path / "o").exists()


def test_a_model_is_exported_and_listed(models, tmp_path, recording, capsys):
    status, told, _ = run(
        capsys,
        "models",
        "export",
        models,
        "--extractor",
        "net",
        "--out",
        tmp_path / "mine",
        "--name",
        "mine",
        "--licence",
        "CC0",
    )
    assert status == 0 and f"{tmp_path}/mine: written" in told
    status, told, _ = run(capsys, "models", "--model", tmp_path / "mine", "--json")
    assert status == 0 and json.loads(told)[-1]["name"] == "mine"
    assert run(capsys, "candidates", recording, "--model", tmp_path / "mine")[0] == 0


@pytest.mark.parametrize(
    ("loss", "given", "level"), [("snr", [], "own"), ("si_sdr", [], "mixture"), ("snr", ["level=mixture"], "mixture")]
)
def test_an_extractor_trained_on_levels_keeps_its_own(models, tmp_path, capsys, loss, given, level):
    exp = tmp_path / "exp"
    shutil.copytree(models, exp)
    (exp / "2mix" / "net" / "matched" / "config.yaml").write_text(f"loss: {{name: {loss}}}\n")
    use = [part for one in given for part in ("--use", one)]
    out = tmp_path / "mine"
    status, _, _ = run(
        capsys, "models", "export", exp, "--extractor", "net", "--out", out, "--name", "mine", "--bits", 8, *use
    )
    assert status == 0 and read_folder(out).use.level == level


def test_the_talker_who_says_the_words_is_picked(models, recording, tmp_path, capsys):
    script = tmp_path / "asr.sh"
    script.write_text(
        'n=$(cat "$0.count" 2>/dev/null || echo 0); echo $((n + 1)) > "$0.count"\n'
        '[ -s "$1" ] || exit 3\n[ "$n" = 1 ] && echo "The budget, of Next year!" || echo "hello there"\n'
    )
    given = ["--model", models / "model", "--asr", f"sh {script}"]
    status, told, _ = run(
        capsys, "pick", recording, *given, "--words", "budget of next year", "--out", tmp_path / "o", "--json"
    )
    heard = json.loads(told)
    assert status == 0 and [each["heard"] for each in heard["talkers"]][:2] == [
        "hello there",
        "The budget, of Next year!",
    ]
    assert heard["picked"] == 2 and heard["talkers"][1]["fit"] == 1.0
    assert soundfile.info(heard["path"]).frames == round(2.5 * RATE)
    status, _, error = run(capsys, "pick", recording, *given, "--words", "zebra crossing")
    assert status == 1 and "wanted one talker who says 'zebra crossing', found none who fits better" in error
    status, _, error = run(capsys, "pick", recording, *given[:3], "false", "--words", "budget")
    assert status == 1 and "--asr: false ended with status 1" in error
    status, _, error = run(capsys, "pick", recording, *given[:3], "no-such-program {}", "--words", "budget")
    assert status == 1 and "--asr: no program no-such-program" in error


def test_several_recordings_and_talkers_are_answered_as_one_by_one(models, buzz):
    model = wesep_mix.load(models / "model")
    with torch.no_grad():  # an embedding does nothing to an extractor without training
        for weight in model.bundle.extractor.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    several = [buzz(120, 3.0) + buzz(190, 3.0), buzz(150, 1.7), np.zeros(32000), buzz(110, 3.0)]
    for together, wav in zip(model.candidates(several), several, strict=True):
        alone = model.candidates(wav)
        assert [(one.number, one.share, one.spans) for one in together] == [
            (one.number, one.share, one.spans) for one in alone
        ]
        for one, other in zip(together, alone, strict=True):
            assert np.allclose(one.embedding, other.embedding, atol=1e-4)
    talkers = list(np.eye(len(model.candidates(several[0])[0].embedding), dtype=np.float32)[:5])
    together = model.extract(several[0], talkers)
    alone = [model.extract(several[0], talker) for talker in talkers]
    assert len(together) == 5 and all(map(np.allclose, together, alone, [0] * 5, [1e-5] * 5))
    assert not np.allclose(together[0], together[1], atol=1e-3)  # they are not all the same


def test_in_python(models, recording):
    model = wesep_mix.load(models / "model")
    wav, rate = soundfile.read(recording, dtype="float32")
    talkers = model.candidates(wav.T, rate)
    speech = model.extract(wav.T, talkers[0], rate)
    assert isinstance(speech, np.ndarray) and speech.shape == (len(wav),)
    as_torch = model.extract(torch.from_numpy(wav.T.copy()), torch.from_numpy(talkers[0].embedding), rate)
    assert isinstance(as_torch, torch.Tensor) and torch.equal(as_torch, torch.from_numpy(speech))
    both = model.extract(wav.T, [talkers[0], talkers[0].embedding], rate)
    assert len(both) == 2 and all(np.allclose(one, speech, atol=1e-5) for one in both)
    each = model.extract(wav.T, talkers, rate)
    turns = model.turns(wav.T, each, rate)
    assert len(turns) == len(talkers) and all(0 <= begin < end <= 2.5 for own in turns for begin, end in own)
    again = model.turns(wav.T, [3 * one for one in each], rate)
    assert any(turns) and again == turns  # shares of power, not power
    with pytest.raises(UserError, match=f"turns: wanted speech of {len(wav)} samples as the recording, found {RATE}"):
        model.turns(wav.T, [each[0][:RATE]], rate)
    assert model.extract(wav.T, [], rate) == [] and model.candidates([], rate) == [] == model.turns(wav.T, [], rate)
    with pytest.raises(UserError, match="stft_tcn: this model's extractor needs all of a recording"):
        model.stream(talkers[0])
    assert np.linalg.norm(model.embed(wav.T, rate)) == pytest.approx(1.0, abs=1e-5)
