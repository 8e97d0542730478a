"""WeSep's parameter names and settings <-> ours, by rule, so that weights travel both ways unchanged.

A rule is a pair of templates, theirs and ours, for a parameter's name without its last part (weight, bias);
`{i}` is a number on both sides, `{i+1}` one that the other side counts from 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from wesep_mix.errors import UserError
from wesep_mix.extractors import dpccn

Rules = tuple[tuple[str, str], ...]

FUSIONS = {"concat": "concat", "additive": "additive", "multiply": "multiply", "FiLM": "film"}

EMBEDDING_RULES = (
    ("spk_fuse.fc.linear", "fusion.linear"),
    ("spk_fuse.fc.gamma_fcs.0", "fusion.scale.0"),
    ("spk_fuse.fc.beta_fcs.0", "fusion.shift.0"),
    ("spk_transform.transforms.{i}", "embedding_transform.layers.{i}"),
)

RULES = {
    "dpccn": (
        *EMBEDDING_RULES,
        ("conv2d", "stem"),
        ("encoder.{i}.conv{j+1}.conv2d", "encoder.{i}.layers.{j}.conv"),
        ("encoder.{i}.conv2d", "encoder.{i}.conv"),
        ("encoder.{i}.0.conv2d", "encoder.{i}.down.conv"),
        ("encoder.{i}.1.conv{j+1}.conv2d", "encoder.{i}.dense.layers.{j}.conv"),
        ("tcn_layers.{i}.{j}.dconv1", "tcn.{i}.{j}.depthwise"),
        ("tcn_layers.{i}.{j}.dconv2", "tcn.{i}.{j}.pointwise"),
        ("decoder.{i}.convtrans2d", "decoder.{i}.conv"),
        ("decoder.{i}.0.conv{j+1}.conv2d", "decoder.{i}.dense.layers.{j}.conv"),
        ("decoder.{i}.1.convtrans2d", "decoder.{i}.up.conv"),
        ("decoder.{i}.conv{j+1}.conv2d", "decoder.{i}.layers.{j}.conv"),
        ("avg_pool.{i}.1", "pyramid.{i}"),
        ("avg_proj", "project"),
        ("deconv2d", "head"),
    ),
}


def from_wesep(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A WeSep state dict under our extractor's names. Raises: UserError naming what it has no place for."""
    return _renamed(state, RULES[name], f"{name} has no place for WeSep's")


def to_wesep(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our extractor's state dict under WeSep's names. Raises: UserError naming what has no place there."""
    rules = tuple((ours, theirs) for theirs, ours in RULES[name])
    return _renamed(state, rules, f"WeSep has no place for {name}'s")


def config_from_wesep(model: str, args: Mapping[str, Any]) -> dpccn.Config:
    """Our config for WeSep's class `model` made with the keyword arguments `args`.

    Raises: UserError naming an argument that we have no equal of.
    """
    if model != "DPCCN":
        raise UserError(f"WeSep model {model}: wanted DPCCN")
    return _dpccn_config(dict(args))


# What each WeSep argument is here; then those that have one value here, and those without effect on a model
# that is given its embedding.
_DPCCN_SETTINGS = {
    "win": "n_fft", "stride": "hop", "spk_emb_dim": "embedding_dim",
    "use_spk_transform": "transform_embedding", "tcn_blocks": "tcn_blocks",
    "tcn_layers": "tcn_repeats", "causal": "tcn_causal",
    "kernel_size": "kernel_size", "paddings": "padding", "pool_size": "pool_sizes",
}
_DPCCN_FIXED = {
    "joint_training": False, "stride1": (1, 1), "stride2": (1, 2), "output_padding": (0, 0), "tcn_dims": 384,
}
_DPCCN_IDLE = {
    "sr", "multi_fuse", "multi_task", "spksInTrain", "spk_model", "spk_model_init", "spk_model_freeze",
    "spk_args", "spk_feat", "feat_type",
}


def _dpccn_config(args: dict[str, Any]) -> dpccn.Config:
    args.setdefault("joint_training", True)  # WeSep's default: a speaker encoder inside
    settings = {"fusion": _fusion(args.pop("spk_fuse_type", "multiply"))}
    feature_dim = args.pop("feature_dim", 257)
    for key, value in args.items():
        value = tuple(value) if isinstance(value, list) else value
        if key in _DPCCN_SETTINGS:
            settings[_DPCCN_SETTINGS[key]] = value
        elif key in _DPCCN_FIXED and value != _DPCCN_FIXED[key]:
            raise UserError(f"WeSep DPCCN: {key}: wanted {_DPCCN_FIXED[key]}, found {value}")
        elif key not in _DPCCN_FIXED and key not in _DPCCN_IDLE:
            raise UserError(f"WeSep DPCCN: {key}: unknown argument")
    try:
        config = dpccn.Config(**settings)
    except ValueError as err:
        raise UserError(f"WeSep DPCCN: {err}") from err
    if feature_dim != config.num_bins[0]:
        raise UserError(f"WeSep DPCCN: feature_dim: wanted {config.num_bins[0]}, found {feature_dim}")
    return config


def _fusion(spk_fuse_type: str) -> str:
    if spk_fuse_type not in FUSIONS:
        raise UserError(f"WeSep: spk_fuse_type: wanted one of {', '.join(FUSIONS)}, found {spk_fuse_type}")
    return FUSIONS[spk_fuse_type]


_PLACE = re.compile(r"\{(\w)(\+1)?\}")


def _renamed(state: Mapping[str, Tensor], rules: Rules, refusal: str) -> dict[str, Tensor]:
    return {_rename(name, rules, refusal): value for name, value in state.items()}


def _rename(name: str, rules: Rules, refusal: str) -> str:
    module, _, parameter = name.rpartition(".")
    for source, target in rules:
        found = re.fullmatch(_PLACE.sub(r"(?P<\1>\\d+)", source.replace(".", r"\.")), module)
        if found:
            shift = {place: bool(plus) for place, plus in _PLACE.findall(source)}
            zero_based = {place: int(number) - shift[place] for place, number in found.groupdict().items()}
            return f"{_filled(target, zero_based)}.{parameter}"
    raise UserError(f"{refusal} {name}")


def _filled(template: str, zero_based: dict[str, int]) -> str:
    return _PLACE.sub(lambda place: str(zero_based[place[1]] + bool(place[2])), template)
