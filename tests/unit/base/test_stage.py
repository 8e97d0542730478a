import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wesep_mix.base import locks
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json, write_json
from wesep_mix.base.locks import alone_in
from wesep_mix.base.record import RECORD
from wesep_mix.base.stage import STATE_FILE, Need, Part, damage_of, guarded, outdated_by, run_part
from wesep_mix.io.audio import write_audio


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "exp" / "teacher"


class Work:
    """Counts its calls, writes a file, and notes what it found."""

    def __init__(self, out: Path, failure: BaseException | None = None):
        self.out, self.failure, self.found = out, failure, []

    def __call__(self) -> None:
        self.found.append({path.name for path in self.out.iterdir()} - {STATE_FILE})
        (self.out / f"file{len(self.found)}").touch()
        if self.failure is not None:
            raise self.failure


def raise_(error: BaseException):
    raise error


def made_by_stage(folder: Path, fingerprint: str = "f", done: bool = True) -> Path:
    write_json(folder / STATE_FILE, {"fingerprint": fingerprint, "done": done})
    (folder / "model.pt").touch()
    return folder / "model.pt"


def test_done_work_is_not_done_again(folder, capsys):
    part, work = Part(2, "teacher", folder, {"lr": 1}), Work(folder)
    run_part(part, False, work)
    assert read_json(folder / STATE_FILE)["done"] is True
    assert f"stage 2 (teacher): done in 0 s, see {folder}" in capsys.readouterr().out
    run_part(part, False, work)
    assert work.found == [set()]
    assert f"stage 2 (teacher): done already in {folder}; --force true redoes it" in capsys.readouterr().out


def test_the_order_of_settings_does_not_matter(folder):
    work = Work(folder)
    run_part(Part(2, "teacher", folder, {"a": 1, "b": {"c": 2, "d": 3}}), False, work)
    run_part(Part(2, "teacher", folder, {"b": {"d": 3, "c": 2}, "a": 1}), False, work)
    assert len(work.found) == 1


@pytest.mark.parametrize(
    "settings, force, why",
    [
        ({"lr": 2}, False, "lr changed (1 to 2)"),
        ({"lr": 1}, True, "--force true"),
        ({"lr": 0.5, "model": {"name": "x"}}, False, "lr and 1 more changed (1 to 0.5)"),
        ({}, False, "lr changed (1 to not set)"),
    ],
)
def test_changed_or_forced_work_begins_with_an_empty_folder(folder, capsys, settings, force, why):
    work = Work(folder)
    run_part(Part(2, "teacher", folder, {"lr": 1}), False, work)
    run_part(Part(2, "teacher", folder, settings), force, work)
    assert work.found == [set(), set()]
    assert f"stage 2 (teacher): {why}, {folder} is made anew" in capsys.readouterr().out


def test_interrupted_work_goes_on_with_what_it_left(folder, capsys):
    part = Part(2, "teacher", folder, {"lr": 1})
    status = guarded(lambda: run_part(part, False, Work(folder, KeyboardInterrupt())), "stage 2 (teacher)")
    assert status == 130
    said = capsys.readouterr().err.strip()
    assert said == "stage 2 (teacher): interrupted; the same command goes on from the last checkpoint"
    assert not part.is_done()
    work = Work(folder)
    run_part(part, False, work)
    assert work.found == [{"file1"}] and part.is_done()


def test_forced_work_that_was_interrupted_says_how_to_go_on_and_does(folder, capsys):
    part, work = Part(2, "teacher", folder, {"lr": 1}), Work(folder)
    run_part(part, False, work)
    assert guarded(lambda: run_part(part, True, Work(folder, KeyboardInterrupt())), "stage 2 (teacher)") == 130
    assert (
        "stage 2 (teacher): interrupted; the same command without --force true goes on from here"
        in capsys.readouterr().err
    )
    run_part(part, False, work)
    assert work.found == [set(), {"file1"}] and part.is_done()


def test_forced_work_outdates_what_was_built_on_it_and_on_that(folder, tmp_path):
    teacher = Part(2, "teacher", folder, {"lr": 1})
    student = Part(3, "student", tmp_path / "exp" / "student", {}, [Need(folder, 2)])
    extractor = Part(5, "extractor", tmp_path / "exp" / "extractor", {}, [Need(student.out, 3)])
    chain = (teacher, student, extractor)

    def run():
        for part in chain:
            run_part(part, False, Work(part.out))

    run()
    for _ in range(2):
        run_part(teacher, True, Work(folder))
        assert teacher.is_done() and not student.is_done()
        run()
        assert all(part.is_done() for part in chain)
    run_part(student, True, Work(student.out))
    assert teacher.is_done() and student.is_done() and not extractor.is_done()


def chain_of_three(tmp_path) -> tuple[Part, Part, Part]:
    folder = tmp_path / "exp"
    teacher = Part(2, "teacher", folder / "teacher", {})
    student = Part(3, "student", folder / "student", {}, [Need(teacher.out / "file1", 2)])
    return teacher, student, Part(5, "extractor", folder / "extractor", {}, [Need(student.out / "file1", 3)])


def test_what_was_made_anew_outdates_all_that_follows_until_it_is_made_again(tmp_path):
    chain = teacher, student, extractor = chain_of_three(tmp_path)
    for part in chain:
        run_part(part, False, Work(part.out))
    assert [outdated_by(part.out / "file1") for part in chain] == [None] * 3
    run_part(teacher, True, Work(teacher.out))
    changed = teacher.out / "file1"
    assert [outdated_by(part.out / "file1") for part in chain] == [None, changed, changed]
    with pytest.raises(
        UserError, match="extractor.* needs .*student/file1, which is out of date, since .*teacher/file1 was"
    ):
        run_part(extractor, False, Work(extractor.out))
    run_part(student, False, Work(student.out))
    assert [outdated_by(part.out) for part in chain] == [None, None, student.out / "file1"]
    run_part(extractor, False, Work(extractor.out))
    (tmp_path / "exp").rename(tmp_path / "moved")
    assert [outdated_by(tmp_path / "moved" / part.out.name) for part in chain] == [None] * 3


def test_unfinished_work_is_outdated_and_inputs_that_are_gone_are_not_known_to_be(tmp_path):
    teacher, student, _ = chain_of_three(tmp_path)
    for part in (teacher, student):
        run_part(part, False, Work(part.out))
    shutil.rmtree(teacher.out)
    assert outdated_by(student.out) is None
    with pytest.raises(RuntimeError):
        run_part(teacher, False, Work(teacher.out, RuntimeError()))
    assert outdated_by(teacher.out) == teacher.out == outdated_by(student.out / "file1")


def test_a_count_of_forced_work_outlives_other_settings(folder, tmp_path):
    teacher, other = (Part(2, "teacher", folder, {"lr": rate}) for rate in (1, 2))
    student = Part(3, "student", tmp_path / "exp" / "student", {}, [Need(folder, 2)])
    run_part(teacher, False, Work(folder))
    run_part(student, False, Work(student.out))
    run_part(teacher, True, Work(folder))
    for part in (other, teacher):
        run_part(part, False, Work(folder))
    assert not student.is_done()


def test_a_folder_of_before_the_count_stays_done(folder, tmp_path):
    """As one that was never forced, and so does what was built on it."""
    teacher = Part(2, "teacher", folder, {"lr": 1})
    student = Part(3, "student", tmp_path / "exp" / "student", {}, [Need(folder, 2)])
    for part in (teacher, student):
        run_part(part, False, Work(part.out))
    for part in (teacher, student):
        state = read_json(part.out / STATE_FILE)
        del state["forced"]
        write_json(part.out / STATE_FILE, state)
    assert teacher.is_done() and student.is_done()


def test_interrupted_work_of_other_settings_is_thrown_away(folder):
    with pytest.raises(RuntimeError):
        run_part(Part(2, "teacher", folder, {"lr": 1}), False, Work(folder, RuntimeError()))
    work = Work(folder)
    run_part(Part(2, "teacher", folder, {"lr": 2}), False, work)
    assert work.found == [set()]


def test_forced_work_that_was_interrupted_is_not_taken_for_done(folder):
    part = Part(2, "teacher", folder, {"lr": 1})
    run_part(part, False, Work(folder))
    with pytest.raises(RuntimeError):
        run_part(part, True, Work(folder, RuntimeError()))
    assert not part.is_done()


def test_a_kill_while_old_results_are_removed_leaves_none_of_them(folder, monkeypatch):
    run_part(Part(2, "teacher", folder, {"lr": 1}), False, Work(folder))
    new, work = Part(2, "teacher", folder, {"lr": 2}), Work(folder)

    def killed(path, *_, **__):
        if Path(path).exists():
            (Path(path) / STATE_FILE).unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            run_part(new, False, work)
    run_part(new, False, work)
    assert work.found == [set()] and new.is_done()
    assert {path.name for path in folder.parent.iterdir()} == {"teacher", ".teacher.lock"}


@pytest.mark.parametrize("force", [False, True])
def test_files_that_no_stage_wrote_are_kept_and_not_mixed_with_its_own(folder, force):
    folder.mkdir(parents=True)
    (folder / "thesis.txt").touch()
    with pytest.raises(UserError, match=f"teacher: holds files, but no {STATE_FILE}.*; move them away"):
        run_part(Part(2, "teacher", folder, {}), force, Work(folder))
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "written, same",
    [
        ({"optim": {"lr": "2e-3"}, "steps": 600.0}, True),
        ({"optim": {"lr": 0.002}, "steps": 600, "num_workers": 9}, True),
        ({"optim": {"lr": 0.002}, "steps": 601}, False),
        ({"optim.lr": 0.002, "steps": "six"}, False),
        ({"optim": {"lr": 0.002}, "steps": 600, "sets": ["dev"]}, False),
    ],
)
def test_what_means_the_same_is_the_same(folder, written, same):
    run_part(Part(2, "teacher", folder, {"optim": {"lr": 2e-3}, "steps": 600, "num_workers": 1}), False, Work(folder))
    assert Part(2, "teacher", folder, written).is_done() == same


def test_where_a_finished_experiment_lies_does_not_matter(folder, tmp_path, monkeypatch):
    def part(exp):
        return Part(3, "student", exp / "student", {}, [Need(exp / "teacher" / "model.pt", 2)])

    made_by_stage(folder)
    run_part(part(folder.parent), False, Work(folder.parent / "student"))
    folder.parent.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert all(part(Path(exp)).is_done() for exp in ("moved", tmp_path / "moved", f"../{tmp_path.name}/moved"))


def test_a_changed_input_is_named(folder, tmp_path, capsys):
    student = Part(3, "student", tmp_path / "student", {}, [Need(made_by_stage(folder), 2)])
    run_part(student, False, Work(student.out))
    made_by_stage(folder, fingerprint="g")
    run_part(student, False, Work(student.out))
    assert "stage 3 (student): its input of stage 2, model.pt changed, " in capsys.readouterr().out


def test_a_missing_result_of_a_finished_stage_is_to_be_forced(folder, tmp_path):
    made_by_stage(folder).unlink()
    student = Part(3, "student", tmp_path / "student", {}, [Need(folder / "model.pt", 2)])
    with pytest.raises(UserError, match="model.pt, which is gone, though it was made: .*--stop_stage 2 --force true"):
        run_part(student, False, Work(student.out))


def test_a_missing_input_names_its_stage_and_nothing_is_made(folder, tmp_path, capsys):
    need = Need(tmp_path / "data" / "single", 1)
    part, work = Part(2, "teacher", folder, {}, [need]), Work(folder)
    assert guarded(lambda: run_part(part, True, work), "stage 2") == 1
    assert capsys.readouterr().err == (
        f"error: stage 2 (teacher) needs {need.path}, which is not there: stage 1 makes it, run with --stage 1 "
        "--stop_stage 1 first\n"
    )
    assert work.found == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("done", [None, False])
def test_an_input_that_is_not_finished_is_refused(folder, tmp_path, done):
    path = tmp_path / "data" / "model.pt"
    path.parent.mkdir()
    if done is None:
        path.touch()
    else:
        made_by_stage(path.parent, done=done)
    with pytest.raises(UserError, match="model.pt, which is not finished: stage 7 makes it"):
        run_part(Part(8, "x", folder, {}, [Need(path, 7)]), False, Work(folder))


def test_work_is_redone_when_its_input_was(folder, tmp_path):
    path = made_by_stage(tmp_path / "data", "first")
    part, work = Part(3, "student", folder, {}, [Need(path, 2)]), Work(folder)
    run_part(part, False, work)
    run_part(part, False, work)
    assert len(work.found) == 1
    made_by_stage(tmp_path / "data", "second")
    assert not part.is_done()
    run_part(part, False, work)
    assert work.found == [set(), set()]


def test_an_input_belongs_to_the_nearest_stage_folder_above_it(folder, tmp_path):
    made_by_stage(tmp_path / "data", "far")
    path = made_by_stage(tmp_path / "data" / "test", "near", done=False)
    with pytest.raises(UserError, match="not finished"):
        Part(8, "x", folder, {}, [Need(path, 7)]).check_needs()
    deep = tmp_path / "data" / "train" / "plan.jsonl"
    deep.parent.mkdir()
    deep.touch()
    Part(8, "x", folder, {}, [Need(deep, 7)]).check_needs()


@pytest.mark.parametrize(
    "error, said",
    [
        (UserError("a.wav: empty"), "error: a.wav: empty\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "x.ark"),
            "error: stage 4: No space left on device (x.ark); free space or mend the file, then run again\n",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "x.ark"),
            "error: stage 4: Disk quota exceeded (x.ark); free space or mend the file, then run again\n",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", b"exp/x.ark"),
            "error: stage 4: Read-only file system (exp/x.ark); make it writable for you, or name another folder, then "
            "run again\n",
        ),
        (
            OSError(errno.ENOENT, "No such file or directory", "x.ark"),
            "error: stage 4: No such file or directory (x.ark); if it was removed meanwhile, run again\n",
        ),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x.wav"), "error: stage 4: File name too long (x.wav)\n"),
        (
            OSError(errno.EMFILE, "Too many open files", "x.wav"),
            "error: stage 4: Too many open files (x.wav); raise the "
            "number of files that may be open (ulimit -n), then run again\n",
        ),
        (OSError("odd"), "error: stage 4: odd\n"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_1(capsys, error, said):
    def call():
        raise error

    assert guarded(call, "stage 4") == 1
    assert capsys.readouterr().err == said


def test_success_is_0_and_a_fault_of_ours_is_not_hidden():
    assert guarded(lambda: None, "stage 4") == 0
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 / 0, "stage 4")


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe\0", "not valid JSON"),
        (b"\0" * 300, "not valid JSON"),
        (b"[]", "wanted a mapping, found .."),
        (b"{}", "wanted a fingerprint in it, found nothing"),
        (b'{"done": true}', "wanted a fingerprint in it, found done"),
    ],
)
def test_a_damaged_state_is_named_with_a_way_on_that_leads_on(folder, content, said):
    folder.mkdir(parents=True)
    (folder / STATE_FILE).write_bytes(content)
    part, work = Part(2, "teacher", folder, {}), Work(folder)
    for force in (False, True):
        with pytest.raises(UserError, match=f"{STATE_FILE}: {said}.*; remove the folder {folder}, and run its stage"):
            run_part(part, force, work)
    shutil.rmtree(folder)
    run_part(part, False, work)
    assert part.is_done()


class Makes:
    """Writes what it is told, as stages do; audio that is there it leaves as it is."""

    def __init__(self, out: Path, **files: str):
        self.out, self.files, self.calls = out, files or {"table": "a 1\nb 2\n"}, 0

    def __call__(self) -> None:
        self.calls += 1
        for name, text in self.files.items():
            write_json(self.out / f"{name}.json", text)
        for name in ("one", "two"):
            if not (self.out / f"{name}.wav").is_file():
                write_audio(self.out / f"{name}.wav", np.full(400, 0.1))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)


DAMAGES = [
    ("table.json", Path.unlink, "table.json is gone"),
    ("one.wav", Path.unlink, "one.wav is gone"),
    ("table.json", flip, "table.json has another content than was written"),
    ("one.wav", flip, "one.wav has another content than was written"),
    ("table.json", lambda path: path.write_text('"a 1'), "table.json has 4 bytes, 13 were written"),
    (RECORD, Path.unlink, f"{RECORD} names 0 files, but 3 were written"),
    (
        RECORD,
        lambda path: path.write_text(path.read_text().splitlines()[0]),
        f"{RECORD} names 1 files, but 3 were written",
    ),
]


@pytest.mark.parametrize("name, spoil, said", DAMAGES)
def test_a_stage_that_is_asked_again_makes_again_what_was_damaged(folder, capsys, name, spoil, said):
    part, work = Part(6, "extraction", folder, {}), Makes(folder)
    run_part(part, False, work)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.wav")}
    spoil(folder / name)
    assert not part.is_done()
    run_part(part, False, work)
    assert f"stage 6 (extraction): {folder}/{said}, it is made again\n" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."} == before
    assert all((folder / wav).stat().st_mtime_ns == time for wav, time in times.items() if wav != name)
    assert part.is_done() and damage_of(folder) is None
    run_part(part, False, work)
    assert work.calls == 2


@pytest.mark.parametrize("name, spoil, said", DAMAGES)
def test_a_later_stage_does_not_read_what_was_damaged(folder, tmp_path, name, spoil, said):
    first, out = Part(6, "extraction", folder, {}), tmp_path / "exp" / "scores"
    second, work = Part(7, "score", out, {}, [Need(folder / "two.wav", 6)]), Work(out)
    run_part(first, False, Makes(folder))
    spoil(folder / name)
    wanted = f"stage 7 .score. needs {folder}/two.wav, but {folder}/{said}: stage 6 makes it again, run with --stage 6 "
    with pytest.raises(UserError, match=wanted):
        run_part(second, False, work)
    assert work.found == []
    run_part(first, False, Makes(folder))
    run_part(second, False, work)
    assert second.is_done()


def test_what_is_done_does_not_read_its_inputs_again(folder, tmp_path):
    first, out = Part(6, "extraction", folder, {}), tmp_path / "exp" / "scores"
    second, work = Part(7, "score", out, {}, [Need(folder, 6)]), Work(out)
    run_part(first, False, Makes(folder))
    run_part(second, False, work)
    flip(folder / "one.wav")
    run_part(second, False, work)
    assert len(work.found) == 1


def test_of_a_large_input_the_sizes_are_looked_at(folder, tmp_path):
    run_part(Part(1, "wavs", folder, {}), False, Makes(folder))
    part = Part(1, "export", tmp_path / "exp" / "export", {}, [Need(folder, 1, large=True)])
    stat = (folder / "one.wav").stat()
    flip(folder / "one.wav")
    os.utime(folder / "one.wav", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    part.check_inputs()
    (folder / "one.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match="one.wav has 4 bytes"):
        part.check_inputs()


def test_what_is_made_again_outdates_what_was_built_on_it_only_where_it_is_another(folder, tmp_path):
    first, out = Part(4, "embeddings", folder, {}), tmp_path / "exp" / "extractor"
    second = Part(5, "extractor", out, {}, [Need(folder, 4)])
    run_part(first, False, Makes(folder))
    run_part(second, False, Work(out))
    for table, same in (("a 1\nb 2\n", True), ("a 1\nb 3\n", False)):
        (folder / "table.json").unlink()
        run_part(first, False, Makes(folder, table=table))
        assert first.is_done() and second.is_done() == same == (outdated_by(out) is None)


def test_mending_that_was_interrupted_goes_on(folder):
    part, work = Part(6, "extraction", folder, {}), Makes(folder)
    run_part(part, False, work)
    flip(folder / "one.wav")
    with pytest.raises(KeyboardInterrupt):
        run_part(part, False, Work(folder, KeyboardInterrupt()))
    assert not (folder / "one.wav").exists() and (folder / "two.wav").exists()
    run_part(part, False, work)
    assert part.is_done() and damage_of(folder) is None


def test_what_users_put_there_and_what_a_training_keeps_for_itself_does_not_matter(folder):
    part, work = Part(2, "teacher", folder, {}), Makes(folder, **{"checkpoints/last": "x", "logs/log": "x"})
    own = [folder / "notes.md", folder / "my" / "plot.json", folder / ".stage.json.bak"]

    def both():
        work()
        for path in own:
            path.parent.mkdir(exist_ok=True)
            path.write_text("mine")

    run_part(part, False, both)
    for path in own:
        path.unlink()
    shutil.rmtree(folder / "checkpoints")
    shutil.rmtree(folder / "logs")
    (folder / "more.wav").touch()
    run_part(part, False, both)
    assert work.calls == 1


def test_a_moved_experiment_is_whole_and_its_damage_is_noticed(folder, tmp_path):
    run_part(Part(2, "teacher", folder, {}), False, Makes(folder))
    folder.parent.rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tmp_path / "copied")
    for place in ("moved", "copied"):
        part = Part(2, "teacher", tmp_path / place / "teacher", {})
        assert part.is_done()
        flip(part.out / "one.wav")
        assert not part.is_done()


def test_a_folder_of_before_the_record_stays_done(folder, tmp_path):
    part, work = Part(2, "teacher", folder, {}), Makes(folder)
    run_part(part, False, work)
    state = read_json(folder / STATE_FILE)
    del state["files"]
    (folder / STATE_FILE).unlink()
    write_json(folder / STATE_FILE, state)
    (folder / RECORD).unlink()
    flip(folder / "table.json")
    run_part(part, False, work)
    assert work.calls == 1 and damage_of(folder) is None
    Part(3, "student", tmp_path / "student", {}, [Need(folder, 2)]).check_inputs()


def test_what_a_kill_left_is_removed_when_the_stage_goes_on(folder):
    part = Part(8, "clustering", folder, {})
    with pytest.raises(KeyboardInterrupt):
        run_part(part, False, Work(folder, KeyboardInterrupt()))
    left = folder / "wav" / ".a-b.77.tmp.wav"
    left.parent.mkdir()
    left.touch()
    run_part(part, False, Work(folder))
    assert not left.exists()


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "SLURM_PROCID"])
def test_of_one_distributed_training_the_first_process_minds_the_folder(folder, monkeypatch, name):
    part, calls = Part(2, "teacher", folder, {"lr": 1}), []
    monkeypatch.setenv(name, "1")
    run_part(part, True, lambda: calls.append(name))
    assert calls == [name] and not folder.exists()
    monkeypatch.setenv(name, "0")
    run_part(part, False, Work(folder))
    assert part.is_done()


HOLDER = """
import os, sys, time
from pathlib import Path
from wesep_mix.base.stage import Part, run_part

def work():
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)

run_part(Part(2, "teacher", Path(sys.argv[1]), {}), False, work)
"""


def test_two_processes_do_not_work_in_one_folder_and_a_kill_frees_it_at_once(folder):
    """Its children, such as a data loader's workers, live on for seconds after `kill -9`."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, folder], stdout=subprocess.PIPE, text=True)
    child = int(holder.stdout.readline())
    work = Work(folder)
    try:
        with pytest.raises(UserError, match=f"{folder}: another process is at work there"):
            run_part(Part(2, "teacher", folder, {}), False, work)
        assert work.found == []
        holder.kill()
        holder.wait()
        run_part(Part(2, "teacher", folder, {}), False, work)
        assert work.found == [set()]
    finally:
        os.kill(child, signal.SIGKILL)
        holder.kill()
        holder.wait()
        holder.stdout.close()


BRIEF_HOLDER = """
import sys, time
from pathlib import Path
from wesep_mix.base.locks import alone_in

with alone_in(Path(sys.argv[1])):
    print(flush=True)
    time.sleep(0.5)
    Path(sys.argv[1], "written").touch()
"""


def test_who_waits_for_a_folder_finds_what_the_other_wrote(folder):
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", BRIEF_HOLDER, folder], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with alone_in(folder, wait=True):
            assert (folder / "written").is_file()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_a_stage_says_so_once_and_goes_on(folder, monkeypatch, capsys, number):
    def lockf(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "lockf", lockf)
    locks._report_no_locks.cache_clear()
    for name in ("first", "second"):
        part = Part(2, "teacher", folder / name, {})
        run_part(part, False, Work(part.out))
        assert part.is_done()
    told = capsys.readouterr().err.splitlines()
    assert told == [
        f"note: this file system has no locks ({os.strerror(number)}): make sure that no two runs work in one folder"
    ]


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_a_lock_that_another_process_holds_is_no_missing_lock(folder, monkeypatch, number):
    def lockf(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "lockf", lockf)
    with pytest.raises(UserError, match="another process is at work there"):
        run_part(Part(2, "teacher", folder, {}), False, Work(folder))


def test_sigterm_ends_a_stage_with_a_word_and_its_status_and_the_stage_goes_on(folder, capsys):
    part = Part(2, "teacher", folder, {"lr": 1})

    def work():
        (folder / "half").touch()
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    assert guarded(lambda: run_part(part, False, work), "stage 2 (teacher)") == 143
    said = capsys.readouterr().err.strip()
    assert said == "stage 2 (teacher): ended by SIGTERM; the same command goes on from the last checkpoint"
    assert signal.getsignal(signal.SIGTERM) == before and not part.is_done()
    again = Work(folder)
    run_part(part, False, again)
    assert again.found == [{"half"}] and part.is_done()


def test_what_an_interrupted_import_makes_of_a_signal_is_still_the_signal(capsys):
    def loading():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise RecursionError("as numpy's") from None

    assert guarded(loading, "stage 2") == 130
    assert capsys.readouterr().err.strip().startswith("stage 2: interrupted; ")
    with pytest.raises(RecursionError):
        guarded(lambda: raise_(RecursionError("ours")), "stage 2")


LOADING = """
import os, signal, sys
class Signal:
    def find_spec(self, name, *_):
        if name == "wesep_mix.bin.options":
            os.kill(os.getpid(), int(os.environ["NUMBER"]))
sys.meta_path.insert(0, Signal())
"""


@pytest.mark.parametrize("number, said", [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "ended by SIGTERM")])
def test_a_signal_while_modules_are_loaded_is_a_word_and_its_status(tmp_path, number, said):
    (tmp_path / "sitecustomize.py").write_text(LOADING)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "NUMBER": str(int(number))}
    command = [sys.executable, "-m", "wesep_mix.bin.train_teacher"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 128 + number
    assert done.stderr.strip() == f"{said} before the work began; the same command begins it"


def test_a_program_that_is_ending_is_not_told_to_end_once_more():
    """As when a job's processes get SIGTERM from Slurm, and again from the one that started them."""
    program = (
        "import os, signal\n"
        "from wesep_mix.base.stops import end_at_once\n"
        "from wesep_mix.base.stage import guarded\n"
        "end_at_once()\n"
        "tell = lambda: os.kill(os.getpid(), signal.SIGTERM)\n"
        "status = guarded(tell, 'stage 3')\n"
        "tell()\n"
        "raise SystemExit(status)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr.splitlines() == [
        "",
        "stage 3: ended by SIGTERM; the same command goes on from the last checkpoint",
    ]
