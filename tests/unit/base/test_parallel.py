import errno
import os
import resource
import signal
import subprocess
import sys

import pytest

from wesep_mix.base import parallel
from wesep_mix.base.errors import UserError
from wesep_mix.base.parallel import THREAD_LIMITS, map_items
from wesep_mix.base.stage import guarded


def square(number: int) -> int:
    return number * number


def picky(number: int) -> int:
    if number % 3 == 0:
        raise UserError(f"file{number}.wav: empty")
    return -number


def faulty(number: int) -> float:
    return 1 / number


def deadly(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def without_handles(number: int) -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    with open(__file__):
        return number


def place_and_threads(number: int) -> tuple[int, list[str | None]]:
    return os.getpid(), [os.environ.get(name) for name in THREAD_LIMITS]


@pytest.mark.parametrize("nj", [1, 2])
def test_results_come_in_the_order_of_the_items(nj):
    assert map_items(square, range(40), nj, "squares") == [(number, number * number) for number in range(40)]


@pytest.mark.parametrize("nj", [1, 2])
def test_up_to_max_bad_items_are_named_and_left_out(nj, capfd):
    assert map_items(picky, range(1, 8), nj, "scoring", max_bad=2) == [(n, -n) for n in (1, 2, 4, 5, 7)]
    warnings = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning")]
    assert warnings == [f"warning: scoring: left out: file{number}.wav: empty" for number in (3, 6)]


@pytest.mark.parametrize("nj", [1, 2])
def test_more_bad_items_are_an_error_that_names_the_last(nj):
    with pytest.raises(UserError) as err:
        map_items(picky, range(1, 8), nj, "scoring", max_bad=1)
    assert str(err.value) == "scoring: file6.wav: empty (bad item 2, max_bad is 1)"


def test_the_error_names_the_setting_that_would_leave_the_item_out_where_there_is_one():
    with pytest.raises(UserError) as err:
        map_items(picky, range(1, 8), 1, "train speech", max_bad=1, setting="corpus.max_bad")
    assert str(err.value) == (
        "train speech: file6.wav: empty (bad item 2, max_bad is 1); mend it, or leave it out "
        "with --set corpus.max_bad=2"
    )


@pytest.mark.parametrize("nj", [1, 2])
def test_the_error_has_a_line_of_its_own_after_the_progress_bar(nj, capfd):
    assert guarded(lambda: map_items(picky, [1, 3], nj, "scoring"), "stage 7") == 1
    assert capfd.readouterr().err.splitlines()[-1] == "error: scoring: file3.wav: empty"


def test_by_default_the_first_bad_item_is_an_error():
    with pytest.raises(UserError) as err:
        map_items(picky, [1, 3, 6], 1, "scoring")
    assert str(err.value) == "scoring: file3.wav: empty"


@pytest.mark.parametrize("nj", [1, 2])
def test_a_fault_of_ours_is_not_counted_as_a_bad_item(nj):
    with pytest.raises(ZeroDivisionError):
        map_items(faulty, [1, 0, 2], nj, "dividing", max_bad=10)


def test_a_killed_worker_is_said():
    with pytest.raises(UserError, match="counting: a worker process was killed, .*lower --nj"):
        map_items(deadly, range(4), 2, "counting", max_bad=10)


def test_workers_have_one_thread_each_and_this_process_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    seen = [result for _, result in map_items(place_and_threads, range(4), 2, "looking")]
    assert all(pid != os.getpid() and threads == ["1"] * len(THREAD_LIMITS) for pid, threads in seen)
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("nj", [1, 2])
def test_nothing_to_do(nj):
    assert map_items(square, [], nj, "squares") == []


def test_too_few_file_handles_in_a_worker_are_named():
    with pytest.raises(UserError, match=r"^Too many open files: raise .*\(ulimit -n\)$"):
        map_items(without_handles, range(4), 2, "opening", max_bad=10)


@pytest.mark.parametrize(
    "number, said",
    [
        (errno.ENOSPC, r"No space left on device.*/dev/shm"),
        (errno.EMFILE, r"Too many open files.*ulimit -n"),
        (errno.EROFS, r"Read-only file system.*/dev/shm"),
    ],
)
def test_processes_that_cannot_be_started_say_what_they_lack(monkeypatch, number, said):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(parallel, "ProcessPoolExecutor", fail)
    with pytest.raises(UserError, match=f"^squares: worker processes cannot be started .*{said}.*: --nj 1$"):
        map_items(square, range(4), 2, "squares")


SQUARES = """
from wesep_mix.base.parallel import map_items

if __name__ == "__main__":
    for _ in range(2):
        print(map_items(abs, range(4), 2, "sizes"), map_items(abs, range(4), 2, "more"))
"""


def test_where_tmpdir_is_too_long_for_sockets_they_are_elsewhere_and_go_in_the_end(tmp_path):
    short, long = tmp_path / "s", tmp_path / ("x" * 110)
    for folder in (short, long):
        folder.mkdir()
    code = f"from wesep_mix.base import parallel\nparallel.SHORT_FOLDERS = ({str(short)!r},)\n{SQUARES}"
    if len(str(short)) > 70:
        pytest.skip("the tests' own folder for temporary files is too long")
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(long)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stdout.count("(3, 3)") == 4, done.stderr
    notes = [line for line in done.stderr.splitlines() if line.startswith("note")]
    assert notes == [
        f"note: TMPDIR is too long for the sockets of worker processes ({len(str(long))} bytes, at most "
        f"75): these are in {short}"
    ]
    assert list(short.iterdir()) == list(long.iterdir()) == []


def test_where_no_short_folder_can_be_written_that_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(parallel.tempfile, "tempdir", str(tmp_path / ("x" * 110)))
    monkeypatch.setattr(parallel, "SHORT_FOLDERS", (str(tmp_path / "missing"),))
    with pytest.raises(UserError, match="^TMPDIR is too long .* none of .*missing can be written; set it to another"):
        map_items(square, range(4), 2, "squares")
