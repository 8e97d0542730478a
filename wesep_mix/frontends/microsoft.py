"""WavLM as its authors publish it: a `.pt` file {"cfg": settings, "model": weights}, in the terms of `transformers`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from wesep_mix.errors import UserError
from wesep_mix.weights import check_finite, read_weights

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


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings of a `WavLMConfig` (and `do_normalize`), and weights by their names in `transformers`.

    Raises: UserError when the file is damaged or another kind of checkpoint.
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
        "hidden_size": cfg["encoder_embed_dim"], "num_hidden_layers": cfg["encoder_layers"],
        "num_attention_heads": cfg["encoder_attention_heads"], "intermediate_size": cfg["encoder_ffn_embed_dim"],
        "hidden_act": cfg["activation_fn"], "do_stable_layer_norm": cfg["layer_norm_first"],
        "feat_extract_norm": "layer" if cfg["extractor_mode"] == "layer_norm" else "group",
        "conv_bias": cfg["conv_bias"], "conv_dim": [dim for dim, _, _ in convs],
        "conv_kernel": [kernel for _, kernel, _ in convs], "conv_stride": [stride for _, _, stride in convs],
        "num_feat_extract_layers": len(convs), "num_conv_pos_embeddings": cfg["conv_pos"],
        "num_conv_pos_embedding_groups": cfg["conv_pos_groups"], "num_buckets": cfg["num_buckets"],
        "max_bucket_distance": cfg["max_distance"], "hidden_dropout": cfg["dropout"],
        "attention_dropout": cfg["attention_dropout"], "activation_dropout": cfg["activation_dropout"],
        "feat_proj_dropout": cfg["dropout_input"], "do_normalize": cfg["normalize"],
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
