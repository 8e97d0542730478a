import errno
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.base.parallel import map_items, map_kept
from wesep_mix.base.stage import guarded

THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


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


def test_what_is_in_the_journal_is_not_done_again(tmp_path, capsys):
    numbers = {str(number): number for number in range(1, 6)}
    kept = tmp_path / "kept.jsonl"
    assert map_kept(picky, numbers, kept, 1, "scoring", max_bad=1) == {"1": -1, "2": -2, "4": -4, "5": -5}
    assert "before" not in capsys.readouterr().out
    kept.write_text("".join(kept.read_text().splitlines(True)[:2]) + '{"id":"4","resu')  # as a kill leaves it
    done = []
    found = map_kept(lambda number: done.append(number) or number, {**numbers, "6": 6}, kept, 1, "scoring")
    assert found == {"1": -1, "2": -2, "3": 3, "4": 4, "5": 5, "6": 6} and done == [3, 4, 5, 6]
    assert list(found) == list("123456") and "note: scoring: 2 of 6 were done before" in capsys.readouterr().out


def test_a_number_that_is_none_survives_the_journal(tmp_path):
    for _ in range(2):
        (found,) = map_kept(lambda _: {"a": float("nan"), "b": 0.1 + 0.2}, {"x": 1}, tmp_path / "j", 1, "t").values()
        assert found["a"] != found["a"] and found["b"] == 0.1 + 0.2


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
    def fail(*_, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("joblib.Parallel", fail)
    with pytest.raises(UserError, match=f"^squares: worker processes cannot be started .*{said}.*: --nj 1$"):
        map_items(square, range(4), 2, "squares")


SQUARES = """
from wesep_mix.base.parallel import map_items, map_kept

if __name__ == "__main__":
    for _ in range(2):
        print(map_items(abs, range(4), 2, "sizes"), map_items(abs, range(4), 2, "more"))
"""


def test_a_tmpdir_too_long_for_sockets_does_not_matter_and_nothing_is_left_in_it(tmp_path):
    long = tmp_path / ("x" * 110)
    long.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SQUARES], env=os.environ | {"TMPDIR": str(long)}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.count("(3, 3)") == 4, done.stderr
    assert list(long.iterdir()) == []


SLOW = """
import time
from wesep_mix.base.parallel import map_items, map_kept
from wesep_mix.base.stage import guarded

if __name__ == "__main__":
    raise SystemExit(guarded(lambda: map_items(time.sleep, [0.2] * 500, 2, "sleeping"), "scoring"))
"""


@pytest.mark.parametrize("number, status, word", [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended")])
def test_a_stop_ends_the_workers_too_and_at_once(number, status, word):
    """Sent to the parent alone, as a scheduler does; the workers hold its stderr, which is read to its end."""
    process = subprocess.Popen([sys.executable, "-c", SLOW], stderr=subprocess.PIPE, text=True)
    said = process.stderr.read(1)  # the bar: the workers are there soon
    time.sleep(2)
    process.send_signal(number)
    begin = time.monotonic()
    said += process.stderr.read()
    assert process.wait() == status and f"scoring: {word}" in said and "Traceback" not in said
    assert time.monotonic() - begin < 30
