"""Reading pretrained speech models with `transformers`, and building them again from their architecture alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wesep_mix.errors import UserError
from wesep_mix.frontends import microsoft

if TYPE_CHECKING:  # the import takes seconds
    from transformers import PreTrainedModel

# SpecAugment's mask vector is not used here; some published files lack it.
OPTIONAL_WEIGHTS = ("masked_spec_embed",)
UNUSED = {"apply_spec_augment": False, "layerdrop": 0.0}  # of what pretraining does


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
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    here = Path(source).expanduser()
    name = str(here) if here.is_dir() else source
    try:
        config = AutoConfig.from_pretrained(name)
        config.update(UNUSED | {"do_normalize": _wants_normalised_wav(name)})
        network, told = AutoModel.from_pretrained(name, config=config, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as err:
        raise UserError(_unreadable(source, here, err)) from err
    _refuse_unfit(source, told["missing_keys"], [key for key, *_ in told["mismatched_keys"]])
    return network.float()


def _read_microsoft(path: Path) -> PreTrainedModel:
    from transformers import WavLMConfig, WavLMModel

    if not path.is_file():
        raise UserError(f"{path}: no such file, wanted a WavLM checkpoint of its authors (or a folder, or a hub name)")
    settings, weights = microsoft.read(path)
    network = WavLMModel(WavLMConfig(**settings, **UNUSED))
    wanted = network.state_dict()
    _refuse_unfit(path, set(wanted) - set(weights),
                  [key for key in wanted if key in weights and wanted[key].shape != weights[key].shape])
    network.load_state_dict(weights, strict=False)
    return network.float()


def _refuse_unfit(source: str | Path, missing: Iterable[str], reshaped: Sequence[str]) -> None:
    lacking = sorted(key for key in missing if not key.endswith(OPTIONAL_WEIGHTS))
    if lacking or reshaped:
        raise UserError(f"{source}: its weights do not fit its own config, {len(lacking)} are missing, {len(reshaped)} "
                        f"have another shape: {', '.join([*lacking, *reshaped][:3])}, ...")


def _wants_normalised_wav(name: str) -> bool:
    """Whether the model was trained on wavs of mean 0 and variance 1, as its preprocessor_config.json says."""
    from transformers.utils import cached_file

    path = cached_file(name, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    return bool(path and json.loads(Path(path).read_text(encoding="utf-8")).get("do_normalize", False))


def _unreadable(source: str, here: Path, err: Exception) -> str:
    reason = (str(err).strip() or type(err).__name__).splitlines()[0]
    if here.exists():
        return f"{source}: not a readable model folder ({reason}); wanted config.json and the weights beside it"
    return (f"{source}: no such folder here, and not to be had from the Hugging Face hub ({reason}); download the "
            "model's folder and set the front-end's `source` to it")
