"""Stage 1 by its entry point, on a corpus of a few seconds."""

import numpy as np
import pytest

from wesep_mix.base.names import SETS
from wesep_mix.bin import prepare_data
from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.plan import read_plans

SUBSETS = {"train": "train-clean-360", "dev": "dev-clean", "test": "test-clean"}
PARTS = {"train": "tr", "dev": "cv", "test": "tt"}
CONFIG = """
seed: 0
corpus:
  name: librispeech
  speech_dir: ""
  wham_dir: ""
  subsets: {train: [train-clean-360], dev: [dev-clean], test: [test-clean]}
  noises: {train: [wham/tr], dev: [wham/cv], test: [wham/tt]}
  whole: false
mixing: {segment_s: 0.5, max_crops: 2, snr_db: [5, 10, 15]}
mixtures: {train: 20, dev: 4, test: 4}
single: {train: 3, dev: 3, test: 3}
metadata_dir: ""
short: replace
max_bad: 0
"""


@pytest.fixture(scope="module")
def corpora(tmp_path_factory, buzz):
    """Four talkers a subset; the last utterance of each is too short. Two noises a part."""
    root, rng = tmp_path_factory.mktemp("corpora"), np.random.default_rng(0)
    for place, subset in enumerate(SUBSETS.values()):
        for spk in range(10 * place, 10 * place + 4):
            for turn in range(4):
                samples = buzz(100 + 5 * spk + turn, 0.9 if turn < 3 else 0.3)
                write_audio(root / "LibriSpeech" / subset / f"{spk}" / "7" / f"{spk}-7-{turn}.flac", samples)
    for part in PARTS.values():
        for name in ("a", "b"):
            write_audio(root / "wham_noise" / part / f"{name}.wav", 0.1 * rng.standard_normal(9000).clip(-3, 3))
    return root


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "corpus.yaml"
    path.write_text(CONFIG)
    return path


def stage(config, data, corpora, *options, num_spk=2):
    return prepare_data.main([
        "--config", str(config), "--data", str(data), "--num_spk", str(num_spk),
        "--set", f"corpus.corpus.speech_dir={corpora}", "--set", f"corpus.corpus.wham_dir={corpora}",
        *map(str, options),
    ])  # fmt: skip


def states(data):
    return {folder: (data / folder / ".stage.json").stat().st_mtime_ns for folder in ("corpus", "single", "2mix")}


def test_each_part_is_redone_for_its_own_settings_alone(config, corpora, tmp_path):
    """So that the teacher of the single-speaker set is not trained again for other mixtures."""
    data = tmp_path / "data"

    def redone(*options):
        before = states(data)
        assert stage(config, data, corpora, *(part for one in options for part in ("--set", one))) == 0
        return {folder for folder, stamp in states(data).items() if stamp != before[folder]}

    assert stage(config, data, corpora) == 0
    assert redone() == set()
    assert redone("max_bad=1") == {"2mix"}
    assert redone("mixtures={train: 3, dev: 2, test: 2}") == {"2mix"}
    assert redone("mixtures={train: 3, dev: 2, test: 2}", "short=drop") == {"2mix"}
    assert redone("single={train: 2, dev: 2, test: 2}") == {"single", "2mix"}  # the latter as at first
    assert redone("mixing.snr_db=[0]") == {"single", "2mix"}
    assert redone("mixing.max_crops=1") == {"corpus", "single", "2mix"}


def write_metadata(folder, rows=2, **wrong):
    """Lists of LibriMix's form: talkers k and k + 1, the last row with a short utterance."""
    (folder / "Libri2Mix").mkdir(parents=True)
    for place, (name, subset) in enumerate(SUBSETS.items()):
        lines = ["mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain,noise_path,noise_gain"]
        for k in range(rows):
            utts = [f"{10 * place + k}-7-{0 if k < rows - 1 else 3}", f"{10 * place + k + 1}-7-1"]
            paths = [f"{subset}/{utt.split('-')[0]}/7/{utt}.flac" for utt in utts]
            noise = f"{PARTS[name]}/{wrong.get('noise', 'bsp08' if name == 'train' else 'b')}.wav"
            lines.append(f"{'_'.join(utts)},{paths[0]},0.5,{paths[1]},{1 + k},{noise},1.5")
        (folder / "Libri2Mix" / f"libri2mix_{subset}.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_official_lists(config, corpora, tmp_path, capsys):
    metadata = write_metadata(tmp_path / "md")
    assert stage(config, tmp_path / "data", corpora, "--set", f"metadata_dir={metadata}") == 0
    said = capsys.readouterr().out
    for place, name in enumerate(SETS):
        plans = read_plans(tmp_path / "data" / "2mix" / name / "plan.jsonl")
        first = {plan.id: plan for plan in plans}[f"{10 * place}-7-0_{10 * place + 1}-7-1"]
        assert len(plans) == 2 and [source.gain for source in first.sources] == [0.5, 1.0]
        assert all(plan.noise.id == f"{PARTS[name]}-b" and plan.noise.start == 0 for plan in plans)
        assert f"note: {name}: 1 of 2 rows have an utterance without 0.5 s of speech (short: replace): 1 got" in said
    assert "note: train: 2 rows name a noise at another speed" in said


def test_a_row_whose_file_is_missing(config, corpora, tmp_path, capsys):
    metadata = write_metadata(tmp_path / "md", noise="z")
    options = ("--set", f"metadata_dir={metadata}")
    assert stage(config, tmp_path / "data", corpora, *options, "--set", "max_bad=1") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error", "warning"))]
    assert [line.split(":")[0] for line in lines] == ["warning", "warning", "error"]
    assert "libri2mix_train-clean-360.csv, line 2: mixture 0-7-0_1-7-1: wanted noise tr/z.wav" in lines[-1]
    assert not (tmp_path / "data" / "2mix" / "train" / "plan.jsonl").exists()


def test_official_lists_of_four_talkers_are_not_there(config, corpora, tmp_path, capsys):
    metadata = write_metadata(tmp_path / "md")
    assert stage(config, tmp_path / "data", corpora, "--set", f"metadata_dir={metadata}", num_spk=4) == 1
    assert "LibriMix has lists for 2 and 3 talkers" in capsys.readouterr().err


def test_the_tables_get_the_talkers_that_there_are_lists_of(config, corpora, tmp_path, capsys):
    rows = {
        "table1": "{a: {title: a, num_spk: 3, trained_on: 2, model: student}}",
        "table2": "{b: {title: b, num_spk: 4, model: mixture}}",
    }
    for table, text in rows.items():
        (config.parent / f"{table}.yaml").write_text(f"rows: {text}\n")
    options = ("--tables", "true", "--set", f"metadata_dir={write_metadata(tmp_path / 'md')}")
    assert stage(config, tmp_path / "data", corpora, *options) == 0
    said = capsys.readouterr().out
    noted = [f"note: rows with {n} talkers are left out of the tables: " in said for n in (2, 3, 4)]
    assert noted == [False, True, True]
    assert sorted(path.name for path in (tmp_path / "data").glob("*mix")) == ["2mix"]
    assert stage(config, tmp_path / "data", corpora, "--tables", "true") == 0  # drawn
    assert sorted(path.name for path in (tmp_path / "data").glob("*mix")) == ["2mix", "3mix", "4mix"]


def test_a_folder_that_is_not_named_costs_no_lists(config, corpora, tmp_path, capsys):
    assert stage(config, tmp_path / "data", corpora) == 0
    before = states(tmp_path / "data")
    for setting, said in {
        "speech_dir=''": "with --librispeech DIR",
        "wham_dir=''": "wham_dir is not set",
        f"speech_dir={tmp_path}/none": f"{tmp_path}/none: wanted a folder",
    }.items():
        assert stage(config, tmp_path / "data", corpora, "--set", f"corpus.corpus.{setting}") == 1
        assert said in capsys.readouterr().err
        assert states(tmp_path / "data") == before
    assert stage(config, tmp_path / "data", corpora) == 0
    assert states(tmp_path / "data") == before
