"""Work in shares by a Kaldi-style wrapper: the same results as in this process, and what fails is told and redone."""

import sys
from functools import partial
from pathlib import Path

import pytest
from noting import noted
from places import ROOT

from wesep_mix.base import jobs
from wesep_mix.base.environment import Processes
from wesep_mix.base.errors import UserError
from wesep_mix.base.parallel import map_items
from wesep_mix.base.stage import Part, run_part

LOCAL = f"{sys.executable} {ROOT / 'tools' / 'run_local.py'} --max-jobs-run 2 --mem 1G"


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.setenv(jobs.CMD, LOCAL)
    monkeypatch.setenv(jobs.FOLDER, str(tmp_path / "jobs"))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT}/tests/helpers")
    return tmp_path


@pytest.mark.parametrize("nj", [1, 2, 3, 50])
def test_the_results_are_those_of_this_process_for_any_number_of_jobs(cluster, nj, monkeypatch):
    items, kept = [9, 1, 8, 2, 3], []
    found = map_items(partial(noted, cluster), items, nj, "squares of numbers", keep=kept.append)
    assert found == [(number, number * number) for number in items] and kept == [81, 1, 64, 4, 9]
    assert all((cluster / f"call-{number}").read_text() == "x" for number in items)
    assert list((cluster / "jobs").iterdir()) == []
    monkeypatch.delenv(jobs.CMD)
    assert map_items(partial(noted, cluster), items, 1, "squares") == found


def test_bad_items_are_named_as_ever(cluster, capsys):
    found = map_items(partial(noted, cluster), [1, 7, 2], 2, "squares", max_bad=1)
    assert found == [(1, 1), (2, 4)] and "warning: squares: left out: 7.wav: empty" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"squares: 7.wav: empty; mend it, or leave it out with --set a.max_bad=1"):
        map_items(partial(noted, cluster), [1, 7, 2], 2, "squares", setting="a.max_bad")


def test_where_an_item_is_bad_the_other_shares_are_kept(cluster):
    for _ in range(2):
        with pytest.raises(UserError, match="7.wav: empty"):
            map_items(partial(noted, cluster), [1, 7, 2, 3], 2, "squares")
    assert (cluster / "call-1").read_text() == "x" and (cluster / "call-3").read_text() == "xx"


def test_shares_of_other_code_are_not_taken(cluster, monkeypatch):
    (cluster / "bad-3").touch()
    for code in ("one", "other"):
        monkeypatch.setattr(jobs, "sources_hash", lambda code=code: code)
        with pytest.raises(UserError):
            map_items(partial(noted, cluster), [1, 2, 3, 4], 2, "squares")
    assert (cluster / "call-2").read_text() == "xx"


def test_a_call_in_one_job_gives_what_it_gives_here(cluster, monkeypatch):
    work = partial(noted, cluster, 5)
    assert jobs.in_a_job(work, "one square") == 25 and (cluster / "jobs").is_dir()
    monkeypatch.delenv(jobs.CMD)
    assert jobs.in_a_job(work, "one square") == 25


def test_a_share_that_failed_is_done_again_alone(cluster, capfd):
    (cluster / "bad-3").touch()
    with pytest.raises(
        UserError,
        match=r"squares: .*run_local.py .* ended with status 1, share 1: .*no luck with 3; logs: .*jobs/squares-",
    ):
        map_items(partial(noted, cluster), [1, 2, 3, 4], 2, "squares")
    assert "no luck with 3" in capfd.readouterr().err
    (cluster / "bad-3").unlink()
    assert map_items(partial(noted, cluster), [1, 2, 3, 4], 2, "squares") == [(1, 1), (2, 4), (3, 9), (4, 16)]
    assert (cluster / "call-2").read_text() == (cluster / "call-4").read_text() == "x"  # of the other share
    assert (cluster / "call-3").read_text() == "xx"


def test_a_wrapper_that_does_nothing_is_noticed(cluster, monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE_S", 0.0)
    monkeypatch.setenv(jobs.CMD, "true")
    with pytest.raises(UserError, match=r"squares: .* but there is no .*share.1.pkl; .* items 0, 2, ... of 3"):
        map_items(partial(noted, cluster), [1, 2, 3], 2, "squares")
    monkeypatch.setenv(jobs.CMD, "no-such-wrapper --mem 1G")
    with pytest.raises(UserError, match="WESEP_MIX_CMD: no-such-wrapper: No such file or directory"):
        map_items(partial(noted, cluster), [1, 2, 3], 2, "squares")


def test_a_share_that_shows_late_is_waited_for(cluster, monkeypatch):
    late = cluster / "late.sh"
    late.write_text(
        f'{LOCAL} "$@"\nfolder=$(dirname "$2")\nmv $folder/share.1.pkl $folder/elsewhere\n'
        "(sleep 1.5; mv $folder/elsewhere $folder/share.1.pkl) &\n"
    )
    monkeypatch.setenv(jobs.CMD, f"bash {late}")
    assert map_items(partial(noted, cluster), [1, 2, 3], 2, "squares") == [(1, 1), (2, 4), (3, 9)]


def test_shares_of_other_inputs_are_not_taken(cluster):
    """A share that is left from work that failed, and the same work for a part that is made of something else."""

    def squares(setting):
        part = Part(7, "scores", cluster / "scores", {"setting": setting})
        run_part(part, False, lambda: map_items(partial(noted, cluster), [1, 2, 3, 4], 2, "squares"))

    (cluster / "bad-3").touch()
    for _ in range(2):
        with pytest.raises(UserError):
            squares(1)
    (cluster / "bad-3").unlink()
    assert (cluster / "call-2").read_text() == "x"
    squares(2)
    assert (cluster / "call-2").read_text() == "xx"


def test_a_wrapper_of_trainings_that_is_not_there_is_told_before_anything_is_removed(cluster, monkeypatch):
    monkeypatch.setenv(jobs.TRAIN_CMD, "no-such-wrapper --mem 1G")
    with pytest.raises(UserError, match="WESEP_MIX_TRAIN_CMD: no-such-wrapper: not found; wanted a job wrapper"):
        jobs.training_job("train_teacher", [], Part(2, "teacher", cluster / "teacher", {}), Processes())


@pytest.mark.parametrize(
    ("wrapper", "processes", "told", "srun"),
    [
        ("w", Processes(), [], []),
        ("w --mem 2G", Processes(ngpu=2), ["--mem", "2G", "--gpu", "2"], []),
        ("w", Processes(num_procs=4), ["--num-threads", "4"], []),
        ("w --gpu a100:2 --num-threads 9", Processes(ngpu=2), ["--gpu", "a100:2", "--num-threads", "9"], []),
        (
            "w",
            Processes(ngpu=4, num_nodes=2),
            ["--gpu", "4", "--num_nodes", "2", "--ntasks_per_node", "4"],
            ["srun"],
        ),
    ],
)
def test_the_wrapper_of_a_training_is_told_of_its_processes(cluster, monkeypatch, wrapper, processes, told, srun):
    seen = cluster / "w"
    seen.write_text(f'#!/usr/bin/env bash\nprintf "%s\\n" "$@" > {cluster}/told\nexit 3\n')
    seen.chmod(0o755)
    monkeypatch.setenv(jobs.TRAIN_CMD, f"{cluster}/{wrapper}")
    monkeypatch.setenv(jobs.THREADS, "1")
    part = Part(3, "student", cluster / "2mix" / "student", {})
    job = jobs.training_job("train_student", ["--out=x", "--force=true"], part, processes)
    with pytest.raises(UserError, match=r"stage 3 \(student\): its job ended with status 3, see .*/2mix/student.log"):
        job()
    command = ["env", "-u", jobs.TRAIN_CMD, "OMP_NUM_THREADS=1", *srun, sys.executable, "-m"]
    command += ["wesep_mix.bin.train_student", "--out=x", "--force=true", "--force=false"]
    assert (cluster / "told").read_text().splitlines() == [*told, f"{cluster}/jobs/2mix/student.log", *command]


def test_a_training_stays_here_without_a_wrapper_and_its_log_is_of_this_experiment(cluster, monkeypatch):
    part = Part(2, "teacher", cluster / "elsewhere" / "teacher", {})
    assert jobs.training_job("train_teacher", [], part, Processes()) is None
    monkeypatch.setenv(jobs.FOLDER, str(cluster / "exp" / "mini" / "jobs"))
    assert jobs.log_of(part) == cluster / "exp/mini/jobs/elsewhere/teacher.log"


def test_a_share_that_is_cut_off_is_noticed(cluster, monkeypatch):
    cut = cluster / "cut.sh"
    write = "import pickle, sys; pickle.dump([1], open(sys.argv[1], 'wb'))"
    cut.write_text(f'{sys.executable} -c "{write}" "$(dirname "$2")/share.1.pkl"\n')
    monkeypatch.setenv(jobs.CMD, f"bash {cut}")
    with pytest.raises(UserError, match=r"share.1.pkl: wanted 3 results, found 1"):
        map_items(partial(noted, cluster), [1, 2, 3], 1, "squares")


def test_the_wrapper_is_called_in_kaldis_form(cluster, monkeypatch):
    seen = cluster / "seen.sh"
    seen.write_text(f'printf "%s\\n" "$@" > {cluster}/told; exit 1\n')
    monkeypatch.setenv(jobs.CMD, f"bash {seen} --mem 2G --gpu 0")
    with pytest.raises(UserError, match="ended with status 1"):
        map_items(partial(noted, cluster), [1, 2, 3], 2, "squares of: x/y")
    told = (cluster / "told").read_text().splitlines()
    assert told[:5] == ["--mem", "2G", "--gpu", "0", "SHARE_NUMBER=1:2"]
    folder = Path(told[5]).parent
    assert folder.name.startswith("squares-of-x-y-") and told[5] == f"{folder}/share.SHARE_NUMBER.log"
    assert told[6:] == [sys.executable, "-m", "wesep_mix.base.jobs", str(folder), "SHARE_NUMBER", "2"]
