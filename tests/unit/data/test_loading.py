"""Batches from workers: they need no shared memory, and whatever goes wrong in a worker ends the waiting for it."""

import errno
import multiprocessing
import os
import re
import resource
import tempfile

import pytest
import torch
from torch.utils.data import Dataset

from wesep_mix.base.errors import UserError
from wesep_mix.data.datasets import FixedMixtures, fixed_loader
from wesep_mix.data.loading import Loader, lost_workers_told
from wesep_mix.io.audio import read_audio

pytestmark = pytest.mark.timeout(60)


class Failing(Dataset):
    """Two items that call `fail` in the worker."""

    def __init__(self, fail):
        self.fail = fail

    def __len__(self):
        return 2

    def __getitem__(self, place):
        return self.fail()


def raise_(error):
    raise error


def batches_of(fail):
    return list(Loader(Failing(fail), 2, num_workers=1))


def test_batches_come_where_tensors_cannot_be_shared(plans, monkeypatch, tmp_path):
    """Neither a full /dev/shm nor a TMPDIR too long for sockets keeps a batch back."""
    alone = list(fixed_loader(plans, 2))
    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", lambda self: raise_(RuntimeError("full")))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 30)))
    os.mkdir(tempfile.tempdir)
    with_worker = list(fixed_loader(plans, 2, num_workers=1))
    assert len(alone) == len(with_worker) > 1
    for one, other in zip(alone, with_worker, strict=True):
        assert one.plans == other.plans and torch.equal(one.mix, other.mix) and torch.equal(one.sources, other.sources)


def test_a_batch_from_a_worker_can_be_changed_in_place(plans):
    (batch, *_) = fixed_loader(plans, 2, num_workers=1)
    batch.mix += 1
    assert batch.mix.min() >= 0


@pytest.mark.parametrize("error", [UserError("a.wav: empty"), FileNotFoundError(errno.ENOENT, "No such file", "a.wav")])
def test_an_error_in_a_worker_is_the_same_error_here(error):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        batches_of(lambda: raise_(error))


def test_an_error_that_cannot_be_pickled_ends_the_waiting_too():
    class Local(Exception):
        pass

    with pytest.raises(RuntimeError, match="Local: of our own"):
        batches_of(lambda: raise_(Local("of our own")))


def test_too_few_file_handles_in_a_worker_are_named(plans):
    def read(*arguments, **options):
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        return read_audio(*arguments, **options)

    with pytest.raises(UserError, match=r"^Too many open files: raise the number of files .*\(ulimit -n\)$"):
        list(Loader(FixedMixtures(plans, read), 2, num_workers=1))


def test_a_killed_worker_is_said_whenever_torch_notices():
    said = "^a data worker was killed, .*; lower num_workers or batch_size"
    with pytest.raises(UserError, match=said), lost_workers_told():
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    with pytest.raises(RuntimeError, match="ours"), lost_workers_told():
        raise RuntimeError("ours")


@pytest.mark.parametrize(
    "number, said",
    [
        (errno.ENOSPC, r"No space left on device.*/dev/shm.*--shm-size=1g\), or do without them: num_workers=0"),
        (errno.EMFILE, r"Too many open files.*ulimit -n\), or do without them: num_workers=0"),
        (errno.EAGAIN, r"temporarily unavailable.*ulimit -u"),
    ],
)
def test_workers_that_cannot_be_started_say_what_they_lack(plans, monkeypatch, number, said):
    monkeypatch.setattr(multiprocessing, "Queue", lambda: raise_(OSError(number, os.strerror(number))))
    with pytest.raises(UserError, match=f"^data workers: worker processes cannot be started .*{said}"):
        list(fixed_loader(plans, 2, num_workers=1))
