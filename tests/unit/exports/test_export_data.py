"""The entry point: where things go, what it refuses, and that nothing looks finished before it is."""

import errno
import json
import multiprocessing
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from wesep_mix.base.files import read_table
from wesep_mix.base.stage import STATE_FILE
from wesep_mix.exports.wesep import file_labels
from wesep_mix.mixing.plan import read_plans, write_plans

LAST = {  # what a consumer opens first
    "librimix": "Libri2Mix/wav16k/max/metadata/mixture_test_mix_both.csv",
    "kaldi": "kaldi/2mix/test/wav.scp",
    "wesep": "wesep/2mix/test/shard.list",
    "wesep_shards": "wesep_shards/2mix/test/shard.list",
    "wesep_v01": "wesep_v01/2mix/test/raw.list",
    "wesep_v01_shards": "wesep_v01_shards/2mix/test/shard.list",
    "espnet": "espnet/2mix/test/wav.scp",
}


def embeddings_for(name, case):
    return [] if name in ("librimix", "kaldi") else ["--embeddings", case.embeddings]


def done(case, name) -> bool:
    states = [path for path in (case.out).rglob(STATE_FILE)]
    return any(json.loads(path.read_text())["done"] for path in states)


def only_error(capsys) -> str:
    """The one line that the user is shown, progress bars aside."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line and not re.search(r"\d+%\|.*\|", line)]
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


@pytest.mark.parametrize("name", sorted(LAST))
def test_a_full_disk_is_one_line_and_nothing_looks_finished(case, name, monkeypatch, capsys):
    room, write = [3], soundfile.write

    def small_disk(file, *args, **kwargs):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        return write(file, *args, **kwargs)

    monkeypatch.setattr(soundfile, "write", small_disk)
    assert case.run(name, *embeddings_for(name, case)) == 1
    assert "No space left on device" in only_error(capsys)
    assert not done(case, name) and not (case.out / LAST[name]).exists()
    assert not [path for path in case.out.rglob("*") if ".tmp" in path.name or path.suffix == ".tar"]

    monkeypatch.undo()
    assert case.run(name, *embeddings_for(name, case)) == 0
    assert done(case, name) and (case.out / LAST[name]).exists()


@pytest.mark.parametrize("name", sorted(LAST))
def test_a_disk_too_small_is_refused_beforehand(case, name, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert case.run(name, *embeddings_for(name, case)) == 1
    assert "GB free" in only_error(capsys)
    assert not list(case.out.rglob("*.wav")) + list(case.out.rglob("*.tar"))


def test_wavs_of_an_interrupted_export_are_kept(case, monkeypatch, capsys):
    assert case.run("kaldi") == 0
    folder = case.out / "kaldi" / "2mix" / "test"
    wavs = sorted((folder / "wav" / "s1").iterdir())
    kept, gone = wavs[0].stat().st_ino, wavs[1].read_bytes()
    wavs[1].rename(wavs[1].with_name(f".{wavs[1].stem}.12.tmp.wav"))  # as a kill leaves it
    state = json.loads((folder / STATE_FILE).read_text())
    (folder / STATE_FILE).write_text(json.dumps({**state, "done": False}))
    assert case.run("kaldi") == 0
    assert wavs[0].stat().st_ino == kept and wavs[1].read_bytes() == gone
    assert sorted((folder / "wav" / "s1").iterdir()) == wavs


def test_other_settings_make_it_anew_and_its_index_goes_first(case, monkeypatch):
    """An old CSV must not outlive the wavs that it names."""
    assert case.run("librimix") == 0
    tree = case.out / "Libri2Mix" / "wav16k" / "max"
    csv = tree / "metadata" / "mixture_test_mix_both.csv"
    removed, rmtree = [], shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path, **kw: (removed.append(csv.exists()), rmtree(path, **kw)))
    assert case.run("librimix", "--wav_subtype", "FLOAT") == 0
    assert removed[-1] is False and csv.exists()
    wav = tree / "test" / "mix_both" / f"{case.plans['test'][0].id}.wav"
    assert soundfile.info(wav).subtype == "FLOAT"
    float_sum = sum(soundfile.read(tree / "test" / name / wav.name)[0] for name in ("s1", "s2", "noise"))
    np.testing.assert_allclose(soundfile.read(wav)[0], float_sum, atol=1e-6)


def test_a_second_export_into_the_same_folder_is_refused(case, capsys):
    """While another process is at work there."""
    context = multiprocessing.get_context("fork")
    started, go_on = context.Event(), context.Event()
    lock = context.Process(target=hold_lock, args=(case.out / "kaldi" / "2mix" / "test", started, go_on))
    lock.start()
    try:
        assert started.wait(20)
        assert case.run("kaldi") == 1
        assert "another process is at work" in only_error(capsys)
    finally:
        go_on.set()
        lock.join(20)
    assert case.run("kaldi") == 0


def hold_lock(folder, started, go_on):
    from wesep_mix.base.stage import Part, run_part

    run_part(Part(1, "other", folder, {}), False, lambda: (started.set(), go_on.wait(20)))


def test_files_that_are_not_an_exports_are_left_alone(case, capsys):
    mine = case.out / "kaldi" / "2mix" / "test" / "wav.scp"
    mine.parent.mkdir(parents=True)
    mine.write_text("my own\n")
    assert case.run("kaldi") == 1
    assert "holds files, but no .stage.json" in only_error(capsys)
    assert mine.read_text() == "my own\n"


def test_tables_can_name_the_wavs_of_a_librimix_tree(case):
    assert case.run("librimix", "--mode", "min", "--subset", "train-360", sets=["train"]) == 0
    tree = case.out / "Libri2Mix" / "wav16k" / "min"
    assert case.run("kaldi", "--wav", tree, "--mode", "min", "--subset", "train-360", sets=["train"]) == 0
    folder = case.out / "kaldi" / "2mix" / "train-360"
    assert not (folder / "wav").exists()
    plan = case.plans["train"][0]
    assert read_table(folder / "spk2.scp")[plan.id] == str(tree / "train-360" / "s2" / f"{plan.id}.wav")
    assert read_table(folder / "utt2dur")[plan.id] == "0.1"


def test_a_tree_of_another_plan_or_not_whole_is_refused(case, capsys):
    tree = case.out / "Libri2Mix" / "wav16k" / "max"
    assert case.run("wesep_v01", "--wav", tree, "--embeddings", case.embeddings) == 1
    assert str(tree / "test") in only_error(capsys)
    assert case.run("librimix") == 0
    capsys.readouterr()
    assert case.run("wesep_v01", "--wav", tree, "--mode", "min", "--embeddings", case.embeddings) == 1
    assert "it is of another plan or --mode" in only_error(capsys)
    gone = tree / "test" / "s2" / f"{case.plans['test'][2].id}.wav"
    gone.unlink()
    assert case.run("wesep_v01", "--wav", tree, "--embeddings", case.embeddings) == 1
    assert str(gone) in only_error(capsys)
    assert not (case.out / LAST["wesep_v01"]).exists()


def test_types_choose_the_mixtures_of_a_librimix_tree(case):
    assert case.run("librimix", "--types", "mix_clean") == 0
    tree = case.out / "Libri2Mix" / "wav16k" / "max"
    assert sorted(path.name for path in (tree / "metadata").iterdir()) == [
        "metrics_test_mix_clean.csv",
        "mixture_test_mix_clean.csv",
    ]
    folders = sorted(path.name for path in (tree / "test").iterdir() if path.is_dir())
    assert folders == ["mix_clean", "noise", "s1", "s2"]


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_16"])
def test_of_wavs_that_kaldi_does_not_read_it_says_so(subtype, case, capsys):
    assert case.run("kaldi", "--wav_subtype", subtype) == 0
    assert ("Kaldi's own programs do not read wavs of floats" in capsys.readouterr().out) == (subtype == "FLOAT")


def test_labels_by_hand(case):
    assert case.run("wesep", "--embeddings", case.embeddings, "--labels", "speaker", sets=["train"]) == 0
    plan = case.plans["train"][0]
    labels = read_table(case.out / "wesep" / "2mix" / "train" / "utt2spk")
    assert labels[plan.id].split() == file_labels(plan)


def test_three_talkers_are_told_that_weseps_evaluation_takes_two(exportable, tmp_path, capsys):
    from wesep_mix.bin import export_data

    case = exportable(tmp_path, 3)
    assert (
        export_data.main(
            [
                "--format",
                "wesep_shards",
                "--data",
                str(case.data),
                "--set_name",
                "test",
                "--out",
                str(case.out),
                "--embeddings",
                str(case.embeddings),
            ]
        )
        == 0
    )
    told = capsys.readouterr().out
    assert "evaluation takes two talkers" in told and "chunk_len above 960 samples" in told


def test_espnet_without_embeddings_enrols_with_another_utterance(case):
    assert case.run("espnet") == 0
    folder = case.out / "espnet" / "2mix" / "test"
    for number in range(2):
        enrolled = read_table(folder / f"enroll_spk{number + 1}.scp")
        for plan in case.plans["test"]:
            source, path = plan.sources[number], enrolled[plan.id]
            utt = path.rsplit("/", 1)[1].removesuffix(".wav")
            assert utt != source.utt and f"p{utt.split('-')[0]}" == source.spk
            assert soundfile.info(path).samplerate == 16000
    assert len({path for path in read_table(folder / "enroll_spk1.scp").values()}) > 1


@pytest.mark.parametrize(
    "options, told",
    [
        (["--format", "kaldy"], "did you mean kaldi?"),
        (["--format", "kaldi", "--shard_size", "3"], "shard_size: unknown key"),
        (
            ["--format", "wesep_shards", "--embeddings", "E", "--shard_size", "0"],
            "shard_size: wanted 1 or more, found 0",
        ),
        (["--format", "kaldi", "--mode", "mid"], "mode: wanted max or min, found 'mid'"),
        (["--format", "kaldi", "--wav_subtype", "MP3"], "wav_subtype: wanted PCM_16 or FLOAT, found 'MP3'"),
        (
            ["--format", "librimix", "--types", "mix_booth"],
            "wanted mix_both, mix_clean or mix_single, found 'mix_booth'",
        ),
        (
            ["--format", "wesep", "--embeddings", "E", "--labels", "spk"],
            "labels: wanted source, speaker or '', found 'spk'",
        ),
        (["--format", "librimix", "--embeddings", "E"], "holds no embeddings"),
        (["--format", "wesep"], "give --embeddings"),
        (["--format", "kaldi", "--set_name", "tset"], "plan.jsonl: no such file; stage 1 makes it"),
        (["--format", "kaldi", "--set_name", "test", "train", "--subset", "x"], "--subset x names one set"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(case, capsys, options, told):
    if "E" in options:
        options[options.index("E")] = str(case.embeddings)
    assert case.run(options[1], *options[2:]) == 1
    assert told in only_error(capsys)
    assert not case.out.exists() or not list(case.out.rglob("*.*"))


def test_a_set_without_embeddings_is_told_how_to_make_them(case, capsys):
    shutil.rmtree(case.embeddings / "train")
    assert case.run("wesep_v01", "--embeddings", case.embeddings, sets=["train"]) == 1
    assert "--set embeddings.sets=[train]" in only_error(capsys)


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda plans: [*plans, plans[0]], "is there twice"),
        (lambda plans: [], "not a mixture plan"),
    ],
)
def test_plans_that_cannot_be_exported(case, capsys, change, told):
    path = case.data / "test" / "plan.jsonl"
    write_plans(path, change(read_plans(path)))
    assert case.run("kaldi") == 1
    assert told in only_error(capsys)


def test_mixed_numbers_of_talkers_and_ids_that_name_no_file(case, capsys):
    path = case.data / "test" / "plan.jsonl"
    lines = path.read_text().splitlines()
    row = json.loads(lines[-1])
    for change, told in (({"sources": row["sources"][:1]}, "has 1 talkers"), ({"id": "z z"}, "cannot name a file")):
        path.write_text("\n".join([*lines[:-1], json.dumps(row | change)]) + "\n")
        assert case.run("kaldi") == 1
        assert told in only_error(capsys)


def test_a_source_file_that_is_gone_is_named(case, capsys, tmp_path):
    path = case.data / "test" / "plan.jsonl"
    text = path.read_text()
    missing = json.loads(text.splitlines()[2])["sources"][0]["path"]
    path.write_text(text.replace(missing, str(tmp_path / "gone.wav")))
    assert case.run("kaldi") == 1
    assert str(tmp_path / "gone.wav") in only_error(capsys)
    assert not (case.out / LAST["kaldi"]).exists()
