import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json, read_table
from wesep_mix.base.names import SETS
from wesep_mix.base.stage import damage_of
from wesep_mix.bin import prepare_data
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.io.decoded import reader_of
from wesep_mix.mixing.plan import read_plans, write_plans
from wesep_mix.mixing.relocation import before_moves, moved, moved_path, parse_root, read_moves
from wesep_mix.mixing.render import render
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
decoded: true
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
    """Of every fixed mixture, read as training reads it."""
    return {(folder, name, plan.id): render(plan, reader_of(data / folder / name)).mix.tobytes()
            for folder in ("single", "2mix") for name in SETS
            for plan in read_plans(data / folder / name / "plan.jsonl")}  # fmt: skip


def all_paths(data):
    lists = [folder / name for folder in (data / "corpus" / "lists", data / "single", data / "2mix") for name in SETS]
    paths = {entry.path for folder in lists for entry in (*read_speech(folder), *read_noises(folder))}
    paths |= {path for folder in lists for path in read_table(folder / "wav.scp").values()}
    plans = [plan for folder in lists[3:] for plan in read_plans(folder / "plan.jsonl")]
    return paths | {part.path for plan in plans for part in (*plan.sources, plan.noise)}


def no_work(monkeypatch):
    """Let no audio be read or written and no plan be made."""

    def refuse(*_):
        raise AssertionError("this was not to be done again")

    for name in ("prepare_lists", "prepare_plans", "decode_corpus"):
        monkeypatch.setattr(prepare_data, name, refuse)
    monkeypatch.setattr("soundfile.SoundFile", refuse)


def test_lists_and_plans_follow_and_nothing_is_redone(config, data, corpora, tmp_path, monkeypatch, capsys):
    before, states = audio(data), {path: path.read_bytes() for path in data.rglob(".stage.json")}
    new = tmp_path / "elsewhere" / "now"
    shutil.move(corpora, new)
    capsys.readouterr()
    with monkeypatch.context() as patch:
        no_work(patch)
        assert stage(config, data, new, "--corpus_root", f"{corpora}={new}") == 0
        assert capsys.readouterr().out.count("done already") == 4
        assert all(path.startswith(f"{new}/") for path in all_paths(data)) and len(all_paths(data)) == 15
        after = contents(data)
        for options in ((), ("--corpus_root", f"{corpora}={new}")):  # from now on it is simply so
            assert stage(config, data, new, *options) == 0
        assert stage(config, data, corpora) == 0  # settings that nobody has changed
        assert contents(data) == after
    assert {path: path.read_bytes() for path in data.rglob(".stage.json")} == states
    assert audio(data) == before
    shutil.rmtree(new)
    assert audio(data) == before  # from the decoded copy, which knows its files by their new names


def test_what_has_followed_is_whole_and_its_damage_is_noticed(config, data, corpora, tmp_path, capsys):
    new = tmp_path / "elsewhere"
    shutil.move(corpora, new)
    assert stage(config, data, new, "--corpus_root", f"{corpora}={new}") == 0
    folders = [data / name for name in ("corpus", "single", "2mix", "corpus/decoded")]
    assert [damage_of(folder) for folder in folders] == [None] * 4
    plans = data / "2mix" / "test" / "plan.jsonl"
    before = plans.read_bytes()
    plans.write_bytes(before[: before[:-1].rindex(b"\n") + 1])
    capsys.readouterr()
    assert stage(config, data, new) == 0
    assert f"stage 1 (plans, 2 talkers): {plans} has " in capsys.readouterr().out
    assert plans.read_bytes() == before


@pytest.mark.parametrize("name", ["2mix/test/plan.jsonl", "corpus/lists/dev/wav.scp", "single/train/noises.jsonl"])
def test_what_was_damaged_does_not_follow(config, data, corpora, tmp_path, capsys, name):
    lines = (data / name).read_text().splitlines(keepends=True)
    (data / name).write_text("".join(lines[:-1]))
    new, before = tmp_path / "elsewhere", contents(data)
    shutil.move(corpora, new)
    assert stage(config, data, new, "--corpus_root", f"{corpora}={new}") == 1
    assert f"error: --corpus_root: {data / name} has " in capsys.readouterr().err
    assert contents(data) == before


def test_it_can_move_in_parts_on_and_back(config, data, corpora, tmp_path, monkeypatch):
    before = audio(data)
    one, two, three = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    moves = [(corpora / "speech", one / "speech"), (corpora / "noise", two / "noise"),
             (one / "speech", three / "speech"), (three / "speech", corpora / "speech")]  # fmt: skip
    no_work(monkeypatch)
    for old, new in moves[:2]:
        new.parent.mkdir()
        shutil.copytree(old, new)
    assert stage(config, data, one, f"--corpus_root={moves[0][0]}={moves[0][1]}",
                 f"--corpus_root={moves[1][0]}={moves[1][1]}", noise=two / "noise") == 0  # fmt: skip
    shutil.copytree(one, three)
    assert stage(config, data, three, f"--corpus_root={moves[2][0]}={moves[2][1]}", noise=two / "noise") == 0
    assert {path.split("/speech/")[0] for path in all_paths(data) if "/speech/" in path} == {str(three)}
    assert stage(config, data, corpora, f"--corpus_root={moves[3][0]}={moves[3][1]}", noise=two / "noise") == 0
    assert read_moves(data / "corpus") == [tuple(map(str, pair)) for pair in moves]
    assert stage(config, data, corpora, noise=two / "noise") == 0
    monkeypatch.undo()
    assert audio(data) == before


def test_a_killed_move_is_finished_by_the_next_call(config, data, corpora, tmp_path, monkeypatch):
    new, root = tmp_path / "new", f"{corpora}={tmp_path / 'new'}"
    shutil.move(corpora, new)
    rewrite, done = prepare_data.move.__globals__["_rewrite"], []

    def killed(path, roots):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(rewrite(path, roots))

    monkeypatch.setitem(prepare_data.move.__globals__, "_rewrite", killed)
    assert stage(config, data, new, "--corpus_root", root) == 130
    assert len({path.startswith(str(new)) for path in all_paths(data)}) == 2
    monkeypatch.undo()
    assert stage(config, data, new, "--corpus_root", root) == 0
    assert all(path.startswith(f"{new}/") for path in all_paths(data))
    assert len(read_json(data / "corpus" / "moves.json")) == 1


def test_another_recipe_that_shares_the_lists_follows(config, data, corpora, tmp_path, monkeypatch):
    shared, new = ("--shared", data), tmp_path / "new"
    assert stage(config, tmp_path / "other", corpora, *shared, num_spk=1) == 0
    shutil.move(corpora, new)
    assert stage(config, data, new, f"--corpus_root={corpora}={new}") == 0
    no_work(monkeypatch)
    assert stage(config, tmp_path / "other", new, *shared, num_spk=1) == 0
    plans = read_plans(tmp_path / "other" / "1mix" / "test" / "plan.jsonl")
    assert plans and all(plan.noise.path.startswith(f"{new}/") for plan in plans)


def test_listing_anew_forgets_the_moves(config, data, corpora, tmp_path):
    new = tmp_path / "new"
    shutil.move(corpora, new)
    assert stage(config, data, new, f"--corpus_root={corpora}={new}") == 0
    assert stage(config, data, new, "--set", "mixing.max_crops=2") == 0
    assert read_moves(data / "corpus") == []
    shutil.copytree(new, corpora)
    state = (data / "corpus" / ".stage.json").read_bytes()
    assert stage(config, data, new, "--set", "mixing.max_crops=2") == 0
    assert (data / "corpus" / ".stage.json").read_bytes() == state


# what is refused


@pytest.fixture(scope="module")
def standing(tmp_path_factory, buzz):
    """Config, data folder and corpora of a stage 1 that no test changes."""
    root = tmp_path_factory.mktemp("standing")
    (root / "corpus.yaml").write_text(CONFIG)
    made = root / "corpus.yaml", root / "data", write_corpora(root, buzz)
    assert stage(*made) == 0
    return made


def refused(config, data, corpora, capsys, *options):
    """The one line that is said; nothing has changed."""
    before = contents(data)
    capsys.readouterr()
    assert stage(config, data, corpora, *options) == 1
    assert contents(data) == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_folder_that_no_list_names(standing, tmp_path, capsys):
    *_, corpora = standing
    part = corpora.with_name("cörp")
    line = refused(*standing, capsys, f"--corpus_root={part}={tmp_path}")
    assert f"wanted files in {part}, found none; they are such as {corpora}/noise/0.wav" in line


def test_a_new_folder_that_is_none(standing, tmp_path, capsys):
    *_, corpora = standing
    line = refused(*standing, capsys, f"--corpus_root={corpora}={tmp_path / 'no'}")
    assert f"wanted a folder {tmp_path / 'no'}, found none" in line


def test_a_file_that_has_not_moved(standing, tmp_path, capsys):
    *_, corpora = standing
    shutil.copytree(corpora, tmp_path / "new")
    for spk in (3, 4):
        (tmp_path / "new" / "speech" / f"{spk}" / "7" / f"{spk}-7-1.wav").unlink()
    line = refused(*standing, capsys, f"--corpus_root={corpora}={tmp_path / 'new'}")
    assert f"{tmp_path / 'new'}/speech/3/7/3-7-1.wav, found no such file (2 of 15 files are missing)" in line


def test_a_new_folder_that_other_files_are_in(config, data, corpora, tmp_path, capsys):
    """Afterwards nobody could tell which of them had been in the old one."""
    shutil.copytree(corpora / "speech", corpora / "noise" / "speech")
    root = f"--corpus_root={corpora / 'speech'}={corpora / 'noise'}"
    assert "noise/0.wav lies in the new folder already" in refused(config, data, corpora, capsys, root)


@pytest.mark.parametrize("text", ["a", "a=", "=b"])
def test_what_is_not_old_new(text, standing, capsys):
    assert f"--corpus_root {text}: wanted OLD=NEW" in refused(*standing, capsys, f"--corpus_root={text}")


@pytest.mark.parametrize(
    "options",
    [
        ("--force", "true"),
        ("--set", "mixing.max_crops=1"),
        ("--set", "corpus.corpus.seed=3"),
    ],
)
def test_a_move_that_would_end_in_new_lists(standing, tmp_path, capsys, options):
    *_, corpora = standing
    shutil.copytree(corpora, tmp_path / "new")
    line = refused(*standing, capsys, f"--corpus_root={corpora}={tmp_path / 'new'}", *options)
    assert "since nothing is to be listed anew" in line


def test_nothing_made_yet(standing, tmp_path, capsys):
    config, _, corpora = standing
    (tmp_path / "data").mkdir()
    data = tmp_path / "data"
    line = refused(config, data, corpora, capsys, f"--corpus_root={corpora}={tmp_path}")
    assert f"{data / 'corpus' / 'lists'}: wanted the lists of a corpus that has moved, found none" in line


def test_shared_lists_of_other_settings_are_not_made_anew(standing, tmp_path, capsys):
    config, data, corpora = standing
    before = contents(data)
    options = ("--shared", data, "--set", "mixing.max_crops=1")
    assert stage(config, tmp_path / "other", corpora, *options) == 1
    assert f"{data / 'corpus'} was made with other settings than those of {config}" in capsys.readouterr().err
    assert stage(config, tmp_path / "other", corpora, "--shared", data, "--force", "true") == 0
    assert contents(data) == before and (tmp_path / "other" / "2mix" / "train" / "plan.jsonl").is_file()


# single plans and paths


def test_a_plan_line_from_elsewhere_renders_here_bit_for_bit(pool, tmp_path):
    from wesep_mix.mixing.draw import draw_plan

    plan = draw_plan(pool, 3, np.random.default_rng(0))
    here = render(plan)
    folder = tmp_path / "far" / "away"
    there = dataclasses.replace(
        plan,
        sources=tuple(dataclasses.replace(s, path=f"{folder}/{s.path.rsplit('/', 1)[1]}") for s in plan.sources),
        noise=dataclasses.replace(plan.noise, path=f"{folder}/{plan.noise.path.rsplit('/', 1)[1]}"),
    )
    write_plans(tmp_path / "plan.jsonl", [there])
    (line,) = read_plans(tmp_path / "plan.jsonl")
    with pytest.raises(UserError, match="far/away"):
        render(line)
    back = moved(line, [(str(folder), plan.noise.path.rsplit("/", 1)[0])])
    assert back == plan
    for field in dataclasses.fields(here):
        assert np.array_equal(getattr(render(back), field.name), getattr(here, field.name))


@pytest.mark.parametrize(
    "path, roots, wanted",
    [
        ("/a/b/c.wav", [("/a/b", "/x")], "/x/c.wav"),
        ("/a/bb/c.wav", [("/a/b", "/x")], "/a/bb/c.wav"),
        ("/a/b/c.wav", [("/a", "/x"), ("/x/b", "/y")], "/y/c.wav"),
        ("/a/b/c.wav", [("/a", "/x"), ("/x", "/a")], "/a/b/c.wav"),
        ("/a/b/c.wav", [("/a", "/a/new")], "/a/new/b/c.wav"),
        ("/a/new/b/c.wav", [("/a", "/a/new")], "/a/new/b/c.wav"),
        ("/a/new/b/c.wav", [("/a/new", "/a")], "/a/b/c.wav"),
        ("/a/b.wav", [("/", "/x")], "/x/a/b.wav"),
        ("a/b.wav", [("a", "/x/a")], "/x/a/b.wav"),
        ("/a/b.wav", [("a", "/x/a")], "/a/b.wav"),
        ("/a/b.wav", [("/a/b.wav", "/c.wav")], "/c.wav"),
    ],
)
def test_moved_paths(path, roots, wanted):
    assert moved_path(path, roots) == wanted
    assert moved_path(wanted, roots) == wanted  # again changes nothing


def test_settings_are_named_as_before_the_moves():
    roots = [("/old", "/mid"), ("/mid/speech", "/new/speech")]
    raw = {"corpus": {"speech_dir": "/new/speech/LibriSpeech/", "noise_dir": "", "wham_dir": "/new/wham"}, "seed": 3,
           "metadata_dir": "/mid/md", "sizes": {"dir": "/mid"}}  # fmt: skip
    assert before_moves(raw, roots) == {
        "corpus": {"speech_dir": "/old/speech/LibriSpeech", "noise_dir": "", "wham_dir": "/new/wham"}, "seed": 3,
        "metadata_dir": "/old/md", "sizes": {"dir": "/mid"},
    }  # fmt: skip
    assert before_moves({"speech_dir": "/a/b/"}, []) == {"speech_dir": "/a/b"}


def test_the_new_folder_is_recorded_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_root("data/old/=new") == ("data/old", str(tmp_path / "new"))
    assert before_moves({"speech_dir": "new/LS"}, [parse_root("data/old/=new")]) == {"speech_dir": "data/old/LS"}


def test_audio_of_the_corpus_is_really_there(standing):
    """The other tests could pass on silence."""
    *_, corpora = standing
    assert np.abs(read_audio(next((corpora / "speech").rglob("*.wav")))).max() > 0.1


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
