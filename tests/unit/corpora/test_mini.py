import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wesep_mix.base import config
from wesep_mix.base.errors import UserError
from wesep_mix.corpora import mini
from wesep_mix.io.audio import read_audio

TINY = mini.Config(
    num_voices=mini.NumVoices(train=2, dev=1, test=2),
    utterances_per_voice=mini.NumUtterances(train=2, dev=2, test=2), min_s=2.0, max_s=3.0,
    noise=mini.NoiseConfig(files_per_kind=1, seconds=2.0),
)  # fmt: skip


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(mini.__file__).parents[2])}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini")
    return folder, mini.collect(TINY, folder, nj=1)


def test_everything_that_was_asked_for_is_there(made):
    folder, corpus = made
    assert {name: len(items) for name, items in corpus.speech.items()} == {"train": 4, "dev": 2, "test": 4}
    assert {name: [file.kind for file in items] for name, items in corpus.noise.items()} == {
        name: ["babble", "coloured", "modulated"] for name in ("train", "dev", "test")
    }
    for utterance in corpus.speech["test"]:
        assert utterance.path == folder / "speech" / utterance.speaker / f"{utterance.id}.wav"
        samples = read_audio(utterance.path)
        assert 2.0 <= len(samples) / 16000 <= 3.0
        assert 0.3 < np.abs(samples).max() < 1.0
    for noise in corpus.noise["test"]:
        assert len(read_audio(noise.path)) == 32000


def test_same_bytes_whatever_nj_and_interruptions(made, tmp_path):
    folder, corpus = made
    assert mini.collect(TINY, tmp_path, nj=2).speech.keys() == corpus.speech.keys()
    assert _contents(tmp_path) == _contents(folder)
    for lost in ("speech/test-f000/test-f000-001.wav", "noise/dev/babble-00.wav", "voices/dev-f000"):
        (tmp_path / lost).unlink()
    kept = tmp_path / "speech/test-f000/test-f000-000.wav"
    before = kept.stat().st_mtime_ns
    mini.collect(TINY, tmp_path, nj=1)
    assert _contents(tmp_path) == _contents(folder)
    assert kept.stat().st_mtime_ns == before


def test_killed_and_started_again_it_ends_the_same(made, tmp_path, tmp_path_factory):
    raw = config.to_dict(TINY)
    code = f"""
from pathlib import Path
from wesep_mix.base import config
from wesep_mix.corpora import mini
mini.collect(config.from_dict(mini.Config, {raw!r}, "test"), Path({str(tmp_path)!r}), nj=1)
"""
    environment = _environment() | {"TMPDIR": str(tmp_path_factory.mktemp("tmp"))}
    run = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)
    while run.poll() is None and not list(tmp_path.rglob("*-001.wav")):
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    (tmp_path / "speech" / "dev-f000").mkdir(exist_ok=True)
    (tmp_path / "speech" / "dev-f000" / ".dev-f000-000.1.tmp.wav").write_bytes(b"RIFF")
    mini.collect(TINY, tmp_path, nj=1)
    assert _contents(tmp_path) == _contents(made[0])


def test_another_seed_makes_another_corpus(made, tmp_path):
    folder, _ = made
    mini.collect(config.from_dict(mini.Config, config.to_dict(TINY) | {"seed": 1}, "test"), tmp_path, nj=1)
    ours, theirs = _contents(folder), _contents(tmp_path)
    assert ours.keys() == theirs.keys() and all(ours[name] != theirs[name] for name in ours)


def test_no_torch_is_imported():
    code = "import sys, wesep_mix.corpora.mini, wesep_mix.corpora.librispeech; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=_environment()).returncode == 0


@pytest.mark.parametrize(
    "raw",
    [
        {"min_s": 5.0, "max_s": 4.0},
        {"num_voices": {"dev": 0}},
        {"utterances_per_voice": {"test": 0}},
        {"noise": {"seconds": 0}},
    ],
)
def test_settings_that_make_no_sense(raw):
    with pytest.raises(UserError, match="wanted"):
        config.from_dict(mini.Config, raw, "conf")
