"""A corpus that has moved: one line of roots.json is edited, and nothing is listed, decoded or drawn again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from wesep_mix.base.files import read_json, read_table, write_json
from wesep_mix.base.names import SETS
from wesep_mix.base.stage import damage_of
from wesep_mix.bin import check_data, prepare_data
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.mixing.plan import read_plans
from wesep_mix.mixing.render import render
from wesep_mix.preparation import relocation
from wesep_mix.preparation.lists import read_noises, read_speech

CONFIG = """
corpus:
  name: librispeech
  seed: 0
  speech_dir: ""
  noise_dir: ""
  split: {dev: 0.33, test: 0.33}
mixing: {segment_s: 0.5, max_crops: 4}
mixtures: {train: 3, dev: 3, test: 3}
single: {train: 3, dev: 3, test: 3}
"""


def write_corpora(folder, buzz):
    """A folder with speech of six talkers and three noises; 'ö' and quotes are in its name."""
    root = folder / 'cörpora "old"'
    for spk in range(6):
        for turn in range(2):
            write_audio(root / "speech" / f"{spk}" / "7" / f"{spk}-7-{turn}.wav", buzz(100 + 15 * spk + turn, 0.9))
    rng = np.random.default_rng(0)
    for k in range(3):
        write_audio(root / "noise" / f"{k}.wav", 0.1 * rng.standard_normal(9000).clip(-3, 3))
    return root


@pytest.fixture
def corpora(tmp_path, buzz):
    return write_corpora(tmp_path, buzz)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "corpus.yaml"
    path.write_text(CONFIG)
    return path


def stage(config, data, corpora, *options, noise=None, num_spk=2):
    """Exit status of stage 1 with its settings naming `corpora`."""
    return prepare_data.main([
        "--config", str(config), "--data", str(data), "--num_spk", str(num_spk),
        "--set", f"corpus.corpus.speech_dir={corpora / 'speech'}",
        "--set", f"corpus.corpus.noise_dir={noise or corpora / 'noise'}",
        *map(str, options),
    ])  # fmt: skip


@pytest.fixture
def data(config, tmp_path, corpora):
    """What stage 1 makes."""
    assert stage(config, tmp_path / "data", corpora) == 0
    return tmp_path / "data"


def contents(data):
    return {path: path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file() and path.suffix != ".lock"}


def audio(data):
    """Of every fixed mixture."""
    return {(folder, name, plan.id): render(plan).mix.tobytes()
            for folder in ("single", "2mix") for name in SETS
            for plan in read_plans(data / folder / name / "plan.jsonl")}  # fmt: skip


def lists_of(data):
    return [folder / name for folder in (data / "corpus" / "lists", data / "single", data / "2mix") for name in SETS]


def all_paths(data):
    paths = {entry.path for folder in lists_of(data) for entry in (*read_speech(folder), *read_noises(folder))}
    paths |= {path for folder in lists_of(data) for path in read_table(folder / "wav.scp").values()}
    plans = [plan for folder in lists_of(data)[3:] for plan in read_plans(folder / "plan.jsonl")]
    return paths | {part.path for plan in plans for part in (*plan.sources, plan.noise)}


def edit_roots(data, **folders):
    """As a user does with an editor."""
    path = data / "corpus" / "roots.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: str(place) for name, place in folders.items()}))


def no_work(monkeypatch):
    """Let no audio be read or written and no plan be made."""

    def refuse(*_):
        raise AssertionError("this was not to be done again")

    for name in ("prepare_lists", "prepare_plans", "decode_corpus"):
        monkeypatch.setattr(prepare_data, name, refuse)
    monkeypatch.setattr("soundfile.SoundFile", refuse)


def test_lists_and_plans_name_files_relative_to_roots(data, corpora):
    assert read_json(data / "corpus" / "roots.json") == {
        "speech": f"{corpora}/speech", "noise": f"{corpora}/noise", "generated": f"{data}/corpus"
    }  # fmt: skip
    files = [*data.rglob("*.jsonl")]
    assert len(files) == 27 and not any(str(corpora.parent) in path.read_text() for path in files)
    assert all(path.startswith(f"{corpora}/") for path in all_paths(data)) and len(all_paths(data)) == 15


def test_after_an_edited_line_all_goes_on_and_nothing_is_redone(config, data, corpora, tmp_path, monkeypatch, capsys):
    before, states = audio(data), {path: path.read_bytes() for path in data.rglob(".stage.json")}
    new = tmp_path / "elsewhere" / "now"
    shutil.move(corpora, new)
    edit_roots(data, speech=new / "speech", noise=new / "noise/")
    assert audio(data) == before  # at once; stage 1 is for wav.scp alone
    capsys.readouterr()
    with monkeypatch.context() as patch:
        no_work(patch)
        for place in (new, corpora, new):  # in settings that were changed too, or not
            assert stage(config, data, place) == 0
            assert capsys.readouterr().out.count("done already") == 3
        assert all(path.startswith(f"{new}/") for path in all_paths(data)) and len(all_paths(data)) == 15
    assert {path: path.read_bytes() for path in data.rglob(".stage.json")} == states
    assert check_data.main([str(data), "--out", str(tmp_path / "picture.png")]) == 0
    assert [damage_of(data / name) for name in ("corpus", "single", "2mix")] == [None] * 3


def test_what_has_moved_and_is_damaged_is_made_again(config, data, corpora, tmp_path, capsys):
    new = tmp_path / "elsewhere"
    shutil.move(corpora, new)
    edit_roots(data, speech=new / "speech", noise=new / "noise")
    plans = data / "2mix" / "test" / "plan.jsonl"
    before = plans.read_bytes()
    plans.write_bytes(before[: before[:-1].rindex(b"\n") + 1])
    assert stage(config, data, new) == 0
    assert f"stage 1 (plans, 2 talkers): {plans} has " in capsys.readouterr().out
    assert plans.read_bytes() == before


def test_check_data_names_a_root_that_is_not_there(config, data, corpora, tmp_path, capsys):
    shutil.move(corpora, tmp_path / "elsewhere")
    capsys.readouterr()
    assert check_data.main([str(data), "--out", str(tmp_path / "picture.png")]) == 1
    said = [line for line in capsys.readouterr().out.splitlines() if "roots.json" in line]
    assert len(said) == 2 and all("where the corpus has moved, write its new folder there" in line for line in said)


def test_training_on_a_corpus_that_has_moved_says_what_to_do(data, corpora, tmp_path):
    plan = read_plans(data / "2mix/test/plan.jsonl")[0]
    shutil.move(corpora, tmp_path / "elsewhere")
    with pytest.raises(Exception, match=f"no such file.*all of {corpora} is gone.*corpus/roots.json"):
        render(plan)


def test_another_folder_without_the_line_is_another_corpus(config, data, corpora, tmp_path, capsys):
    shutil.copytree(corpora, tmp_path / "other")
    assert stage(config, data, tmp_path / "other") == 0
    said = capsys.readouterr().out
    assert "stage 1 (lists): corpus.noise_dir and 1 more changed" in said
    assert read_json(data / "corpus" / "roots.json")["speech"] == f"{tmp_path}/other/speech"


def test_listing_anew_is_of_the_folder_in_the_settings(config, data, corpora, tmp_path):
    new = tmp_path / "new"
    shutil.move(corpora, new)
    edit_roots(data, speech=new / "speech", noise=new / "noise")
    assert stage(config, data, new, "--set", "mixing.max_crops=2") == 0
    assert read_json(data / "corpus" / "roots.json")["speech"] == f"{new}/speech"
    state = (data / "corpus" / ".stage.json").read_bytes()
    assert f"{new}/speech" in state.decode()
    assert stage(config, data, new, "--set", "mixing.max_crops=2") == 0
    assert (data / "corpus" / ".stage.json").read_bytes() == state


def test_another_recipe_that_shares_the_lists_follows(config, data, corpora, tmp_path, monkeypatch):
    shared, new = ("--shared", data), tmp_path / "new"
    assert stage(config, tmp_path / "other", corpora, *shared, num_spk=1) == 0
    shutil.move(corpora, new)
    edit_roots(data, speech=new / "speech", noise=new / "noise")
    no_work(monkeypatch)
    assert stage(config, tmp_path / "other", new, *shared, num_spk=1) == 0
    plans = read_plans(tmp_path / "other" / "1mix" / "test" / "plan.jsonl")
    assert plans and all(plan.noise.path.startswith(f"{new}/") for plan in plans)


def test_shared_lists_of_other_settings_are_not_made_anew(config, data, corpora, tmp_path, capsys):
    before = contents(data)
    options = ("--shared", data, "--set", "mixing.max_crops=1")
    assert stage(config, tmp_path / "other", corpora, *options) == 1
    assert f"{data / 'corpus'} was made with other settings than those of {config}" in capsys.readouterr().err
    assert stage(config, tmp_path / "other", corpora, "--shared", data, "--force", "true") == 0
    assert contents(data) == before and (tmp_path / "other" / "2mix" / "train" / "plan.jsonl").is_file()


def test_decoded_audio_is_the_same_and_needs_the_corpus_no_more(config, data, corpora, tmp_path, monkeypatch, capsys):
    for path in corpora.rglob("*.wav"):  # wavs of 16 bits are read as they are
        write_audio(path.with_suffix(".flac"), read_audio(path))
        path.unlink()
    assert stage(config, data, corpora, "--force", "true") == 0
    before, texts = audio(data), {path: path.read_bytes() for path in data.rglob("*.jsonl")}
    assert stage(config, data, corpora, "--set", "corpus.decoded=true") == 0
    assert {path: path.read_bytes() for path in data.rglob("*.jsonl")} == texts
    shutil.rmtree(corpora)
    assert audio(data) == before
    assert all(path.startswith(f"{data}/corpus/decoded/") for path in all_paths(data))
    assert check_data.main([str(data), "--out", str(tmp_path / "picture.png")]) == 0
    no_work(monkeypatch)
    capsys.readouterr()
    assert stage(config, data, corpora, "--set", "corpus.decoded=true") == 0
    assert capsys.readouterr().out.count("done already") == 4


# of older revisions


def older(data):
    """As revisions without roots left it: full paths, no roots.json."""
    files = {path: "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in full_rows(path, data))
             for path in data.rglob("*.jsonl")}  # fmt: skip
    for path, text in files.items():
        path.write_text(text)
        part = next(parent for parent in path.parents if (parent / ".stage.files").is_file())
        (part / ".stage.files").open("a").write(record_line(part, path))
    (data / "corpus" / "roots.json").unlink()


def full_rows(path, data):
    roots = read_json(data / "corpus" / "roots.json")

    def full(value):
        name, _, rest = value.partition(":")
        return f"{roots[name]}/{rest}"

    for line in path.read_text().splitlines():
        row = json.loads(line)
        for part in (row, *row.get("sources", ()), *([row["noise"]] if isinstance(row.get("noise"), dict) else ())):
            if "path" in part:
                part["path"] = full(part["path"])
        yield row


def record_line(part, path):
    from wesep_mix.base.record import checksum

    return f"{json.dumps([path.relative_to(part).as_posix(), path.stat().st_size, checksum(path)])}\n"


def test_lists_and_plans_with_full_paths_go_on(config, data, corpora, tmp_path, monkeypatch, capsys):
    before, paths = audio(data), all_paths(data)
    older(data)
    assert str(corpora.parent) in (data / "2mix/test/plan.jsonl").read_text()
    assert audio(data) == before and all_paths(data) == paths
    no_work(monkeypatch)
    capsys.readouterr()
    assert stage(config, data, corpora) == 0
    assert capsys.readouterr().out.count("done already") == 3


def test_what_an_older_revision_has_let_follow_a_move_is_not_outdated(config, data, corpora, tmp_path, monkeypatch):
    older(data)
    new = tmp_path / "new"
    shutil.move(corpora, new)
    write_json(
        data / "corpus" / "moves.json", [[str(corpora), str(tmp_path / "mid")], [str(tmp_path / "mid"), str(new)]]
    )
    no_work(monkeypatch)
    monkeypatch.setattr(relocation, "refresh_wavs", lambda folder: None)  # their paths were rewritten, too
    assert stage(config, data, new) == 0


def test_a_project_that_moves_works_on_and_its_tables_follow(config, tmp_path, corpora, monkeypatch):
    """Generated corpora have paths relative to the project; wav.scp is for tools that are started elsewhere."""
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "corpora").parent.mkdir()
    shutil.move(corpora, one / "corpora")

    def sets(project):
        return [project / "data" / group / name for group in ("corpus/lists", "single", "2mix") for name in SETS]

    def prepare():
        assert stage(config, Path("data"), Path("corpora")) == 0

    monkeypatch.chdir(one)
    prepare()
    before = {folder.relative_to(one): read_table(folder / "wav.scp") for folder in sets(one)}
    assert all(path.startswith(f"{one}/corpora/speech/") for table in before.values() for path in table.values())
    assert all(entry.path.startswith("corpora/speech/") for entry in read_speech(sets(one)[0]))
    plans = read_plans(one / "data/2mix/test/plan.jsonl")
    audio_before = [render(plan).mix for plan in plans]
    monkeypatch.chdir(tmp_path)
    shutil.move(one, two)
    monkeypatch.chdir(two)
    assert read_plans("data/2mix/test/plan.jsonl") == plans
    assert all(np.array_equal(render(plan).mix, mix) for plan, mix in zip(plans, audio_before, strict=True))
    no_work(monkeypatch)
    prepare()
    for folder in sets(two):
        after = read_table(folder / "wav.scp")
        assert after == {utt: path.replace(str(one), str(two)) for utt, path in before[folder.relative_to(two)].items()}
