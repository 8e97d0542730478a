"""Mixtures as wav files: `FOLDER/NAME/ID.wav`; NAME is one of LibriMix's folders (mix_both, s1, noise, ...)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.parallel import map_items
from wesep_mix.exports.job import Export
from wesep_mix.exports.settings import TableConfig
from wesep_mix.exports.signals import exported_length, signals, source_names
from wesep_mix.io.audio import num_frames, write_audio
from wesep_mix.mixing.plan import Plan

SAMPLE_BYTES = {"PCM_16": 2, "FLOAT": 4}


def wav_path(folder: Path, name: str, mix_id: str) -> Path:
    """Where a signal of a mixture lies.

    Args:
        folder: the set's folder of wavs.
        name: mix_both, s1, noise, ...
        mix_id: the mixture's id.

    Returns:
        Its file.
    """
    return folder / name / f"{mix_id}.wav"


def write_wavs(job: Export, folder: Path, names: Sequence[str]) -> None:
    """Write signals of every mixture, but for those that an interrupted export has finished.

    Args:
        job: the set.
        folder: where to write.
        names: which signals.

    Raises:
        UserError: naming the mixture that cannot be rendered or would clip; or the disk is too small.
    """
    mode, subtype = job.config.mode, job.config.wav_subtype
    for name in names:
        remove_leftovers(folder / name)
    missing = [plan for plan in job.plans if not _is_written(plan, folder, names)]
    samples = sum(exported_length(plan, mode) for plan in missing)
    check_room(folder, samples * len(names) * SAMPLE_BYTES[subtype], f"{len(missing) * len(names)} wavs")
    write = partial(_write_mixture, folder=folder, names=names, mode=mode, subtype=subtype)
    map_items(write, missing, job.nj, "writing wavs")


def wav_folder(job: Export) -> Path:
    """Find the wavs of mixtures, sources and noise: in the LibriMix tree that the user named, or else write them.

    Args:
        job: the set.

    Returns:
        Their folder.

    Raises:
        UserError: the tree lacks a wav, or holds a mixture of another length, so of another plan.
    """
    names = ["mix_both", *source_names(job.num_spk), "noise"]
    if not job.config.wav:
        write_wavs(job, job.out / "wav", names)
        return job.out / "wav"
    folder = tree_folder(job.config, job.out)
    for plan in job.plans:
        for name in names:
            if not wav_path(folder, name, plan.id).is_file():
                raise UserError(
                    f"{wav_path(folder, name, plan.id)}: no such file; export the set with --format "
                    "librimix first, or leave --wav out"
                )
        frames = num_frames(wav_path(folder, "mix_both", plan.id), plan.sample_rate)
        if frames != exported_length(plan, job.config.mode):
            raise UserError(
                f"{wav_path(folder, 'mix_both', plan.id)}: wanted "
                f"{exported_length(plan, job.config.mode)} samples, found {frames}: it is of another "
                "plan or --mode; export the set with --format librimix again, or leave --wav out"
            )
    return folder


def tree_folder(config: TableConfig, out: Path) -> Path:
    """The folder of a set in the LibriMix tree that `--wav` names.

    Args:
        config: has the tree's folder.
        out: the set's folder in this export.

    Returns:
        Its absolute path.
    """
    return Path(config.wav).absolute() / out.name


def check_room(folder: Path, num_bytes: int, what: str) -> None:
    """Say what will be written, and check that the disk has room for it.

    Args:
        folder: where it is written.
        num_bytes: how much.
        what: what it is, for the message.

    Raises:
        UserError: the disk has less room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    print(f"{folder}: {what}, {num_bytes / 1e9:.3f} GB to write, {free / 1e9:.1f} GB free", flush=True)
    if free < num_bytes:
        raise UserError(
            f"{folder}: wanted {num_bytes / 1e9:.3f} GB for {what}, found {free / 1e9:.3f} GB free; "
            "free space, or choose another --out"
        )


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed export was writing: it is hidden, but whoever searches the folder for wavs would find it."""
    for path in folder.glob(".*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _is_written(plan: Plan, folder: Path, names: Sequence[str]) -> bool:
    return all(wav_path(folder, name, plan.id).is_file() for name in names)


def _write_mixture(plan: Plan, folder: Path, names: Sequence[str], mode: str, subtype: str) -> None:
    audio = signals(plan, mode)
    for name in names:
        write_audio(wav_path(folder, name, plan.id), audio[name], plan.sample_rate, subtype)
