"""Reading pretrained speech models with `transformers`, and building them again from their architecture alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from wesep_mix.errors import UserError

if TYPE_CHECKING:  # the import takes seconds
    from transformers import PreTrainedModel

# SpecAugment's mask vector is not used here; some published files lack it.
OPTIONAL_WEIGHTS = ("masked_spec_embed",)


def load(source: str, architecture: str = "") -> tuple[PreTrainedModel, str]:
    """A network and its architecture as JSON: with the weights of `source`, or, where `architecture` is given, with
    random ones (those of a model file of ours follow).

    source: a model name of the hub, or a local folder with config.json and weights.
    Raises: UserError when it cannot be found or read, or lacks weights.
    """
    from transformers import AutoConfig, AutoModel, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if architecture:
        values = json.loads(architecture)
        return AutoModel.from_config(AutoConfig.for_model(values.pop("model_type"), **values)), architecture
    network = _read(source)
    kept = network.config.to_diff_dict() | {"model_type": network.config.model_type}
    return network, json.dumps(kept, sort_keys=True)


def _read(source: str) -> PreTrainedModel:
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    here = Path(source).expanduser()
    name = str(here) if here.is_dir() else source
    try:
        config = AutoConfig.from_pretrained(name)
        config.apply_spec_augment, config.layerdrop = False, 0.0
        config.do_normalize = _wants_normalised_wav(name)
        network, told = AutoModel.from_pretrained(name, config=config, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as err:
        raise UserError(_unreadable(source, here, err)) from err
    lacking = [key for key in told["missing_keys"] if not key.endswith(OPTIONAL_WEIGHTS)]
    if lacking or told["mismatched_keys"]:
        raise UserError(f"{source}: its weights do not fit its config.json, {len(lacking)} are missing "
                        f"({', '.join(sorted(lacking)[:3])}, ...), {len(told['mismatched_keys'])} of another shape")
    return network.float()


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
