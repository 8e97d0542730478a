"""Reading pretrained speech models with `transformers`, and building them again from their architecture alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wesep_mix.errors import UserError
from wesep_mix.frontends import microsoft
from wesep_mix.weights import UNREADABLE, check_finite, reason_of

if TYPE_CHECKING:  # the import takes seconds
    from transformers import PreTrainedModel

# SpecAugment's mask vector is not used here; some published files lack it.
OPTIONAL_WEIGHTS = ("masked_spec_embed",)
PREPROCESSOR = "preprocessor_config.json"
UNUSED = {"apply_spec_augment": False, "layerdrop": 0.0}  # of what pretraining does


def is_hub_name(source: str) -> bool:
    """Whether it names a model of the hub, and no file or folder that is here or that would have to be."""
    return (re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source) is not None and source[0] not in "./"
            and not source.endswith(".pt") and not Path(source).exists())


def load(source: str, architecture: str = "") -> tuple[PreTrainedModel, str]:
    """A network and its architecture as JSON: with the weights of `source`, or, where `architecture` is given, with
    random ones (those of a model file of ours follow).

    source: a model name of the hub, a local folder with config.json and weights, or a .pt file of WavLM's authors.
    Raises: UserError when it cannot be found or read, or lacks weights.
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
        network, told = AutoModel.from_pretrained(name, config=config, output_loading_info=True,
                                                  trust_remote_code=False)
    except (*UNREADABLE, TypeError, AttributeError, SafetensorError, StrictDataclassError) as err:
        raise UserError(_unreadable(source, here, err)) from err
    if not hasattr(network, "feature_extractor") or not hasattr(getattr(network, "encoder", None), "layers"):
        raise UserError(f"{source}: wanted a speech model with a convolutional stem and a transformer, such as WavLM, "
                        f"found {type(network).__name__}")
    reshaped = [key for key, *_ in told["mismatched_keys"]]
    _refuse_unfit(source, told["missing_keys"], reshaped, told["unexpected_keys"])
    check_finite(source, network.state_dict())
    return network.float()


def _read_microsoft(path: Path) -> PreTrainedModel:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import WavLMConfig, WavLMModel

    if not path.is_file():
        raise UserError(f"{path}: no such file, wanted a WavLM checkpoint of its authors (or a folder, or a hub name)")
    settings, weights = microsoft.read(path)
    try:
        network = WavLMModel(WavLMConfig(**settings, **UNUSED))
    except (ValueError, TypeError, RuntimeError, StrictDataclassError) as err:
        raise UserError(f"{path}: its cfg is not that of a WavLM ({reason_of(err)})") from err
    wanted = network.state_dict()
    _refuse_unfit(path, set(wanted) - set(weights),
                  [key for key in wanted if key in weights and wanted[key].shape != weights[key].shape],
                  set(weights) - set(wanted))
    network.load_state_dict(weights, strict=False)
    return network.float()


def _refuse_unfit(source: str | Path, missing: Iterable[str], reshaped: Sequence[str], spare: Iterable[str]) -> None:
    layers = sorted(key for key in spare if "encoder.layers." in key)
    if layers:
        raise UserError(f"{source}: its weights do not fit its own config, which has no layer for {len(layers)} of "
                        f"them: {', '.join(layers[:3])}, ...")
    lacking = sorted(key for key in missing if not key.endswith(OPTIONAL_WEIGHTS))
    if lacking or reshaped:
        raise UserError(f"{source}: its weights do not fit its own config, {len(lacking)} are missing, {len(reshaped)} "
                        f"have another shape: {', '.join([*lacking, *reshaped][:3])}, ...")


def _wants_normalised_wav(name: str) -> bool:
    """Whether the model was trained on wavs of mean 0 and variance 1, as its preprocessor_config.json says; where that
    does not say, `transformers` takes it for true. Without that file wavs are taken as they are, which is told.
    """
    from transformers.utils import cached_file

    path = cached_file(name, PREPROCESSOR, _raise_exceptions_for_missing_entries=False)
    if path is None:
        print(f"warning: {name}: no {PREPROCESSOR}, which says whether the model wants normalised wavs (most of the "
              "Large form do); they are taken as they are, so put it beside config.json if it was published",
              file=sys.stderr)
        return False
    return bool(json.loads(Path(path).read_text(encoding="utf-8")).get("do_normalize", True))


def _unreadable(source: str, here: Path, err: Exception) -> str:
    reason = reason_of(err)
    if here.exists():
        return (f"{source}: not a readable model folder ({reason}); wanted config.json, {PREPROCESSOR} and the weights "
                "of one model")
    return (f"{source}: no such folder here, and not to be had from the Hugging Face hub ({reason}); download the "
            "model's folder and set the front-end's `source` to it")
