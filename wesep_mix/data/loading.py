"""Batches from worker processes: as bytes through a pipe, with the error in place of a batch if something went wrong.

torch's own way needs a file in /dev/shm and a handle for every tensor, and a socket in TMPDIR. If one of them fails, it
fails in a thread of the worker that drops the batch, and the training waits for that batch for ever. The pipe needs
none of them. It also takes less CPU time: new shared memory has to be mapped page by page for every batch.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.pool import ExceptionWithTraceback
from types import FrameType
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from wesep_mix.base.errors import UserError
from wesep_mix.base.parallel import out_of_handles, starting
from wesep_mix.base.stops import TERMINATED
from wesep_mix.data.batch import MixBatch, collate

NO_WORKERS = "num_workers=0"


class Loader(DataLoader[MixBatch]):
    """A DataLoader of batches of examples.

    While batches are taken it raises what rendering them raised, in a worker too, and a UserError if the workers cannot
    be started or one was killed.
    """

    def __init__(self, dataset: Dataset, batch_size: int, num_workers: int, **options: Any):
        source, join = (_Packed(dataset), _unchanged) if num_workers else (dataset, collate)
        super().__init__(source, batch_size, num_workers=num_workers, collate_fn=join, worker_init_fn=_stay, **options)

    def __iter__(self) -> Iterator[MixBatch]:
        return _unpacked(self._bytes()) if self.num_workers else super().__iter__()

    def _bytes(self) -> Iterator[bytes]:
        with starting("data workers", NO_WORKERS):
            if self._iterator is None:
                _try_out(self.num_workers)
            batches = super().__iter__()
        yield from batches


def _stay(worker: int) -> None:
    """Let a worker outlive the first SIGTERM, and SIGUSR1.

    Slurm sends them to all processes of a job, but the training, which ends its workers by itself, wants to take its
    step to the end. Python's own clean-up sends SIGTERM twice.
    """

    def at_second(number: int, frame: FrameType | None) -> None:
        signal.signal(number, lambda again, frame: os._exit(TERMINATED))

    signal.signal(signal.SIGTERM, at_second)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _try_out(num_workers: int) -> None:
    """Raise now what torch's own start of workers would raise, which leaves a half-made iterator that fails again
    later.

    A worker takes a queue, and as many handles again; some are left for the files that it opens.
    """
    [multiprocessing.Queue() for _ in range(2 * num_workers + 4)]


@contextmanager
def lost_workers_told() -> Iterator[None]:
    """Turn torch's error for a data worker that was killed, which can come at any time, into one for the user.

    Yields:
        Nothing.

    Raises:
        UserError: a data worker was killed.
    """
    try:
        yield
    except RuntimeError as err:
        if not str(err).startswith("DataLoader worker"):
            raise
        raise UserError(
            "a data worker was killed, often for want of memory; lower num_workers or batch_size, then run again"
        ) from err


class _Packed(Dataset):
    """Another dataset whose items come as whole batches, in bytes."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, items: Sequence[Any]) -> bytes:
        try:
            return _dumps(collate([self.dataset[item] for item in items]))
        except Exception as err:
            return _dumps_error(out_of_handles() or err)


class _Pickler(pickle.Pickler):
    """Pickles tensors as arrays, which are copied once; torch would write a file for each."""

    def reducer_override(self, obj: Any) -> Any:
        return (torch.from_numpy, (obj.numpy(),)) if isinstance(obj, torch.Tensor) else NotImplemented


def _dumps(batch: MixBatch) -> bytes:
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(batch)
    return file.getvalue()


def _dumps_error(err: Exception) -> bytes:
    """An error with its traceback; as a RuntimeError with the traceback's text if it cannot be unpickled."""
    try:
        packed = pickle.dumps(ExceptionWithTraceback(err, err.__traceback__))
        pickle.loads(packed)
        return packed
    except Exception:
        return pickle.dumps(RuntimeError("".join(traceback.format_exception(err))))


def _unpacked(batches: Iterable[bytes]) -> Iterator[MixBatch]:
    with lost_workers_told():
        for packed in batches:
            batch = pickle.loads(packed)
            if isinstance(batch, Exception):
                try:
                    raise batch
                finally:
                    del batch  # else a reference cycle keeps the iterator alive, and its workers are not told to end
            yield batch


def _unchanged(packed: bytes) -> bytes:
    return packed
