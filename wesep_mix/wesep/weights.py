"""WeSep's files: configs and checkpoints to our models and back, and parity with outputs of its modules.

A checkpoint is a state dict, or the legacy toolkit's `{"models": [state, ...], ...}`. A reference, WeSep's outputs with
the weights and inputs that gave them, is what `parity` describes.

B batch, T samples, D embedding size, K estimates.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wesep_mix.base import plugins
from wesep_mix.base.config import read_raw
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_path, read_json
from wesep_mix.io.weights import read_state
from wesep_mix.models.extractors import dpccn, wesep
from wesep_mix.models.layers.network import estimates
from wesep_mix.wesep.names import from_wesep, to_wesep
from wesep_mix.wesep.settings import CLASSES, ExtractorConfig, config_from_wesep, wesep_args


def build(model: str, args: Mapping[str, Any], state: Mapping[str, Tensor], where: str = "weights") -> nn.Module:
    """Our extractor with WeSep's weights.

    Args:
        model: WeSep's class.
        args: The keyword arguments that it is made with.
        state: Its state dict.
        where: Where the weights are from, for messages.

    Returns:
        The extractor, in eval mode.

    Raises:
        UserError: When the weights' names or shapes are not those of the arguments.
    """
    config = config_from_wesep(model, args)
    return _with_weights(plugins.build("extractors", config), from_wesep(config, state), model, where)


def taken(
    model: str, args: Mapping[str, Any], state: Mapping[str, Tensor], where: str = "weights", checkout: str = ""
) -> nn.Module:
    """The same, or, of a class that we do not have, WeSep's own network with them (`models.extractors.wesep`).

    Args:
        model: WeSep's class.
        args: The keyword arguments that it is made with.
        state: Its state dict.
        where: Where the weights are from, for messages.
        checkout: WeSep's folder, for a class of its own; empty: that of WESEP_DIR, or the installed package.

    Returns:
        The extractor, in eval mode.

    Raises:
        UserError: As `build`, or WeSep is not there.
    """
    if model in CLASSES:
        return build(model, args, state, where)
    network = plugins.build("extractors", _config_of_theirs(model, args, checkout))
    return _with_weights(network, {f"network.{name}": value for name, value in state.items()}, model, where)


def _with_weights(extractor: nn.Module, state: Mapping[str, Tensor], model: str, where: str) -> nn.Module:
    try:
        extractor.load_state_dict(state)
    except RuntimeError as err:
        raise UserError(
            f"{where}: wanted the weights of {model} made with these settings, found others: "
            f"{' '.join(str(err).split())}"
        ) from err
    return extractor.eval()


def _config_of_theirs(model: str, args: Mapping[str, Any], checkout: str) -> wesep.Config:
    """The config of WeSep's own network. Raises: UserError for one that is given no embedding."""
    if args.get("joint_training") is not False:
        raise UserError(
            f"WeSep {model}: joint_training: wanted False, found {args.get('joint_training', 'its default')}; here the "
            "embedding is given"
        )
    own = {key: value for key, value in args.items() if key not in wesep.OURS}
    try:
        return wesep.Config(embedding_dim=args.get("spk_emb_dim", 256), model=model, arguments=own, folder=checkout)
    except ValueError as err:
        raise UserError(f"WeSep {model}: {err}") from err


def read_settings(path: str | Path) -> tuple[str, dict[str, Any]]:
    """Read a config of WeSep's.

    Args:
        path: The YAML.

    Returns:
        WeSep's class and its keyword arguments.

    Raises:
        UserError: When the file has none.
    """
    raw = read_raw(path)
    model, args = (
        raw[key].get("tse_model") if isinstance(raw.get(key), dict) else None for key in ("model", "model_args")
    )
    if not isinstance(model, str) or not isinstance(args, dict):
        raise UserError(
            f"{path}: wanted a config of WeSep's, with model.tse_model (a name) and model_args.tse_model "
            f"(a mapping), found {model!r} and {args!r} among {', '.join(map(str, raw)) or 'nothing'}"
        )
    return model, args


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The (first) model's state dict of a checkpoint, on the CPU. Raises: UserError as `io.weights.read_state`."""
    return read_state(path)


def write_checkpoint(path: str | Path, extractor: nn.Module) -> tuple[str, dict[str, Any]]:
    """Write a legacy checkpoint of our extractor.

    Args:
        path: Where to.
        extractor: A DPCCN or SpEx+ of ours.

    Returns:
        WeSep's class, and the keyword arguments to make it with.

    Raises:
        UserError: Naming a setting that WeSep does not have.
    """
    model, args = wesep_args(extractor.config)
    with atomic_path(path) as temporary:
        torch.save({"models": [to_wesep(extractor.config, extractor.state_dict())]}, temporary)
    return model, args


def parity(path: str | Path) -> list[float]:
    """How far our outputs are from those of a reference.

    NAME.npz has `state/<WeSep's parameter name>`, `mix` [B, T], `emb` [B, D] and `est/0`, ... [B, T]; NAME.json beside
    it has WeSep's class (`model`) and its keyword arguments (`args`). WeSep's outputs may lack the samples behind the
    last whole frame, and SpEx+'s of a window shorter than the first one more than that; then they are compared as far
    as they go. Of an output that `ends_in_a_click` the last window is not compared.

    Args:
        path: NAME.npz.

    Returns:
        For each output, the largest deviation over the standard deviation of the reference.

    Raises:
        UserError: When a file is missing, damaged, or not of our model's sizes.
    """
    reference = _read_reference(Path(path))
    model = build(reference.model, reference.args, reference.state, str(path))
    with torch.inference_mode():
        found = estimates(model, reference.mix, reference.emb).numpy()  # [B, K, T]
    if found.shape[1] != len(reference.ests):
        raise UserError(f"{path}: wanted {found.shape[1]} outputs est/0, ..., found {len(reference.ests)}")
    for place, est in enumerate(reference.ests):
        missing = found.shape[2] - est.shape[1] if est.ndim == 2 and len(est) == len(found) else -1
        if not 0 <= missing < (bound := _may_lack(model, place)):
            raise UserError(
                f"{path}: est/{place}: wanted the shape of mix, {list(reference.mix.shape)}, or less than "
                f"{bound} samples fewer, found {list(est.shape)}"
            )
    end = -model.config.n_fft if ends_in_a_click(model.config) else None
    return [_deviation(found[:, place], est[:, :end]) for place, est in enumerate(reference.ests)]


def ends_in_a_click(config: ExtractorConfig) -> bool:
    """Whether the last window of WeSep's output is divided by next to nothing.

    With a hop over 3/8 of n_fft, and no frame at the end, too few windows overlap there. In float32 it is as far from
    WeSep's own in float64 as ours from WeSep's, and says nothing of the weights.

    Args:
        config: Of our model.

    Returns:
        Whether it is so.
    """
    return isinstance(config, dpccn.Config) and not config.end_frame and 8 * config.hop > 3 * config.n_fft


def _may_lack(model: nn.Module, place: int) -> int:
    """WeSep's output `place` lacks fewer samples than this.

    These are a frame's step, and in SpEx+ what that window lacks to the length of the first one.
    """
    windows = getattr(model.config, "windows", ())
    return model.frame_step + (max(0, windows[0] - windows[place]) if windows else 0)


@dataclass(frozen=True)
class _Reference:
    model: str
    args: dict[str, Any]
    state: dict[str, Tensor]
    mix: Tensor
    emb: Tensor
    ests: list[np.ndarray]


def _read_reference(path: Path) -> _Reference:
    settings = path.with_suffix(".json")
    for file in (path, settings):
        if not file.is_file():
            raise UserError(f"{file}: no such file; a reference is NAME.npz with NAME.json beside it")
    made = read_json(settings)
    if not isinstance(made, dict) or not isinstance(made.get("model"), str) or not isinstance(made.get("args"), dict):
        raise UserError(f"{settings}: wanted `model` (a name) and `args` (a mapping)")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as err:
        raise UserError(f"{path}: wanted a readable .npz of arrays ({err})") from err
    count = sum(key.startswith("est/") for key in arrays)
    missing = [key for key in ("mix", "emb", "est/0", *(f"est/{k}" for k in range(count))) if key not in arrays]
    if missing:
        raise UserError(f"{path}: wanted an array {missing[0]}, found {', '.join(sorted(arrays)[:5])}...")
    for key, value in arrays.items():
        kinds = "fiu" if key.startswith("state/") else "f"  # num_batches_tracked is a whole number
        if value.dtype.kind not in kinds or value.size == 0:
            raise UserError(f"{path}: {key}: wanted real numbers, found {value.dtype} of shape {list(value.shape)}")
    state = {
        key.removeprefix("state/"): torch.from_numpy(value) for key, value in arrays.items() if key.startswith("state/")
    }
    mix, emb = (torch.from_numpy(arrays[key]).float() for key in ("mix", "emb"))
    ests = [arrays[f"est/{place}"] for place in range(count)]
    return _Reference(made["model"], made["args"], state, mix, emb, ests)


def _deviation(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest deviation over the standard deviation of `wanted`.

    Infinite where a sample of either is not finite, and for any difference from a constant.
    """
    furthest = np.abs(found[:, : wanted.shape[1]].astype(np.float64) - wanted).max()
    if not np.isfinite(furthest):
        return float("inf")
    spread = wanted.std(dtype=np.float64)
    return float(furthest / spread) if spread > 0 else float("inf") if furthest > 0 else 0.0
