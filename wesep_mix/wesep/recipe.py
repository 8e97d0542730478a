"""WeSep's config, whole: as its training, its inference and its `load_model_local` want it.

`whole` makes one for a model; `fitted` makes one out of a YAML of WeSep's own recipe and of what is known of the data.
Later ones win: what WeSep must find at all, its recipe's YAML, a small setting, what is known, what the user says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wesep_mix.base.config import parse_override, read_raw, to_dict
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write

NETWORKS = {"spexplus": "ConvTasNet", "dpccn": "DPCCN", "bsrnn": "BSRNN", "tfgridnet": "TFGridNet"}
PLACES = ("examples/librimix/tse/v1/confs", "examples/librimix/tse/v2/confs")  # v2: with a speaker encoder inside
# Arguments of that encoder and of its training, and the noise of v2; without it they have no effect.
INSIDE = ("multi_task", "spksInTrain", "spk_model", "spk_model_init", "spk_model_freeze", "spk_args", "spk_feat")
ONE_OUTPUT: dict[str, Any] = {"loss": "SISDR", "loss_args": {}}
THREE_OUTPUTS = {"loss": ["SISDR"], "loss_args": {"loss_posi": [[0, 1, 2]], "loss_weight": [[0.8, 0.1, 0.1]]}}

Settings = dict[str, Any]


@dataclass(frozen=True)
class Data:
    """What is known of the data that a model is trained on.

    Attributes:
        embedding_dim: values of an embedding.
        longest_silence: samples, of a talker in a mixture of train or dev.
        mixtures: {set: how many}, of train and dev.
        num_procs: processes of the training, which share an epoch.
    """

    embedding_dim: int
    longest_silence: int
    mixtures: Mapping[str, int]
    num_procs: int = 1


def whole(model: str, args: Mapping[str, Any]) -> Settings:
    """A config with all keys that WeSep's programs read, at the values of its recipe.

    Args:
        model: WeSep's class.
        args: the keyword arguments that it is made with.

    Returns:
        The config.
    """
    return {
        "model": {"tse_model": model},
        "model_args": {"tse_model": dict(args)},
        "model_init": {"tse_model": None, "discriminator": None},
        "dataset_args": {
            "resample_rate": 16000,
            "sample_num_per_epoch": 0,
            "shuffle": True,
            "shuffle_args": {"shuffle_size": 2500},
            "chunk_len": 48000,
        },
        "dataloader_args": {
            "batch_size": 4,
            "drop_last": True,
            "num_workers": 4,
            "pin_memory": False,
            "prefetch_factor": 4,
        },
        **(THREE_OUTPUTS if args.get("encoder_type") == "Multi" else ONE_OUTPUT),
        "optimizer": {"tse_model": "Adam"},
        "optimizer_args": {"tse_model": {"lr": 1e-3, "weight_decay": 1e-4}},
        "scheduler": {"tse_model": "ExponentialDecrease"},
        "scheduler_args": {
            "tse_model": {"initial_lr": 1e-3, "final_lr": 2.5e-5, "warm_up_epoch": 0, "warm_from_zero": False}
        },
        "clip_grad": 5.0,
        "enable_amp": False,
        "num_epochs": 150,
        "num_avg": 2,
        "save_epoch_interval": 1,
        "log_batch_interval": 100,
        "exp_dir": f"exp/{model}",
        "gpus": [0],
        "seed": 42,
    }


def fitted(recipes: Iterable[Path], data: Data, chosen: Iterable[str] = ()) -> Settings:
    """A config for training on an export of ours.

    Args:
        recipes: YAMLs of WeSep's; a later one's values win.
        data: what is known of the export.
        chosen: `key=value` of the user's.

    Returns:
        The config.

    Raises:
        UserError: a YAML has no model; or the user's values are unknown or do not go with the data.
    """
    given: Settings = {}
    for path in recipes:
        given = _merged(given, read_raw(path))
    model, args = (_of_model(given, key) for key in ("model", "model_args"))
    if not isinstance(model, str) or not isinstance(args, dict):
        raise UserError(f"{', '.join(map(str, recipes))}: wanted model.tse_model and model_args.tse_model of WeSep's")
    args = {key: value for key, value in args.items() if key not in INSIDE}
    known = args | {"spk_emb_dim": data.embedding_dim, "joint_training": False, "use_spk_transform": False}
    made = whole(model, known)
    made = _merged(made, {key: value for key, value in given.items() if key not in ("loss", "loss_args", "model_args")})
    made["dataset_args"]["chunk_len"] = max(made["dataset_args"]["chunk_len"], data.longest_silence + 1)
    for text in chosen:
        _choose(made, text)
    _check(made, data)
    return made


def recipe_of(checkout: Path, network: str) -> Path:
    """The YAML of WeSep's own recipe for one of NETWORKS.

    Args:
        checkout: WeSep's.
        network: its name here.

    Returns:
        The file.

    Raises:
        UserError: there is none.
    """
    found = [path for place in PLACES if (path := checkout / place / f"{network}.yaml").is_file()]
    if not found:
        raise UserError(
            f"{checkout}: wanted {network}.yaml in {' or '.join(PLACES)}, found none; give a YAML of WeSep's with "
            "--wesep_config FILE"
        )
    return found[0]


def embedding_dim(exported: Path) -> int:
    """How many values the embeddings of an exported set have. Raises: UserError when there are none."""
    from wesep_mix.io.embeddings import read_embeddings

    return next(len(vector) for vector in read_embeddings(exported / "embed.scp").values())


def write_config(path: str | Path, config: Mapping[str, Any]) -> None:
    """Write a config, its keys in their order.

    Args:
        path: where to.
        config: plain values.
    """
    with atomic_write(path) as file:
        yaml.safe_dump(to_dict(config), file, sort_keys=False)


def _of_model(config: Settings, key: str) -> Any:
    return config[key].get("tse_model") if isinstance(config.get(key), dict) else None


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Settings:
    """Both; where both are mappings, merged in their turn."""
    both = dict(below)
    for key, value in above.items():
        nested = isinstance(value, dict) and isinstance(both.get(key), dict)
        both[key] = _merged(both[key], value) if nested else value
    return both


def _choose(config: Settings, text: str) -> None:
    keys, value = parse_override(text)
    place = config
    for key in keys[:-1]:
        place = place.get(key) if isinstance(place, dict) else None
    open_ended = keys[0] in ("model_args", "dataset_args", "dataloader_args", "loss_args", "scheduler_args")
    if not isinstance(place, dict) or (keys[-1] not in place and not open_ended):
        raise UserError(f"--wesep_set {text}: no {'.'.join(keys)} in WeSep's config; it has {', '.join(config)}")
    place[keys[-1]] = value


def _check(config: Settings, data: Data) -> None:
    """Raises: UserError for what WeSep would go on with for ever, or train wrongly."""
    batch_size, chunk_len = config["dataloader_args"]["batch_size"], config["dataset_args"]["chunk_len"]
    for name, number in data.mixtures.items():  # an epoch of no batch never ends: its data begin anew for ever
        if number // data.num_procs < batch_size:
            raise UserError(
                f"WeSep's dataloader_args.batch_size: wanted at most the {number // data.num_procs} mixtures of {name} "
                f"that a process has, found {batch_size}; give --wesep_set dataloader_args.batch_size=N"
            )
    if chunk_len <= data.longest_silence:
        raise UserError(
            f"WeSep's dataset_args.chunk_len: wanted more than {data.longest_silence} samples, the longest silence of "
            f"a talker here, found {chunk_len}: a chunk in which a talker is silent does not fit its mixture"
        )
    if _of_model(config, "model_args").get("joint_training") is not False:
        raise UserError("WeSep's model_args.tse_model.joint_training: the embedding is given, wanted false")
