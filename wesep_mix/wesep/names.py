"""WeSep's parameter names <-> ours, by rule, so that weights travel both ways unchanged.

A rule is a pair of templates, theirs and ours, for a parameter's name without its last part (weight, bias). Numbers in
a name follow from counts i, j from 0: a template has `{i}` where the number is i, `{i+1}` where it is i + 1, `{4i+3}`
where it is 4 i + 3. A name with a number that cannot be had so is not of that rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from wesep_mix.base.errors import UserError
from wesep_mix.models.extractors import dpccn, spexplus

Rules = tuple[tuple[str, str], ...]


def from_wesep(config: dpccn.Config | spexplus.Config, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A WeSep state dict under our names.

    Args:
        config: Of our model.
        state: WeSep's.

    Returns:
        The same weights.

    Raises:
        UserError: Naming a weight that our model has no place for, or a model that WeSep does not have.
    """
    return _renamed(state, _rules(config), f"{config.name} has no place for WeSep's")


def to_wesep(config: dpccn.Config | spexplus.Config, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of ours under WeSep's names.

    Args:
        config: Of our model.
        state: Our model's.

    Returns:
        The same weights.

    Raises:
        UserError: Naming a weight that has no place in WeSep's, or a model that WeSep does not have.
    """
    rules = tuple((ours, theirs) for theirs, ours in _rules(config))
    return _renamed(state, rules, f"WeSep has no place for {config.name}'s")


def _fusion(theirs: str, ours: str) -> Rules:
    return (
        (f"{theirs}.fc.linear", f"{ours}.linear"),
        (f"{theirs}.fc.gamma_fcs.0", f"{ours}.scale.0"),
        (f"{theirs}.fc.beta_fcs.0", f"{ours}.shift.0"),
    )


def _parts(theirs: str, ours: str, names: Mapping[str, str]) -> Rules:
    return tuple((f"{theirs}.{their_name}", f"{ours}.{our_name}") for their_name, our_name in names.items())


_TRANSFORM = (("spk_transform.transforms.{i}", "embedding_transform.layers.{i}"),)

_DPCCN = (
    *_TRANSFORM,
    *_fusion("spk_fuse", "fusion"),
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
)

_BLOCK = {
    "conv1x1": "widen",
    "PReLU_1": "act_in",
    "norm_1": "norm_in",
    "dwconv": "depthwise",
    "PReLU_2": "act_out",
    "norm_2": "norm_out",
    "Output": "narrow",
    "Sc_conv": "skip",
}
_ENTRY_BLOCK = {
    "conv1x1": "widen",
    "prelu1": "act_in",
    "lnorm1": "norm_in",
    "dconv": "depthwise",
    "prelu2": "act_out",
    "lnorm2": "norm_out",
    "sconv": "narrow",
}
_SPEXPLUS = (
    *_TRANSFORM,
    ("encoder.encoder_1d_short", "encoders.0"),
    ("encoder.encoder_1d_middle", "encoders.1"),
    ("encoder.encoder_1d_long", "encoders.2"),
    ("encoder.ln", "norm"),
    ("encoder.proj", "project"),
    ("decoder.mask{i+1}", "masks.{i}"),
    ("decoder.decoder_1d_{i+1}", "decoders.{i}"),
)
# their separator is one list; a stack takes two places of it where the embedding is in a block, else four
_STACKS_CONCAT_CONV = (
    *_parts("separation.separation.{2i}", "stacks.{i}.entry", _ENTRY_BLOCK),
    *_parts("separation.separation.{2i+1}.separation.{j}", "stacks.{i}.blocks.{j}", _BLOCK),
)
_STACKS_FUSED = (
    *_fusion("separation.separation.{4i}", "stacks.{i}.entry.fusion"),
    ("separation.separation.{4i+1}", "stacks.{i}.entry.act"),
    ("separation.separation.{4i+2}", "stacks.{i}.entry.norm"),
    *_parts("separation.separation.{4i+3}.separation.{j}", "stacks.{i}.blocks.{j}", _BLOCK),
)


def _rules(config: dpccn.Config | spexplus.Config) -> Rules:
    if config.name not in ("dpccn", "spexplus"):
        raise UserError(f"{config.name}: wanted a model that WeSep has: dpccn, spexplus")
    if config.fusion == "none":
        raise UserError(f"{config.name}: WeSep has none with fusion none, wanted one with an embedding")
    if config.name == "dpccn":
        return _DPCCN
    return _SPEXPLUS + (_STACKS_CONCAT_CONV if config.fusion == "concat_conv" else _STACKS_FUSED)


_PLACE = re.compile(r"\{(?P<step>\d*)(?P<count>[a-z])(?:\+(?P<first>\d+))?\}")


def _renamed(state: Mapping[str, Tensor], rules: Rules, refusal: str) -> dict[str, Tensor]:
    return {_rename(name, rules, refusal): value for name, value in state.items()}


def _rename(name: str, rules: Rules, refusal: str) -> str:
    module, _, parameter = name.rpartition(".")
    for source, target in rules:
        counts = _counts(source, module)
        if counts is not None:
            return f"{_filled(target, counts)}.{parameter}"
    raise UserError(f"{refusal} {name}")


def _counts(template: str, module: str) -> dict[str, int] | None:
    """The counts from 0 that make the template this module's name, None when there are none."""
    found = re.fullmatch(_PLACE.sub(r"(?P<\g<count>>\\d+)", template.replace(".", r"\.")), module)
    if not found:
        return None
    counts = {}
    for place in _PLACE.finditer(template):
        above = int(found[place["count"]]) - int(place["first"] or 0)
        counts[place["count"]], rest = divmod(above, int(place["step"] or 1))
        if above < 0 or rest:
            return None
    return counts


def _filled(template: str, counts: Mapping[str, int]) -> str:
    return _PLACE.sub(
        lambda place: str(int(place["step"] or 1) * counts[place["count"]] + int(place["first"] or 0)), template
    )
