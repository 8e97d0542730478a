"""Tar shards as both WeSep layouts read them, rendered straight from the plans or made of wavs that are there.

The members of a mixture follow each other: KEY.spk1 ... KEY.spkN (a label each), KEY.wav, KEY_spk1.wav ...
KEY_spkN.wav. Mixtures are dealt to shards by a seeded permutation, so that a shard holds many talkers. The bytes are
the same on every day and machine: no times, no owners.

Within a shard, longer ids come first; ids of one length are sorted. WeSep's legacy reader starts a new mixture when the
last key is not *contained* in the next one, so after `u1_u2` it would take `u1_u20` for more of the same; a longer key
is never contained in a shorter one.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_path, atomic_write
from wesep_mix.base.parallel import map_items
from wesep_mix.base.seeds import rng_for
from wesep_mix.exports.job import Export
from wesep_mix.exports.signals import exported_length, signals, source_names
from wesep_mix.exports.wavs import SAMPLE_BYTES, check_room, remove_leftovers, wav_path
from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.plan import Plan


@dataclass(frozen=True)
class Shard:
    """A tar file and the mixtures in it, each with its talkers' labels."""

    path: Path
    mixtures: tuple[tuple[Plan, tuple[str, ...]], ...]


def write_shards(job: Export, labels: Callable[[Plan], Sequence[str]], wavs: Path | None = None) -> None:
    """Write `shards/shards_NNNNNNNNN.tar`, but for those that an interrupted export has finished, then `shard.list`.

    Args:
        job: the set.
        labels: gives the labels of a plan's talkers.
        wavs: the set's folder of wavs that go into them; None renders the plans.

    Raises:
        UserError: naming the mixture that cannot be rendered, would clip, or whose id the readers would misread.
    """
    mode, subtype = job.config.mode, job.config.wav_subtype
    shards = _deal(job, labels)
    remove_leftovers(job.out / "shards")
    missing = [shard for shard in shards if not shard.path.is_file()]
    samples = sum(exported_length(plan, mode) for shard in missing for plan, _ in shard.mixtures)
    check_room(job.out, samples * (job.num_spk + 1) * SAMPLE_BYTES[subtype], f"{len(missing)} shards")
    write = partial(_write_shard, mode=mode, subtype=subtype, wavs=wavs)
    map_items(write, missing, job.nj, "writing shards")
    with atomic_write(job.out / "shard.list") as file:
        file.writelines(f"{shard.path}\n" for shard in shards)


def _deal(job: Export, labels: Callable[[Plan], Sequence[str]]) -> list[Shard]:
    for plan in job.plans:
        if re.search(r"_spk\d+$", plan.id):
            raise UserError(
                f"mixture {plan.id}: WeSep's readers take a name with this ending for a source's; rename "
                "the utterance in the corpus"
            )
    order = rng_for(0, "shards").permutation(len(job.plans))
    dealt = [
        [job.plans[k] for k in order[first : first + job.config.shard_size]]
        for first in range(0, len(order), job.config.shard_size)
    ]
    return [
        Shard(job.out / "shards" / f"shards_{number:09d}.tar", tuple((plan, tuple(labels(plan))) for plan in ordered))
        for number, plans in enumerate(dealt)
        for ordered in [sorted(plans, key=lambda plan: (-len(plan.id), plan.id.encode()))]
    ]


def _write_shard(shard: Shard, mode: str, subtype: str, wavs: Path | None) -> None:
    with atomic_path(shard.path) as temporary, tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as tar:
        for plan, labels in shard.mixtures:
            for number, label in enumerate(labels, start=1):
                _add(tar, f"{plan.id}.spk{number}", label.encode())
            data = _rendered(plan, mode, subtype, shard.path.parent) if wavs is None else _read(plan, wavs)
            for name, member in _members(plan).items():
                _add(tar, member, _clear_time(data[name]))


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # time 0, owner 0, no names of owners
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _members(plan: Plan) -> dict[str, str]:
    """{signal: the name of its member}: the mixture, then its sources."""
    sources = source_names(len(plan.sources))
    return {"mix_both": f"{plan.id}.wav"} | {name: f"{plan.id}_spk{name[1:]}.wav" for name in sources}


def _read(plan: Plan, wavs: Path) -> dict[str, bytes]:
    return {name: wav_path(wavs, name, plan.id).read_bytes() for name in _members(plan)}


def _rendered(plan: Plan, mode: str, subtype: str, folder: Path) -> dict[str, bytes]:
    audio = signals(plan, mode)
    with TemporaryDirectory(dir=folder, prefix=".") as place:
        path, encoded = Path(place, f"{plan.id}.wav"), {}
        for name in _members(plan):
            write_audio(path, audio[name], plan.sample_rate, subtype)
            encoded[name] = path.read_bytes()
    return encoded


def _clear_time(data: bytes) -> bytes:
    """Set to 0 the time of writing that a wav file of floats carries in its PEAK chunk."""
    place = data.find(b"PEAK", 0, 100)
    return data if place < 0 else data[: place + 12] + bytes(4) + data[place + 16 :]
