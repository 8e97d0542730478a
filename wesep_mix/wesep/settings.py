"""WeSep's constructor arguments <-> our configs, by rule, both ways.

WeSep's class for SpEx+ is `ConvTasNet` with encoder and decoder of type `Multi`. An argument that is not given has
WeSep's default, which is not always ours. What has no equal on the other side is refused by its name: settings are
taken over, taken back and compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from wesep_mix.base import config as configs
from wesep_mix.base.errors import UserError
from wesep_mix.models.extractors import dpccn, spexplus

ExtractorConfig = dpccn.Config | spexplus.Config


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument of WeSep's constructor."""

    default: Any
    ours: Callable[[Any], dict[str, Any]]  # a value of it -> our settings
    theirs: Callable[[ExtractorConfig], Any]  # our config -> a value of it


def config_from_wesep(model: str, args: Mapping[str, Any]) -> ExtractorConfig:
    """Our config for a model of WeSep's.

    Args:
        model: WeSep's class.
        args: The keyword arguments that it is made with.

    Returns:
        The config.

    Raises:
        UserError: Naming an argument, or a value of it, that we have no equal of.
    """
    if model not in CLASSES:
        raise UserError(f"WeSep model {model}: wanted one of {', '.join(CLASSES)}")
    table = CLASSES[model][1]
    unknown = sorted(set(args) - set(table) - IDLE[model])
    if unknown:
        raise UserError(f"WeSep {model}: {unknown[0]}: unknown argument")
    try:
        return _translated(
            model, {key: _plain(args.get(key, each.default), each.default) for key, each in table.items()}
        )
    except UserError as err:
        raise UserError(f"{err}{_other_names(str(err), table)}") from err


def _translated(model: str, given: Mapping[str, Any]) -> ExtractorConfig:
    """Our config for all arguments of a class of WeSep's. Raises: UserError, as `config_from_wesep`."""
    cls, table = CLASSES[model]
    settings: dict[str, Any] = {}
    for key, argument in table.items():
        try:
            settings |= argument.ours(given[key])
        except ValueError as err:
            raise UserError(f"WeSep {model}: {key}: {err}") from err
    config = configs.from_dict(cls, settings, f"WeSep {model}")
    for key, argument in table.items():
        wanted = argument.theirs(config)
        if given[key] != wanted:
            raise UserError(f"WeSep {model}: {key}: wanted {wanted}, found {given[key]}")
    _check_theirs(config)
    return config


def _other_names(message: str, table: Mapping[str, Argument]) -> str:
    """What the settings and arguments that an error names are called on the other side."""
    pairs = [(key, field) for key, argument in table.items() for field in argument.ours(argument.default)]
    told = [
        f"WeSep's {key} is {field} here"
        for key, field in (*pairs, *MADE_OF.items())
        if key != field and (f" {key}: " in message or f" {field}: " in message)
    ]
    return f" ({', '.join(told)})" if told else ""


def wesep_args(config: ExtractorConfig) -> tuple[str, dict[str, Any]]:
    """A model of WeSep's for our config.

    Args:
        config: Of our model.

    Returns:
        WeSep's class, and the keyword arguments to make it with.

    Raises:
        UserError: Naming a setting that WeSep doesn't have.
    """
    model = next((name for name, (cls, _) in CLASSES.items() if isinstance(config, cls)), None)
    if model is None:
        raise UserError(f"{config.name}: wanted a model that WeSep has: dpccn, spexplus")
    _, table = CLASSES[model]
    args = {key: argument.theirs(config) for key, argument in table.items()}
    back = config_from_wesep(model, args)
    for field in dataclasses.fields(config):
        wanted, found = getattr(back, field.name), getattr(config, field.name)
        if wanted != found and field.name not in _idle(config):
            raise UserError(f"{config.name}: {field.name}: WeSep has {wanted} only, found {found}")
    return model, args


def _idle(config: ExtractorConfig) -> set[str]:
    """Settings of ours that change no output."""
    return {"recompute"} if config.fusion == "film" else {"recompute", "film_hidden"}


def _check_theirs(config: ExtractorConfig) -> None:
    """Raises: UserError for settings with which WeSep's own class cannot be made or run."""
    if config.transform_embedding and config.embedding_dim != 256:
        raise UserError(
            f"{config.name}: embedding_dim: WeSep's transform of embeddings has 256 values only, "
            f"found {config.embedding_dim}"
        )
    if isinstance(config, dpccn.Config) and len(config.pool_sizes) != 4:
        raise UserError(f"{config.name}: pool_sizes: WeSep has four pools only, found {list(config.pool_sizes)}")
    if isinstance(config, spexplus.Config) and config.causal and config.kernel_size == 1:
        raise UserError(
            f"{config.name}: kernel_size: WeSep's causal convolution cuts kernel_size - 1 samples, wanted "
            "2 or more, found 1"
        )


def _plain(value: Any, default: Any) -> Any:
    """Lists as tuples, a number that stands for a pair as the pair, 0 and 1 that stand for a flag as the flag."""
    if isinstance(default, bool) and value in (0, 1):
        return bool(value)
    if isinstance(default, tuple) and len(default) == 2 and isinstance(value, int):
        return (value, value)
    return tuple(value) if isinstance(value, list) else value


def _same(default: Any, field: str) -> Argument:
    return Argument(default, lambda value: {field: value}, lambda config: getattr(config, field))


def _named(default: str, field: str, names: Mapping[str, str]) -> Argument:
    """A setting whose values have other names there: theirs -> ours."""

    def ours(value: Any) -> dict[str, Any]:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"wanted one of {', '.join(names)}, found {value}")
        return {field: names[value]}

    def theirs(config: ExtractorConfig) -> str:
        value = getattr(config, field)
        for name, known in names.items():
            if known == value:
                return name
        raise UserError(f"{config.name}: {field}: WeSep has one of {', '.join(names.values())}, found {value}")

    return Argument(default, ours, theirs)


def _only(value: Any, default: Any = None) -> Argument:
    """An argument of which we have one value (WeSep's default, unless that is given)."""
    return Argument(value if default is None else default, lambda _: {}, lambda _: value)


def _windows(short: Any) -> dict[str, Any]:
    """Our windows and stride for WeSep's short window; its middle and long one always have 80 and 160 samples."""
    if not isinstance(short, int):
        raise ValueError(f"wanted a whole number, found {short!r}")
    return {"windows": (short, 80, 160), "stride": short // 2}


_INSIDE = {
    "multi_task",
    "spksInTrain",
    "spk_model",
    "spk_model_init",
    "spk_model_freeze",
    "spk_args",
    "spk_feat",
    "feat_type",
}
IDLE = {"DPCCN": {"sr", "multi_fuse"} | _INSIDE, "ConvTasNet": _INSIDE}  # no effect where the embedding is given
FUSIONS = {"concat": "concat", "additive": "additive", "multiply": "multiply", "FiLM": "film"}
COMMON = {
    "spk_emb_dim": _same(256, "embedding_dim"),
    "joint_training": _only(False, default=True),  # true: with a speaker encoder inside
}

DPCCN = {
    **COMMON,
    "win": _same(512, "n_fft"),
    "stride": _same(128, "hop"),
    "use_spk_transform": _same(False, "transform_embedding"),
    "spk_fuse_type": _named("multiply", "fusion", FUSIONS),
    "feature_dim": Argument(257, lambda _: {}, lambda config: config.num_bins[0]),
    "kernel_size": _same((3, 3), "kernel_size"),
    "stride1": _only((1, 1)),
    "stride2": _only((1, 2)),
    "paddings": _same((1, 1), "padding"),
    "output_padding": _same((0, 0), "output_padding"),
    "tcn_dims": Argument(384, lambda _: {}, lambda config: config.conv_channels[-1]),
    "tcn_blocks": _same(10, "tcn_blocks"),
    "tcn_layers": _same(2, "tcn_repeats"),
    "causal": _same(False, "tcn_causal"),
    "pool_size": _same((4, 8, 16, 32), "pool_sizes"),
}

CONV_TASNET = {
    **COMMON,
    "N": _same(512, "filters"),
    "L": Argument(16, _windows, lambda config: config.windows[0]),
    "B": _same(128, "channels"),
    "H": _same(512, "hidden"),
    "P": _same(3, "kernel_size"),
    "X": _same(8, "num_blocks"),
    "R": _same(3, "num_stacks"),
    "norm": _named("gLN", "norm", {"gLN": "global", "cLN": "channel", "BN": "batch"}),
    "activate": _named("relu", "mask", {"relu": "relu", "sigmoid": "sigmoid"}),  # their softmax is over the batch
    "causal": _same(False, "causal"),
    "skip_con": _same(False, "skip"),
    "spk_fuse_type": _named("concatConv", "fusion", {"concatConv": "concat_conv", **FUSIONS}),
    "multi_fuse": _only(True),  # false fails in WeSep's own forward
    "use_spk_transform": _same(True, "transform_embedding"),
    "encoder_type": _only("Multi"),
    "decoder_type": _only("Multi"),
}

MADE_OF = {"feature_dim": "n_fft", "tcn_dims": "conv_channels"}  # what is computed from a setting here
CLASSES = {"DPCCN": (dpccn.Config, DPCCN), "ConvTasNet": (spexplus.Config, CONV_TASNET)}
