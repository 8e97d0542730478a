"""Pretrained speech models, read with `transformers` and built again from their architecture alone.

WavLM is also read as its authors publish it, from a `.pt` file {"cfg": settings, "model": weights}, whose names are
translated to those of `transformers`.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from wesep_mix.base.errors import UserError
from wesep_mix.io.weights import UNREADABLE, check_finite, read_weights, reason_of

if TYPE_CHECKING:  # the import takes seconds
    from transformers import PreTrainedModel

# SpecAugment's mask vector is not used here; some published files lack it.
OPTIONAL_WEIGHTS = ("masked_spec_embed",)
PREPROCESSOR = "preprocessor_config.json"
UNUSED = {"apply_spec_augment": False, "layerdrop": 0.0}  # of what pretraining does


def is_hub_name(source: str) -> bool:
    """Whether it names a model of the hub, and no file or folder that is here or that would have to be."""
    return (
        re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source) is not None
        and source[0] not in "./"
        and not source.endswith(".pt")
        and not Path(source).exists()
    )


def load(source: str, architecture: str = "") -> tuple[PreTrainedModel, str]:
    """Build a network with pretrained weights or, of a given architecture, with random ones.

    Args:
        source: A model name of the hub, a local folder with config.json and weights, or a .pt file of WavLM's authors.
        architecture: What this function gave before, when the weights of a model file of ours will follow; else empty.

    Returns:
        The network, and its architecture as JSON.

    Raises:
        UserError: When the source cannot be found or read, or lacks weights.
    """
    from transformers import AutoConfig, AutoModel, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if architecture:
        values = json.loads(architecture)
        return AutoModel.from_config(AutoConfig.for_model(values.pop("model_type"), **values)), architecture
    network = _read_microsoft(Path(source).expanduser()) if source.endswith(".pt") else _read(source)
    kept = network.config.to_diff_dict() | {"model_type": network.config.model_type}
    return network, json.dumps(kept, sort_keys=True)


def _read(source: str) -> PreTrainedModel:
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    here = Path(source).expanduser()
    name = str(here) if here.is_dir() else source
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)  # nor ask for it
        config.update(UNUSED | {"do_normalize": _wants_normalised_wav(name)})
        network, told = AutoModel.from_pretrained(
            name, config=config, output_loading_info=True, trust_remote_code=False
        )
    except (*UNREADABLE, TypeError, AttributeError, SafetensorError, StrictDataclassError) as err:
        raise UserError(_unreadable(source, here, err)) from err
    if not hasattr(network, "feature_extractor") or not hasattr(getattr(network, "encoder", None), "layers"):
        raise UserError(
            f"{source}: wanted a speech model with a convolutional stem and a transformer, such as WavLM, "
            f"found {type(network).__name__}"
        )
    reshaped = [key for key, *_ in told["mismatched_keys"]]
    _refuse_unfit(source, told["missing_keys"], reshaped, told["unexpected_keys"])
    check_finite(source, network.state_dict())
    return network.float()


def _read_microsoft(path: Path) -> PreTrainedModel:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import WavLMConfig, WavLMModel

    if not path.is_file():
        raise UserError(f"{path}: no such file, wanted a WavLM checkpoint of its authors (or a folder, or a hub name)")
    settings, weights = read_microsoft(path)
    try:
        network = WavLMModel(WavLMConfig(**settings, **UNUSED))
    except (ValueError, TypeError, RuntimeError, StrictDataclassError) as err:
        raise UserError(f"{path}: its cfg is not that of a WavLM ({reason_of(err)})") from err
    wanted = network.state_dict()
    _refuse_unfit(
        path,
        set(wanted) - set(weights),
        [key for key in wanted if key in weights and wanted[key].shape != weights[key].shape],
        set(weights) - set(wanted),
    )
    network.load_state_dict(weights, strict=False)
    return network.float()


def _refuse_unfit(source: str | Path, missing: Iterable[str], reshaped: Sequence[str], spare: Iterable[str]) -> None:
    layers = sorted(key for key in spare if "encoder.layers." in key)
    if layers:
        raise UserError(
            f"{source}: its weights do not fit its own config, which has no layer for {len(layers)} of "
            f"them: {', '.join(layers[:3])}, ..."
        )
    lacking = sorted(key for key in missing if not key.endswith(OPTIONAL_WEIGHTS))
    if lacking or reshaped:
        raise UserError(
            f"{source}: its weights do not fit its own config, {len(lacking)} are missing, {len(reshaped)} "
            f"have another shape: {', '.join([*lacking, *reshaped][:3])}, ..."
        )


def _wants_normalised_wav(name: str) -> bool:
    """Whether the model was trained on wavs of mean 0 and variance 1, as its preprocessor_config.json says.

    Where that file does not say, `transformers` takes it for true. Without the file wavs are taken as they are, and a
    warning says so.
    """
    from transformers.utils import cached_file

    path = cached_file(name, PREPROCESSOR, _raise_exceptions_for_missing_entries=False)
    if path is None:
        print(
            f"warning: {name}: no {PREPROCESSOR}, which says whether the model wants normalised wavs (most of the "
            "Large form do); they are taken as they are, so put it beside config.json if it was published",
            file=sys.stderr,
        )
        return False
    return bool(json.loads(Path(path).read_text(encoding="utf-8")).get("do_normalize", True))


def _unreadable(source: str, here: Path, err: Exception) -> str:
    reason = reason_of(err)
    if here.exists():
        return (
            f"{source}: not a readable model folder ({reason}); wanted config.json, {PREPROCESSOR} and the weights "
            "of one model"
        )
    return (
        f"{source}: no such folder here, and not to be had from the Hugging Face hub ({reason}); download the "
        "model's folder and set the front-end's `source` to it"
    )


RENAMED = (  # the authors' part of a name, that of transformers; in this order
    (r"^post_extract_proj\.", "feature_projection.projection."),
    (r"^layer_norm\.", "feature_projection.layer_norm."),
    (r"^mask_emb$", "masked_spec_embed"),
    (r"^encoder\.pos_conv\.0\.bias$", "encoder.pos_conv_embed.conv.bias"),
    (r"^encoder\.pos_conv\.0\.weight_g$", "encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"^encoder\.pos_conv\.0\.weight_v$", "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"^(feature_extractor\.conv_layers\.\d+)\.0\.", r"\1.conv."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.2(\.1)?\.", r"\1.layer_norm."),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.self_attn\.relative_attention_bias\.", ".attention.rel_attn_embed."),
    (r"\.self_attn\.grep_linear\.", ".attention.gru_rel_pos_linear."),
    (r"\.self_attn\.grep_a$", ".attention.gru_rel_pos_const"),
    (r"\.self_attn\.", ".attention."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
)


def read_microsoft(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a checkpoint of WavLM's authors.

    Args:
        path: The .pt file.

    Returns:
        The settings of a `WavLMConfig` and `do_normalize`, and the weights by their names in `transformers`.

    Raises:
        UserError: When the file is damaged or another kind of checkpoint.
    """
    content = read_weights(path)
    if not isinstance(content, Mapping) or not {"cfg", "model"} <= set(content):
        found = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise UserError(f"{path}: wanted a checkpoint of WavLM's authors with cfg and model, found {found[:80]}")
    try:
        settings = _settings(content["cfg"])
    except (KeyError, ValueError, SyntaxError, TypeError) as err:
        raise UserError(f"{path}: its cfg is not that of a WavLM ({err!r})") from err
    weights = content["model"]
    if not isinstance(weights, Mapping):
        raise UserError(f"{path}: wanted weights by name under `model`, found {type(weights).__name__}")
    check_finite(path, weights)
    return settings, {_renamed(name): weight for name, weight in weights.items()}


def _renamed(name: str) -> str:
    for theirs, ours in RENAMED:
        name = re.sub(theirs, ours, name)
    return name


def _settings(cfg: Mapping[str, Any]) -> dict[str, Any]:
    convs = _layers(cfg["conv_feature_layers"])
    return {
        "hidden_size": cfg["encoder_embed_dim"],
        "num_hidden_layers": cfg["encoder_layers"],
        "num_attention_heads": cfg["encoder_attention_heads"],
        "intermediate_size": cfg["encoder_ffn_embed_dim"],
        "hidden_act": cfg["activation_fn"],
        "do_stable_layer_norm": cfg["layer_norm_first"],
        "feat_extract_norm": "layer" if cfg["extractor_mode"] == "layer_norm" else "group",
        "conv_bias": cfg["conv_bias"],
        "conv_dim": [dim for dim, _, _ in convs],
        "conv_kernel": [kernel for _, kernel, _ in convs],
        "conv_stride": [stride for _, _, stride in convs],
        "num_feat_extract_layers": len(convs),
        "num_conv_pos_embeddings": cfg["conv_pos"],
        "num_conv_pos_embedding_groups": cfg["conv_pos_groups"],
        "num_buckets": cfg["num_buckets"],
        "max_bucket_distance": cfg["max_distance"],
        "hidden_dropout": cfg["dropout"],
        "attention_dropout": cfg["attention_dropout"],
        "activation_dropout": cfg["activation_dropout"],
        "feat_proj_dropout": cfg["dropout_input"],
        "do_normalize": cfg["normalize"],
    }


def _layers(text: str) -> list[tuple[int, int, int]]:
    """The convolutions' (channels, kernel, stride) from text such as `[(512,10,5)] + [(512,3,2)] * 4`."""

    def value(node: ast.AST) -> Any:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return value(node.left) * value(node.right)
        return ast.literal_eval(node)

    return [tuple(layer) for layer in value(ast.parse(text, mode="eval").body)]
