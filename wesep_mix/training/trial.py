"""A network is built and run once on a moment of noise, before hours go into what it is trained on.

What no single setting shows to be wrong, such as sizes that do not fit together, shows here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from wesep_mix import plugins
from wesep_mix.errors import UserError
from wesep_mix.extractors.contract import check_weights, estimates
from wesep_mix.training.settings import ExtractorConfig, SeparatorConfig

NUM_SAMPLES = 8000


def try_out(path: Path, settings: ExtractorConfig | SeparatorConfig) -> None:
    """Raises: UserError naming the config `path` when its network cannot be built and run, or has not the outputs that
    the loss wants.
    """
    run = _run_extractor if isinstance(settings, ExtractorConfig) else _run_separator
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            finite = run(settings, torch.randn(1, NUM_SAMPLES)).isfinite().all()
    except UserError as err:
        raise UserError(f"{path}: {err}") from err
    except Exception as err:  # whatever a network does when its sizes do not fit
        raise UserError(f"{path}: model: cannot be built and run with these settings, found "
                        f"{type(err).__name__}: {' '.join(str(err).split())}") from err
    if not finite:
        raise UserError(f"{path}: model: with these settings it makes noise into values that are not finite")


def _run_extractor(settings: ExtractorConfig, mix: Tensor) -> Tensor:
    extractor = plugins.build("extractors", settings.model).eval()
    check_weights(extractor, settings.loss.weights)
    emb = None if settings.model.fusion == "none" else torch.randn(1, settings.model.embedding_dim)
    return estimates(extractor, mix, emb)


def _run_separator(settings: SeparatorConfig, mix: Tensor) -> Tensor:
    return plugins.build("separators", dataclasses.replace(settings.model, num_spk=2)).eval()(mix)
