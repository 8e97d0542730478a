"""Smoke tests: a model is built and run once on half a second of noise, before hours of training go into it.

They find what no single setting shows, such as sizes that do not fit together, and a plugin that lacks what the stages
ask of its kind (`wesep_mix.models.contracts`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError
from wesep_mix.models import contracts
from wesep_mix.models.layers.network import check_weights, estimates
from wesep_mix.training.building import build_separator, build_student, check_talkers
from wesep_mix.training.settings import ExtractorConfig, SeparatorConfig, StudentConfig, TeacherConfig

NUM_SAMPLES = 8000


def try_teacher(path: Path, settings: TeacherConfig) -> nn.Module | None:
    """Build and run a teacher.

    Args:
        path: its config, for messages.
        settings: what the config holds.

    Returns:
        The teacher; None when its pretrained weights are not on this machine, so that it can't be built.

    Raises:
        UserError: naming the config; it cannot be built and run, or lacks what a teacher has to have.
    """
    with _trial(path) as wav:
        config = for_trial("teachers", settings.model)
        if config is None:
            return None
        teacher = plugins.build("teachers", config).eval()
        run_encoder("teachers", teacher, wav)
    return teacher


def try_student(path: Path, settings: StudentConfig, teacher: nn.Module | None, num_spk: int) -> None:
    """Build and run a student.

    Args:
        path: its config, for messages.
        settings: what the config holds.
        teacher: from `try_teacher`; without one the student's config and class are checked and nothing is run.
        num_spk: the largest number of talkers in a mixture.

    Raises:
        UserError: naming the config; it cannot be built beside this teacher and run, or lacks what a student has to
            have.
    """
    with _trial(path) as mix:
        check_talkers(settings, num_spk)
        config = for_trial("students", settings.model)
        if teacher is not None and config is not None:
            student = build_student(dataclasses.replace(settings, model=config), teacher, num_spk).eval()
            run_encoder("students", student, mix)


def try_out(path: Path, settings: ExtractorConfig | SeparatorConfig, num_spk: int = 2) -> None:
    """Build and run an extractor or a separator.

    Args:
        path: its config, for messages.
        settings: what the config holds.
        num_spk: talkers in a mixture.

    Raises:
        UserError: naming the config; the network cannot be built and run, or lacks the outputs that the loss wants.
    """
    with _trial(path) as mix:
        if isinstance(settings, ExtractorConfig):
            _run_extractor(settings, mix)
        else:
            separator = build_separator(settings, num_spk).eval()
            contracts.check("separators", separator)
            _check_output("the estimates", separator(mix), [len(mix), num_spk, NUM_SAMPLES])


def for_trial(kind: str, config: Any) -> Any:
    """A config changed so that its model can be built on this machine, for a trial.

    Args:
        kind: of the model, such as `teachers`.
        config: of the model.

    Returns:
        The config; None when it needs weights that are not here.

    Raises:
        UserError: a part that every model of this kind has is missing, in it or in its front-end.
    """
    contracts.check_config(kind, config)
    contracts.check_class(kind, plugins.load(kind, config.name).Model)
    frontend = getattr(config, "frontend", None)
    if frontend is not None:
        frontend = for_trial("frontends", frontend)
        if frontend is None:
            return None
        config = dataclasses.replace(config, frontend=frontend)
    return config.for_trial() if hasattr(config, "for_trial") else config


def run_encoder(kind: str, model: nn.Module, wav: Tensor) -> None:
    """Run a teacher or a student, and its front-end alone.

    Args:
        kind: `teachers` or `students`.
        model: the network, in eval mode.
        wav: float32 [B, T] at 16 kHz.

    Raises:
        UserError: a part or an output is not as its kind's contract says.
    """
    contracts.check(kind, model)
    if getattr(model, "frontend", None) is not None:
        _run_frontend(model.frontend, wav)
    found, size = model(wav), model.config.embedding_dim
    if kind == "teachers":
        _check_output("the embeddings", found, [len(wav), size])
        return
    heads = model.config.num_spk
    _check_output("the embeddings", found.embeddings, [len(wav), heads, size])
    if model.config.presence:
        _check_output("the presence", found.presence, [len(wav), heads])


def _run_frontend(frontend: nn.Module, wav: Tensor) -> None:
    contracts.check("frontends", frontend)
    frames, num_frames = frontend(wav)
    _check_output("the front-end's frames", frames, [len(wav), int(num_frames.max()), frontend.channels])


def _run_extractor(settings: ExtractorConfig, mix: Tensor) -> None:
    extractor = plugins.build("extractors", settings.model).eval()
    contracts.check("extractors", extractor)
    check_weights(extractor, settings.loss.weights)
    emb = None if settings.model.fusion == "none" else torch.randn(len(mix), settings.model.embedding_dim)
    _check_output("the estimates", estimates(extractor, mix, emb), [len(mix), extractor.num_estimates, NUM_SAMPLES])


def _check_output(what: str, found: Any, wanted: list[int]) -> None:
    if not isinstance(found, Tensor) or list(found.shape) != wanted:
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"model: {what}: wanted the shape {wanted}, found {shape}")
    if not found.isfinite().all():
        raise UserError(f"model: with these settings its output for noise is not finite ({what})")


@contextmanager
def _trial(path: Path) -> Iterator[Tensor]:
    """Give half a second of noise, [1, T], without using up random numbers of the caller.

    Whatever goes wrong within becomes a UserError that names the config.
    """
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield torch.randn(1, NUM_SAMPLES)
    except UserError as err:
        raise UserError(f"{path}: {err}") from err
    except Exception as err:  # whatever a network does when its sizes do not fit
        raise UserError(
            f"{path}: model: cannot be built and run with these settings, found "
            f"{type(err).__name__}: {' '.join(str(err).split())}"
        ) from err
