"""Batches from worker processes, as bytes through a pipe, with what went wrong in place of a batch.

torch's own way needs a file in /dev/shm and a handle for every tensor, and a socket in TMPDIR. Where one of them fails,
it does so in a thread of the worker that drops the batch, and the training waits for it for ever. The pipe needs none
of them, and takes less CPU time: memory that is shared anew has to be mapped anew, page by page, for every batch.
"""

from __future__ import annotations

import io
import multiprocessing
import pickle
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.pool import ExceptionWithTraceback
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from wesep_mix.base.errors import UserError
from wesep_mix.base.parallel import out_of_handles, starting
from wesep_mix.data.batch import MixBatch, collate

NO_WORKERS = "num_workers=0"


class Loader(DataLoader[MixBatch]):
    """A DataLoader of batches of examples.

    Raises, while batches are taken: what rendering them raised, also in a worker; UserError when the workers cannot be
        started or one was killed.
    """

    def __init__(self, dataset: Dataset, batch_size: int, num_workers: int, **options: Any):
        made, joined = (_Packed(dataset), _as_it_is) if num_workers else (dataset, collate)
        super().__init__(made, batch_size, num_workers=num_workers, collate_fn=joined, **options)

    def __iter__(self) -> Iterator[MixBatch]:
        return _unpacked(self._bytes()) if self.num_workers else super().__iter__()

    def _bytes(self) -> Iterator[bytes]:
        with starting("data workers", NO_WORKERS):
            if self._iterator is None:
                _try_out(self.num_workers)
            batches = super().__iter__()
        yield from batches


def _try_out(num_workers: int) -> None:
    """Raise what torch's own start would, which leaves a half-made iterator that has more to say when it goes.

    A worker takes a queue, and as many handles again; the files that it opens are to have some too.
    """
    [multiprocessing.Queue() for _ in range(2 * num_workers + 4)]


@contextmanager
def lost_workers_told() -> Iterator[None]:
    """Raises: UserError in place of torch's word for a data worker that was killed, which can come at any time."""
    try:
        yield
    except RuntimeError as err:
        if not str(err).startswith("DataLoader worker"):
            raise
        raise UserError(
            "a data worker was killed, often for want of memory; lower num_workers or batch_size, then run again"
        ) from err


class _Packed(Dataset):
    """Another dataset, whose items come as the bytes of whole batches."""

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
    """Tensors as arrays, which are copied once; torch would write a file of each."""

    def reducer_override(self, obj: Any) -> Any:
        return (torch.from_numpy, (obj.numpy(),)) if isinstance(obj, torch.Tensor) else NotImplemented


def _dumps(batch: MixBatch) -> bytes:
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(batch)
    return file.getvalue()


def _dumps_error(err: Exception) -> bytes:
    """With its traceback; that alone where the error does not come out of a pickle again."""
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
                    del batch  # a circle, in which the workers would not hear that they are to end
            yield batch


def _as_it_is(packed: bytes) -> bytes:
    return packed
